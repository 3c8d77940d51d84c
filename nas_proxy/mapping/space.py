"""Which mappings there are: one decision per prime factor, bypass bit and loop order, masked so that all are valid.

A *decision* is taken by one agent:

- three bypass bits: whether W, I, O are kept in the global buffer;
- one per copy of a prime factor of each loop bound: its slot (RF, X, Y, GLB or DRAM); copies of the same factor are
  interchangeable, so their slots are sorted;
- two per loop order (GLB, DRAM): the innermost dimension, and the innermost of the next stationarity class.

Dimensions fall into classes by the tensor they leave in place: N, P, Q (weights), K (inputs), C, R, S (outputs).
Loops of the innermost class go inside those of the second, those inside the third; G moves all tensors and is
outermost. All other orders repeat these costs or are worse, except that inputs also slide along one dimension, which
the two innermost choices decide.

Masks are taken one decision after the other, in an order of the caller's: whatever is chosen among the allowed, the
finished mapping fits, since tiles only grow and DRAM takes everything that is left.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from numba import njit
from numpy.typing import NDArray

from nas_proxy.mapping._counting import Window, footprint, window_of
from nas_proxy.mapping.accelerator import Accelerator
from nas_proxy.mapping.layer import DIMS, TENSORS, Layer
from nas_proxy.mapping.mappings import SLOTS, Mappings

__all__ = ["CHOICES", "Decision", "MappingSpace"]

#: Columns of every array over choices: five slots, two bypass values or eight dimensions, whichever the decision has.
CHOICES = 8
_RF, _X, _Y, _GLB, _DRAM = range(5)
_CLASS = np.array([0, 3, 1, 2, 0, 0, 2, 2])  # of N G K C P Q R S: the tensor it leaves in place (W, I, O), 3: none
_compiled = njit(cache=True, error_model="numpy")


@dataclass(frozen=True)
class Decision:
    """What one agent decides: a label for people, and how many choices it has at most."""

    label: str
    choices: int


class _Limits(NamedTuple):
    """What masks depend on: the prime factors that are placed, and what the accelerator has room for.

    ``f`` prime factors, largest first in each dimension. A pool is the memory that one or several tensors share.
    """

    dims: NDArray[np.int64]
    """``(f,)``, the dimension of each factor."""
    primes: NDArray[np.int64]
    """``(f,)``, the factors."""
    keepable: NDArray[np.bool_]
    """``(3, 2)``, whether W, I, O may go without the global buffer, and whether they may be kept there."""
    allowed: NDArray[np.bool_]
    """``(3, f)``, whether RF, X and Y may take a factor."""
    sizes: NDArray[np.int64]
    """``(2,)``, columns and rows of the array."""
    pools: NDArray[np.float64]
    """``(2, 3)``, words of each pool of RF and GLB."""
    members: NDArray[np.int64]
    """``(2, 3)``, the pool that W, I, O are in, at RF and GLB."""
    window: Window


class MappingSpace:
    """The mappings of one layer on one accelerator.

    An assignment is an integer vector, one choice per decision (``len(space)``); batches have shape ``(B, n)``.

    Args:
        layer: what is mapped.
        accelerator: on what; its constraints are part of every mask.
        pad: bounds with a large prime factor (above 7), such as the 197 tokens of a vision transformer, are rounded up
            to the next bound without, by at most a tenth; the edge idles. False: exact factors only.

    Raises:
        InputError: the accelerator cannot run this kind of layer.
    """

    def __init__(self, layer: Layer, accelerator: Accelerator, pad: bool = False) -> None:
        accelerator.check(layer)
        self.layer, self.accelerator = layer, accelerator
        self.bounds = np.array([_smooth(int(b)) if pad else int(b) for b in layer.bounds])
        factors = [(d, prime) for d, bound in enumerate(self.bounds) for prime in _primes(int(bound))]
        self.decisions = (
            *(Decision(f"keep {t} in GLB", 2) for t in TENSORS),
            *(Decision(f"{DIMS[d]} factor {prime}", 5) for d, prime in factors),
            *(Decision(f"{level} {which} loop", 8) for level in ("GLB", "DRAM") for which in ("innermost", "second")),
        )
        dims = np.array([d for d, _ in factors], dtype=np.int64)
        primes = np.array([prime for _, prime in factors], dtype=np.int64)
        keep = accelerator.constraints.glb_keep
        pools = np.full((2, 3), np.inf)
        members = np.zeros((2, 3), dtype=np.int64)
        for level, buffer in enumerate((accelerator.levels.RF, accelerator.levels.GLB)):
            for number, (tensors, words) in enumerate(buffer.pools):
                for t in tensors:
                    members[level, TENSORS.index(t)] = number
                pools[level, number] = words / (2 if buffer.double_buffered else 1)
        self.limits = _Limits(
            dims=dims,
            primes=primes,
            keepable=np.array([[keep.get(t) is not True, keep.get(t) is not False] for t in TENSORS]),
            allowed=np.array([accelerator.allowed(slot)[dims] for slot in ("RF", "X", "Y")]).reshape(3, -1),
            sizes=np.array([accelerator.pe_cols, accelerator.pe_rows], dtype=np.int64),
            pools=pools,
            members=members,
            window=window_of(layer),
        )
        self._copies = [
            3 + np.flatnonzero((dims == d) & (primes == prime))
            for d, prime in dict.fromkeys(factors)
            if factors.count((d, prime)) > 1
        ]

    def __len__(self) -> int:
        return len(self.decisions)

    @property
    def factor_slice(self) -> slice:
        """Which decisions are prime factors."""
        return slice(3, len(self) - 4)

    @property
    def families(self) -> list[NDArray[np.int64]]:
        """Decisions that are about one thing: the bypass bits, the factors of a dimension, the order of a level."""
        n = len(self)
        dims = self.limits.dims
        by_dim = [3 + np.flatnonzero(dims == d) for d in np.unique(dims)]
        return [np.arange(3), *by_dim, np.array([n - 4, n - 3]), np.array([n - 2, n - 1])]

    @property
    def log10_size(self) -> float:
        """Decimal logarithm of the number of assignments, valid or not."""
        return sum(math.log10(decision.choices) for decision in self.decisions)

    # -- choosing ----------------------------------------------------------------------------------------------------

    def fill(self, scores: NDArray[np.float64], turns: NDArray[np.int64]) -> NDArray[np.int64]:
        """Valid assignments, decided one after the other: each decision takes its best-scored allowed choice.

        Scores ``log p + Gumbel noise`` make this sampling from masked policies; scores high for the choices of an
        existing assignment make it a repair.

        Args:
            scores: ``(B, n, 8)``.
            turns: ``(B, n)`` decisions in the order in which they are taken; each of the kinds (bypass, factors,
                orders) among themselves, since masks of the later kinds depend on the earlier ones.

        Returns:
            ``(B, n)`` choices, identical copies sorted.
        """
        choices = np.empty(scores.shape[:2], dtype=np.int64)
        _fill(
            np.ascontiguousarray(scores, dtype=np.float64),
            np.ascontiguousarray(turns, dtype=np.int64),
            choices,
            self.limits,
        )
        return self.canonical(choices)

    def turns(self, rng: np.random.Generator, batch: int) -> NDArray[np.int64]:
        """Random orders of taking turns, ``(batch, n)``: bypass bits first, then factors, then loop orders."""
        n = len(self)
        factors = rng.permuted(np.broadcast_to(np.arange(3, n - 4), (batch, n - 7)), axis=1)
        first, last = np.broadcast_to(np.arange(3), (batch, 3)), np.broadcast_to(np.arange(n - 4, n), (batch, 4))
        return np.concatenate([first, factors, last], axis=1)

    def sample(
        self, rng: np.random.Generator, batch: int, logits: NDArray[np.float64] | None = None
    ) -> NDArray[np.int64]:
        """Valid assignments drawn from masked policies of log-probabilities ``(n, 8)``; None: uniform over choices."""
        scores = rng.gumbel(size=(batch, len(self), CHOICES))
        if logits is not None:
            scores += logits
        return self.fill(scores, self.turns(rng, batch))

    def repair(self, choices: NDArray[np.int64], rng: np.random.Generator) -> NDArray[np.int64]:
        """The valid assignments nearest to ``choices``: what is not allowed where it is, is drawn anew."""
        scores = rng.gumbel(size=(*choices.shape, CHOICES))
        np.put_along_axis(scores, choices[..., None], 1e9, axis=2)
        return self.fill(scores, self.turns(rng, len(choices)))

    def mask(self, choices: NDArray[np.int64], decision: int) -> NDArray[np.bool_]:
        """Allowed choices ``(8,)`` of ``decision``, when all decisions before it have been taken (in natural order)."""
        return _mask(np.ascontiguousarray(choices, dtype=np.int64), decision, self.limits)

    def canonical(self, choices: NDArray[np.int64]) -> NDArray[np.int64]:
        """The same mappings with the slots of identical copies sorted."""
        for copies in self._copies:
            choices[:, copies] = np.sort(choices[:, copies], axis=1)
        return choices

    # -- what an assignment means ------------------------------------------------------------------------------------

    def mappings(self, choices: NDArray[np.int64]) -> Mappings:
        """The mappings of assignments ``(B, n)``."""
        factors = np.empty((len(choices), 5, 8), dtype=np.int64)
        order = np.empty((len(choices), 2, 8), dtype=np.int64)
        dims, primes = self.limits.dims, self.limits.primes
        _decode(np.ascontiguousarray(choices, dtype=np.int64), dims, primes, _ORDERS, factors, order)
        return Mappings(factors, order, choices[:, :3].astype(bool))

    def choices(self, mappings: Mappings) -> NDArray[np.int64]:
        """Assignments ``(B, n)`` that mean ``mappings`` of this space: the inverse of :meth:`mappings`."""
        found = np.empty((len(mappings), len(self)), dtype=np.int64)
        found[:, :3] = mappings.keep
        left = mappings.factors.copy()
        for i, (d, prime) in enumerate(zip(self.limits.dims, self.limits.primes, strict=True), start=3):
            found[:, i] = (left[:, :, d] % prime == 0).argmax(axis=1)
            left[np.arange(len(left)), found[:, i], d] //= prime
        for level in range(2):
            inside_out = mappings.order[:, level, ::-1]
            others = _CLASS[inside_out] != _CLASS[inside_out[:, :1]]
            second = np.take_along_axis(inside_out, others.argmax(axis=1)[:, None], axis=1)
            found[:, len(self) - 4 + 2 * level :][:, :2] = np.hstack([inside_out[:, :1], second])
        return self.canonical(found)

    def keys(self, mappings: Mappings) -> list[bytes]:
        """Byte strings that are equal for mappings that cost the same: unit loops and their places do not count."""
        packed = np.empty((len(mappings), 59), dtype=np.int32)
        _pack(mappings.factors, mappings.order, mappings.keep, packed)
        return [row.tobytes() for row in packed]

    def describe(self, choices: NDArray[np.int64]) -> str:
        """One assignment in words."""
        parts = []
        for decision, choice in zip(self.decisions, choices, strict=True):
            name = {2: ("no", "yes"), 5: SLOTS, 8: DIMS}[decision.choices][choice]
            parts.append(f"{decision.label}: {name}")
        return "; ".join(parts)


def _primes(bound: int) -> list[int]:
    """Prime factors, largest first."""
    found, p = [], 2
    while bound > 1:
        while bound % p == 0:
            found.append(p)
            bound //= p
        p += 1
    return found[::-1]


def _smooth(bound: int) -> int:
    """The smallest number from ``bound`` on without a prime factor above 7, if it is at most a tenth larger."""
    for candidate in range(bound, bound + bound // 10 + 1):
        if max(_primes(candidate), default=1) <= 7:
            return candidate
    return bound


def _order_table() -> NDArray[np.int64]:
    """Loop orders (outer to inner) by innermost dimension and innermost of the second class, (8, 8, 8)."""
    table = np.empty((8, 8, 8), dtype=np.int64)
    for inner in range(8):
        for second in range(8):
            inside = [inner] + [d for d in range(7, -1, -1) if d != inner and _CLASS[d] == _CLASS[inner]]
            if second not in inside:
                inside += [second] + [d for d in range(7, -1, -1) if d != second and _CLASS[d] == _CLASS[second]]
            inside += [d for d in (7, 6, 5, 4, 3, 2, 0, 1) if d not in inside]  # G outermost
            table[inner, second] = inside[::-1]
    return table


_ORDERS = _order_table()


# -- masks, compiled ---------------------------------------------------------------------------------------------------


@_compiled
def _decode(choices, dims, primes, orders, factors, order):
    """Factors and loop orders of assignments."""
    n = choices.shape[1]
    factors[:] = 1
    for b in range(len(choices)):
        for f in range(len(dims)):
            factors[b, choices[b, 3 + f], dims[f]] *= primes[f]
        for level in range(2):
            order[b, level] = orders[choices[b, n - 4 + 2 * level], choices[b, n - 3 + 2 * level]]


@_compiled
def _pack(factors, order, keep, packed):
    """What the cost of a mapping depends on: factors, orders of the loops that are not unit, bypass bits."""
    packed[:] = 0
    for b in range(len(factors)):
        packed[b, :40] = factors[b].ravel()
        for level in range(2):
            place = 40 + 8 * level
            for i in range(8):
                d = order[b, level, i]
                if factors[b, 3 + level, d] > 1:
                    packed[b, place] = d + 1
                    place += 1
        for tensor in range(3):
            packed[b, 56 + tensor] = keep[b, tensor]


@_compiled
def _fits(tile, level, keep, limits):
    """Whether the kept tensors of a tile fit the pools of a level."""
    used, members, pools = np.zeros(3), limits.members, limits.pools
    for tensor in range(3):
        if level == 0 or keep[tensor]:
            used[members[level, tensor]] += footprint(tensor, tile, limits.window)
    return used[0] <= pools[level, 0] and used[1] <= pools[level, 1] and used[2] <= pools[level, 2]


@_compiled
def _allow_factor(mask, state, factor, keep, limits):
    """Slots (RF, X, Y, GLB, DRAM) that a prime factor can take.

    ``state``: (3, 8) and the array in use: tiles of one PE and of the buffer; row 2 holds columns and rows in use.
    """
    d, prime = limits.dims[factor], limits.primes[factor]
    mask[:] = False
    mask[_DRAM] = True
    state[1, d] *= prime
    buffer_fits = _fits(state[1], 1, keep, limits)
    state[1, d] //= prime
    if not buffer_fits:
        return
    mask[_GLB] = True
    for axis in range(2):
        mask[_X + axis] = limits.allowed[1 + axis, factor] and state[2, axis] * prime <= limits.sizes[axis]
    if limits.allowed[0, factor]:
        state[0, d] *= prime
        mask[_RF] = _fits(state[0], 0, keep, limits)
        state[0, d] //= prime


@_compiled
def _place(state, temporal, d, prime, slot):
    """Take a slot."""
    if slot == _DRAM:
        temporal[1, d] *= prime
        return
    state[1, d] *= prime
    if slot == _GLB:
        temporal[0, d] *= prime
    elif slot == _RF:
        state[0, d] *= prime
    else:
        state[2, slot - _X] *= prime


@_compiled
def _allow_order(mask, bounds, inner):
    """Dimensions that can be innermost (``inner`` < 0) or lead the second class: those with a loop at this level."""
    found = False
    for d in range(8):
        mask[d] = bounds[d] > 1 and d != 1 and (inner < 0 or _CLASS[d] != _CLASS[inner])
        found |= mask[d]
    if not found:
        mask[0 if inner < 0 or _CLASS[inner] != _CLASS[0] else 2] = True  # no loop to decide on: one dummy choice


@_compiled
def _mask_one(mask, choices, decision, state, temporal, limits):
    """Mask of one decision given the state that earlier ones have led to."""
    mask[:] = False
    orders = 3 + len(limits.dims)  # the first decision on loop orders
    if decision < 3:
        mask[0], mask[1] = limits.keepable[decision, 0], limits.keepable[decision, 1]
    elif decision < orders:
        _allow_factor(mask, state, decision - 3, choices[:3], limits)
    else:
        place = decision - orders
        inner = choices[decision - 1] if place % 2 else -1
        _allow_order(mask, temporal[place // 2], inner)


@_compiled
def _fill(scores, turns, choices, limits):
    batch, n = choices.shape
    mask = np.empty(8, np.bool_)
    state = np.empty((3, 8), np.int64)
    temporal = np.empty((2, 8), np.int64)
    for b in range(batch):
        state[:] = 1
        temporal[:] = 1
        for turn in range(n):
            i = turns[b, turn]
            _mask_one(mask, choices[b], i, state, temporal, limits)
            best = -1
            for c in range(8):
                if mask[c] and (best < 0 or scores[b, i, c] > scores[b, i, best]):
                    best = c
            choices[b, i] = best
            if 3 <= i < n - 4:
                _place(state, temporal, limits.dims[i - 3], limits.primes[i - 3], best)


@_compiled
def _mask(choices, decision, limits):
    mask = np.empty(8, np.bool_)
    state = np.ones((3, 8), np.int64)
    temporal = np.ones((2, 8), np.int64)
    for f in range(min(decision - 3, len(limits.dims))):
        _place(state, temporal, limits.dims[f], limits.primes[f], choices[3 + f])
    _mask_one(mask, choices, decision, state, temporal, limits)
    return mask
