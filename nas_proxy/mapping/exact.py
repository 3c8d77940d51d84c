"""The best mapping of a layer, proven: branch and bound over the whole space of :class:`MappingSpace`, compiled.

The tree decides, in this order: how much of each dimension runs side by side (the *spatial vector*), the tile of one
PE, the tile of the buffer with what is kept there, and the loop orders. What a branch can still reach is bounded by
words that every mapping below it moves:

1. given the spatial vector: each word of W, I and O enters the array and leaves DRAM at least once;
2. given the tile of a PE too: the innermost loop leaves only one of the three tensors in place, all others are fetched
   anew at every step (inputs at least by the part by which their window slides), from the cheaper of the two memories;
3. given the buffer's tile and what it keeps: the same at both levels jointly. Only the order of loops of one class is
   still open there, and it decides nothing but the dimension along which inputs slide.

Energy and cycles grow with every word, so that a branch whose least energy, cycles or product of both is not below
the best mapping known holds nothing better. The counts are those of :mod:`nas_proxy.mapping.cost_model` with
``counting="physical"``; the tests hold both against each other.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import NamedTuple

import numpy as np
from numba import njit
from numpy.typing import NDArray

from nas_proxy.errors import InputError, whole_number
from nas_proxy.mapping._counting import Window, _distinct_inputs, footprint, window_of
from nas_proxy.mapping.cost_model import Costs
from nas_proxy.mapping.layer import DIMS, RELEVANT
from nas_proxy.mapping.mappings import Mappings
from nas_proxy.mapping.problem import OBJECTIVES, Problem
from nas_proxy.mapping.space import _CLASS, _ORDERS, _fits

__all__ = ["NODES", "Proof", "prove"]

#: Tiles of the buffer that are looked at before a search gives up and says how far it can be from the optimum.
NODES = 50_000_000
_N, _G, _K, _C, _P, _Q, _R, _S = range(8)
_W, _I, _O = range(3)
_RF, _GLB, _DRAM = range(3)
_NONE = 3  # no class: a level without loops, or with loops over groups alone
_BETTER = 1 - 1e-12  # a smaller gain is rounding, and would make the answer depend on the processor
_RELEVANT = RELEVANT
_compiled = njit(cache=True, error_model="numpy")


@dataclass(frozen=True)
class Proof:
    """The best mapping found, and what is known of all others.

    Attributes:
        mapping: a batch of one, and its ``costs``.
        value: of the objective: pJ times cycles, cycles or pJ.
        bound: no mapping is below; equals ``value`` where the optimum is proven.
        proven: whether every other mapping was ruled out.
        nodes: tiles of the buffer that were looked at.
    """

    mapping: Mappings
    costs: Costs
    value: float
    bound: float
    proven: bool
    nodes: int

    @property
    def gap(self) -> float:
        """By which share the mapping can be above the optimum at most; 0 where it is proven."""
        return self.value / self.bound - 1 if self.bound else np.inf


def prove(problem: Problem, start: Mappings | None = None, nodes: int = NODES) -> Proof:
    """The best of all mappings of a problem's space, or the best found and a bound where ``nodes`` do not suffice.

    The answer does not depend on ``start``, which only saves time, nor on a seed.

    Args:
        problem: layer, accelerator, objective and latency limit; its budget is not used.
        start: a mapping known before, such as a search's, a batch of one.
        nodes: how many tiles of the buffer may be looked at.

    Raises:
        InputError: ``nodes`` is no positive integer, or not enough to find a mapping; no mapping keeps the latency
            limit; or the problem counts as Timeloop does.
    """
    nodes = whole_number(nodes, "nodes", least=1)
    if problem.model.counting != "physical":
        raise InputError(f"only mappings counted as 'physical' can be proven best, found {problem.model.counting!r}.")
    chip = _chip_of(problem)
    known = np.inf if start is None else _value(problem, problem.model.evaluate(start))
    spatial, factors_xy, bounds = _spatial_vectors(problem, chip)
    order = np.lexsort((np.arange(len(bounds)), bounds))
    found = _search(chip, spatial[order], bounds[order], known / _BETTER**2, nodes)
    value, index, t0, t1, keep, inner, looked, open_bound = found
    if index >= 0:
        x, y = factors_xy[order[index]]
        t2 = problem.space.bounds // (x * y * t0 * t1)
        loops = np.array([_ORDERS[inner[0], inner[1]], _ORDERS[inner[2], inner[3]]])
        mapping = Mappings(np.array([t0, x, y, t1, t2])[None], loops[None], keep[None])
    elif start is not None and np.isfinite(known):
        mapping = start
    elif np.isinf(open_bound):
        raise InputError(f"no mapping of {problem.model.layer} takes at most {problem.max_cycles:g} cycles.")
    else:
        raise InputError(f"no mapping of {problem.model.layer} was found within {nodes} nodes: raise them.")
    costs = problem.model.evaluate(mapping)
    value = _value(problem, costs)
    proven = bool(open_bound >= value * _BETTER)
    return Proof(mapping, costs, value, value if proven else open_bound, proven, int(looked))


def _value(problem: Problem, costs: Costs) -> float:
    if not costs.valid[0] or (problem.max_cycles is not None and costs.cycles[0] > problem.max_cycles):
        return np.inf
    return float({"edp": costs.edp, "latency": costs.cycles, "energy": costs.energy_pj}[problem.objective][0])


# -- what the compiled search knows ------------------------------------------------------------------------------------


class _Chip(NamedTuple):
    """Layer and accelerator as plain numbers; arrays over levels are of RF, GLB, DRAM."""

    bounds: NDArray[np.int64]  # (8,) of the space: padded ones where it pads
    window: Window
    exists: NDArray[np.float64]  # (3,) share of each tensor's covered words that are there
    words: NDArray[np.float64]  # (3,) of W, I (those in use) and O
    macs: float
    share: float  # of the covered steps that are MACs
    read_pj: NDArray[np.float64]
    write_pj: NDArray[np.float64]
    read_rate: NDArray[np.float64]  # words a cycle and instance; inf: unlimited
    write_rate: NDArray[np.float64]
    shared: NDArray[np.bool_]
    mac_pj: float
    noc_pj: float
    leakage_pj: float
    reduces: bool
    skew: float  # cycles a set of weights costs in a systolic array; below 0: none
    prologue: bool
    pools: NDArray[np.float64]  # (2, 3) words
    members: NDArray[np.int64]  # (2, 3) pool of each tensor
    in_registers: NDArray[np.bool_]  # (8,)
    may: NDArray[np.bool_]  # (3, 2) whether each tensor may pass the buffer, be kept in it
    keeps: NDArray[np.bool_]  # (m, 3) all that may be kept together
    objective: int
    max_cycles: float


def _chip_of(problem: Problem) -> _Chip:
    model, space = problem.model, problem.space
    accelerator, layer = model.accelerator, model.layer
    levels = (accelerator.levels.RF, accelerator.levels.GLB, accelerator.levels.DRAM)
    inside = layer.bounds / space.bounds
    exists = np.array([inside[RELEVANT[t]].prod() for t in range(3)])
    padded = replace(layer, **{d.lower(): int(b) for d, b in zip(DIMS, space.bounds, strict=True)})
    rate = [[b.read_words_per_cycle or np.inf, b.write_words_per_cycle or np.inf] for b in levels]
    skew = -1.0
    if accelerator.systolic:
        load = 0 if accelerator.weights_preloaded else accelerator.pe_rows
        skew = float(load + accelerator.pe_rows + accelerator.pe_cols - 2)
    allowed = space.limits.keepable
    keeps = [k for k in np.ndindex(2, 2, 2) if all(allowed[t, k[t]] for t in range(3))]
    return _Chip(
        bounds=space.bounds.astype(np.int64),
        window=window_of(layer),
        exists=exists,
        words=exists * np.array(padded.used_words, dtype=np.float64),
        macs=float(layer.macs),
        share=layer.macs / float(np.prod(space.bounds.astype(float))),
        read_pj=np.array([b.read_energy_pj for b in levels]),
        write_pj=np.array([b.write_energy_pj for b in levels]),
        read_rate=np.array(rate)[:, 0],
        write_rate=np.array(rate)[:, 1],
        shared=np.array([b.shared_port for b in levels]),
        mac_pj=accelerator.mac_energy_pj,
        noc_pj=accelerator.noc_energy_pj,
        leakage_pj=accelerator.leakage_pj_per_cycle,
        reduces=accelerator.spatial_reduction,
        skew=skew,
        prologue=accelerator.prologue,
        pools=space.limits.pools,
        members=space.limits.members,
        in_registers=accelerator.allowed("RF"),
        may=allowed,
        keeps=np.array(keeps, dtype=np.bool_),
        objective=OBJECTIVES.index(problem.objective),
        max_cycles=np.inf if problem.max_cycles is None else float(problem.max_cycles),
    )


def _spatial_vectors(problem: Problem, chip: _Chip) -> tuple[NDArray, NDArray, NDArray]:
    """All spatial vectors (n, 8), how each splits into columns and rows (n, 2, 8), and their bounds (n,).

    Counts depend on the product of both axes alone, so one split of each is enough.
    """
    accelerator = problem.model.accelerator
    axes = []
    for slot, size in (("X", accelerator.pe_cols), ("Y", accelerator.pe_rows)):
        vectors = np.ones((1, 8), dtype=np.int64)
        for d in np.flatnonzero(accelerator.allowed(slot)):
            parts = _divisors(int(chip.bounds[d]))
            grown = np.repeat(vectors, len(parts), axis=0)
            grown[:, d] = np.tile(parts, len(vectors))
            vectors = grown[grown.prod(axis=1) <= size]
        axes.append(vectors)
    splits: dict[bytes, tuple[NDArray, NDArray]] = {}
    for x in axes[0]:
        both = x * axes[1]
        for row in np.flatnonzero((chip.bounds % both == 0).all(axis=1)):
            splits.setdefault(both[row].tobytes(), (x, axes[1][row]))
    spatial = np.array([x * y for x, y in splits.values()])
    return spatial, np.array([np.array(pair) for pair in splits.values()]), _bounds_spatial(chip, spatial)


def _divisors(n: int) -> NDArray[np.int64]:
    return np.array([i for i in range(1, n + 1) if n % i == 0], dtype=np.int64)


# -- prices and bounds, compiled ---------------------------------------------------------------------------------------


@_compiled
def _waits(chip, level, reads, writes, instances):
    """Cycles a level needs for its words."""
    if chip.shared[level]:
        return np.ceil((reads + writes) / (chip.read_rate[level] * instances))
    return max(
        np.ceil(reads / (chip.read_rate[level] * instances)), np.ceil(writes / (chip.write_rate[level] * instances))
    )


@_compiled
def _objective(chip, energy, cycles):
    if cycles > chip.max_cycles:
        return np.inf
    if chip.objective == 0:
        return energy * cycles
    return cycles if chip.objective == 1 else energy


@_compiled
def _bounds_spatial(chip, spatial):
    """Bound 1 of many spatial vectors."""
    return np.array([_bound_spatial(chip, vector) for vector in spatial])


@_compiled
def _bound_spatial(chip, spatial):
    """No mapping with this spatial vector is below: bound 1."""
    pes, reducers, steps = 1.0, 1.0, 1.0
    for d in range(8):
        pes *= spatial[d]
        steps *= chip.bounds[d] // spatial[d]
        if not _RELEVANT[_O, d]:
            reducers *= spatial[d]
    dram_reads, dram_writes = chip.words[_W] + chip.words[_I], chip.words[_O]
    cycles = max(steps, _waits(chip, _DRAM, dram_reads, dram_writes, 1.0))
    if chip.skew >= 0:
        cycles += chip.skew - 1
    into = 0.0
    for tensor in range(2):  # each PE fetches what it works on at least once
        alone = 1.0
        for d in range(8):
            if not _RELEVANT[tensor, d]:
                alone *= spatial[d]
        into += chip.words[tensor] * alone
    first = chip.words[_O] * reducers
    energy = chip.macs * chip.mac_pj + cycles * chip.leakage_pj
    energy += chip.read_pj[_RF] * (3 * chip.macs - first) + chip.write_pj[_RF] * (chip.macs + into)
    energy += chip.noc_pj * (into + first)
    energy += chip.read_pj[_DRAM] * dram_reads + chip.write_pj[_DRAM] * dram_writes
    return _objective(chip, energy, cycles)


@_compiled
def _slide(chip, d, trips, tile, step, full):
    """What a window fetches over the ``trips`` of loop ``d``, over what it would without sliding."""
    if d < _P or trips == 1:
        return 1.0
    axis = (d - _P) % 2
    extent = (tile[_P + axis] - 1) * chip.window.stride[axis] + (tile[_R + axis] - 1) * chip.window.dilation[axis] + 1
    advance = step[d] * (chip.window.stride[axis] if d < _R else chip.window.dilation[axis])
    if advance >= extent:
        return 1.0
    return (full + (trips - 1) * (full / extent * advance)) / (trips * full)


@_compiled
def _least_slide(chip, trips, of_class, tile, step, full):
    """The least of :func:`_slide` over the loops that can be innermost for I: of a class, or of any where that is K's
    or none."""
    least = 1.0
    for d in range(_P, 8):
        if trips[d] > 1 and (of_class == _I or of_class == _CLASS[d]):
            least = min(least, _slide(chip, d, trips[d], tile, step, full))
    return least


@_compiled
def _bound_registers(chip, spatial, t0, rest):
    """No mapping with these spatial vector and PE's tile is below; ``rest`` are the trips that are left: bound 2."""
    pes, reducers, steps, left = 1.0, 1.0, 1.0, 1.0
    array = np.empty(8, np.int64)
    by_class, distinct = np.ones(4), np.ones(3)
    for d in range(8):
        pes *= spatial[d]
        array[d] = t0[d] * spatial[d]
        steps *= t0[d] * rest[d]
        left *= rest[d]
        by_class[_CLASS[d]] *= rest[d]
        for tensor in range(3):
            if _RELEVANT[tensor, d]:
                distinct[tensor] *= rest[d]
        if not _RELEVANT[_O, d]:
            reducers *= spatial[d]
    first = chip.words[_O] * reducers
    drained = 1.0 if chip.reduces else reducers
    fixed = chip.macs * chip.mac_pj + chip.read_pj[_RF] * (3 * chip.macs - first) + chip.write_pj[_RF] * chip.macs
    tile0, tile_array = np.empty(3), np.empty(3)
    for tensor in range(3):
        tile0[tensor] = footprint(tensor, t0, chip.window)
        tile_array[tensor] = footprint(tensor, array, chip.window)
    slide = _least_slide(chip, rest, _I, t0, array, tile0[_I])
    apart = _distinct_inputs(spatial, t0, chip.window)
    best = np.inf
    for c in range(4):  # the class of the innermost loop; its tensor stays in place
        if c == _NONE and left > by_class[_NONE]:
            continue
        if c != _NONE and by_class[c] == 1.0:
            continue
        energy, weight_tiles, dram_reads, dram_writes = fixed, 1.0, 0.0, 0.0
        for tensor in range(3):
            visits = left / by_class[tensor] if c == tensor else left
            if left == by_class[tensor]:
                visits = 1.0
            exists = chip.exists[tensor]
            if tensor == _O:
                updates = visits * tile_array[_O] * drained * exists
                back = (visits * drained - distinct[_O]) * tile_array[_O] * exists
                energy += chip.write_pj[_RF] * (visits - distinct[_O]) * tile0[_O] * pes * exists
                energy += chip.noc_pj * ((visits - distinct[_O]) * tile0[_O] * pes * exists)
                energy += chip.noc_pj * updates * (reducers if chip.reduces else 1.0)
                kept = chip.write_pj[_GLB] * updates + chip.read_pj[_GLB] * back + chip.write_pj[_DRAM] * chip.words[_O]
                passed = chip.write_pj[_DRAM] * updates + chip.read_pj[_DRAM] * back
                dram_writes += chip.words[_O] if chip.may[_O, 1] else updates
                dram_reads += 0.0 if chip.may[_O, 1] else back
            else:
                moved, served = visits * tile0[tensor], visits * tile_array[tensor]
                if tensor == _I:
                    moved *= slide
                    served = moved * apart
                else:
                    weight_tiles = visits
                energy += (chip.write_pj[_RF] + chip.noc_pj) * moved * pes * exists
                once = chip.words[tensor]
                kept = chip.read_pj[_GLB] * served * exists + (chip.write_pj[_GLB] + chip.read_pj[_DRAM]) * once
                passed = chip.read_pj[_DRAM] * served * exists
                dram_reads += once if chip.may[tensor, 1] else served * exists
            energy += min(kept if chip.may[tensor, 1] else np.inf, passed if chip.may[tensor, 0] else np.inf)
        took = max(steps, _waits(chip, _DRAM, dram_reads, dram_writes, 1.0))
        took += weight_tiles * chip.skew - 1 if chip.skew >= 0 else 0.0
        best = min(best, _objective(chip, energy + took * chip.leakage_pj, took))
    return best


class _Tiles(NamedTuple):
    """What a spatial vector and the tiles of a PE and of the buffer mean for each tensor; filled by :func:`_look`."""

    words: NDArray[np.float64]  # (3, 3) of a PE's tile, the array's, the buffer's
    trips: NDArray[np.float64]  # (2, 4) of the buffer's and of DRAM's loops of each class
    distinct: NDArray[np.float64]  # (2, 3) tiles under all loops, under DRAM's alone
    slides: NDArray[np.float64]  # (3, 4) the least share that windows fetch: of a PE under the buffer's loops and under
    #                              DRAM's, of the buffer under DRAM's; by class of the innermost loop
    counts: NDArray[np.float64]  # (6,) PEs, PEs that add to the same sum, compute cycles, trips of both levels, PEs
    #                              whose inputs differ


@_compiled
def _look(chip, spatial, t0, t1, t2, array, buffer, tiles):
    """Fill ``tiles``; ``array`` and ``buffer`` are the tiles of all PEs and of the buffer."""
    tiles.trips[:], tiles.distinct[:] = 1.0, 1.0
    pes, reducers, steps, all1, all2 = 1.0, 1.0, 1.0, 1.0, 1.0
    for d in range(8):
        pes *= spatial[d]
        steps *= t0[d] * t1[d] * t2[d]
        all1 *= t1[d]
        all2 *= t2[d]
        tiles.trips[0, _CLASS[d]] *= t1[d]
        tiles.trips[1, _CLASS[d]] *= t2[d]
        for tensor in range(3):
            if _RELEVANT[tensor, d]:
                tiles.distinct[0, tensor] *= t1[d] * t2[d]
                tiles.distinct[1, tensor] *= t2[d]
        if not _RELEVANT[_O, d]:
            reducers *= spatial[d]
    for tensor in range(3):
        tiles.words[0, tensor] = footprint(tensor, t0, chip.window)
        tiles.words[1, tensor] = footprint(tensor, array, chip.window)
        tiles.words[2, tensor] = footprint(tensor, buffer, chip.window)
    for of_class in range(4):
        tiles.slides[0, of_class] = _least_slide(chip, t1, of_class, t0, array, tiles.words[0, _I])
        tiles.slides[1, of_class] = _least_slide(chip, t2, of_class, t0, array, tiles.words[0, _I])
        tiles.slides[2, of_class] = _least_slide(chip, t2, of_class, buffer, buffer, tiles.words[2, _I])
    counts = tiles.counts
    counts[0], counts[1], counts[2], counts[3], counts[4] = pes, reducers, steps, all1, all2
    counts[5] = _distinct_inputs(spatial, t0, chip.window)


@_compiled
def _price(chip, tiles, keep, g, h, slides):
    """What a mapping costs whose innermost loops are of class ``g`` in the buffer and ``h`` in DRAM.

    ``slides`` (3,) are the shares that windows of inputs fetch, as rows of ``tiles.slides``: with the least of each
    class this is bound 3.
    """
    counts = tiles.counts
    pes, reducers, steps, all1, all2, apart = counts[0], counts[1], counts[2], counts[3], counts[4], counts[5]
    drained = 1.0 if chip.reduces else reducers
    rf_reads, rf_writes = 3 * chip.macs, chip.macs
    glb_reads, glb_writes, dram_reads, dram_writes = 0.0, 0.0, 0.0, 0.0
    into, weight_tiles, into_words, into_glb = 0.0, 1.0, 0.0, 0.0
    for tensor in range(3):
        exists = chip.exists[tensor]
        here, above = all1 > tiles.trips[0, tensor], all2 > tiles.trips[1, tensor]  # loops that move the tensor
        visits_outer = (all2 / tiles.trips[1, tensor] if h == tensor else all2) if above else 1.0
        visits = all1 * all2 / (tiles.trips[0, tensor] if g == tensor else 1.0) if here else visits_outer
        moved_outer = visits_outer * tiles.words[2, tensor]
        if tensor == _O:
            refills = (visits - tiles.distinct[0, _O]) * tiles.words[0, _O] * pes * exists
            rf_reads -= tiles.distinct[0, _O] * tiles.words[0, _O] * pes * chip.share
            rf_writes += refills
            updates = visits * tiles.words[1, _O] * drained * exists
            back = (visits * drained - tiles.distinct[0, _O]) * tiles.words[1, _O] * exists
            into += refills + updates * (reducers if chip.reduces else 1.0)  # what leaves pays the network, too
            if keep[_O]:
                refilled = (visits_outer - tiles.distinct[1, _O]) * tiles.words[2, _O] * exists
                glb_reads += back
                glb_writes += updates + refilled
                dram_reads += refilled
                dram_writes += moved_outer * exists
            else:
                dram_reads += back
                dram_writes += updates
            continue
        moved, served = visits * tiles.words[0, tensor], visits * tiles.words[1, tensor]
        if tensor == _W:
            weight_tiles = visits
        else:
            moved *= slides[0] if here else slides[1] if above else 1.0
            moved_outer *= slides[2] if above else 1.0
            served = moved * apart
        fills = moved * pes * exists
        rf_writes += fills
        into += fills
        if keep[tensor]:
            into_words += tiles.words[2, tensor]
            into_glb += tiles.words[0, tensor]
            glb_reads += served * exists
            glb_writes += moved_outer * exists
            dram_reads += moved_outer * exists
        else:
            into_words += tiles.words[0, tensor]
            dram_reads += served * exists
    cycles = max(steps, _waits(chip, _RF, rf_reads, rf_writes, pes))
    cycles = max(cycles, _waits(chip, _GLB, glb_reads, glb_writes, 1.0))
    cycles = max(cycles, _waits(chip, _DRAM, dram_reads, dram_writes, 1.0))
    if chip.skew >= 0:
        cycles += weight_tiles * chip.skew - 1
    if chip.prologue:
        cycles += np.ceil(into_words / chip.read_rate[_DRAM] + into_glb / chip.read_rate[_GLB])
        rate = chip.read_rate[_DRAM] if chip.shared[_DRAM] else chip.write_rate[_DRAM]
        cycles += np.ceil(tiles.words[2 if keep[_O] else 0, _O] / rate)
    energy = chip.macs * chip.mac_pj + chip.noc_pj * into + chip.leakage_pj * cycles
    energy += chip.read_pj[_RF] * rf_reads + chip.write_pj[_RF] * rf_writes
    energy += chip.read_pj[_GLB] * glb_reads + chip.write_pj[_GLB] * glb_writes
    energy += chip.read_pj[_DRAM] * dram_reads + chip.write_pj[_DRAM] * dram_writes
    return _objective(chip, energy, cycles)


# -- the search --------------------------------------------------------------------------------------------------------


@_compiled
def _some_fit(chip, tile):
    """Whether anything can be kept of a tile of the buffer."""
    found = False
    for keep in chip.keeps:
        found |= keep.any() and _fits(tile, _GLB, keep, chip)
    return found


@_compiled
def _next(trips, bounds, tile, under, dim):
    """The next larger divisor of ``bounds[dim]`` as ``trips[dim]``, with ``tile`` = ``under`` * ``trips``; whether
    there is one (else back to 1)."""
    candidate = trips[dim] + 1
    while candidate <= bounds[dim] and bounds[dim] % candidate:
        candidate += 1
    found = candidate <= bounds[dim]
    trips[dim] = candidate if found else 1
    tile[dim] = under[dim] * trips[dim]
    return found


@_compiled
def _innermost(trips, of_class, out):
    """Dimensions along which inputs can slide where the innermost loop is of a class; at least one (any)."""
    n = 0
    for d in range(8):
        if trips[d] > 1 and d != _K and d != _G and (of_class == _I or _CLASS[d] == of_class):
            out[n] = d
            n += 1
    if n == 0:
        out[0] = _G
        n = 1
    return n


@_compiled
def _orders(trips, of_class, slides):
    """(innermost, second) dimensions, as the space's table of orders takes them."""
    if of_class == _I:
        return _K, (slides if slides != _G else _N)
    inner = slides if trips[slides] > 1 and slides != _G else -1
    if inner < 0:
        for d in range(8):
            if trips[d] > 1 and d != _G and (inner < 0):
                inner = d
    if inner < 0:
        return _N, _K
    second = _K if _CLASS[inner] != _CLASS[_K] else _N
    return inner, second


@_compiled
def _search(chip, spatial, spatial_bounds, known, most):
    """Best value, index of its spatial vector (-1: none better than ``known``), tiles, what is kept, loops, nodes, and
    the least bound of what was not looked at (the best value, where that is nothing)."""
    best, best_index, nodes = known, -1, 0
    best_t0, best_t1 = np.ones(8, np.int64), np.ones(8, np.int64)
    best_keep, best_inner = np.zeros(3, np.bool_), np.zeros(4, np.int64)
    ones, nothing = np.ones(8, np.int64), np.zeros(3, np.bool_)
    t0, t1, t2 = np.ones(8, np.int64), np.ones(8, np.int64), np.ones(8, np.int64)
    rest, rest0, tile = np.ones(8, np.int64), np.ones(8, np.int64), np.ones(8, np.int64)
    array = np.ones(8, np.int64)
    inner_dims, outer_dims = np.empty(8, np.int64), np.empty(8, np.int64)
    inside, outside, slides = np.empty(4, np.bool_), np.empty(4, np.bool_), np.empty(3)
    tiles = _Tiles(np.empty((3, 3)), np.empty((2, 4)), np.empty((2, 3)), np.empty((3, 4)), np.empty(6))
    for index in range(len(spatial)):
        if spatial_bounds[index] >= best * _BETTER:
            break
        for d in range(8):
            rest0[d] = chip.bounds[d] // spatial[index, d] if chip.in_registers[d] else 1
        t0[:] = 1
        more0 = _fits(t0, _RF, nothing, chip)
        while more0 and nodes < most:
            for d in range(8):
                array[d] = t0[d] * spatial[index, d]
                rest[d] = chip.bounds[d] // array[d]
            if _bound_registers(chip, spatial[index], t0, rest) < best * _BETTER:
                t1[:] = 1
                tile[:] = array
                more1, any_fits = True, _some_fit(chip, tile)
                while more1 and nodes < most:
                    nodes += 1
                    first = True
                    for d in range(8):
                        t2[d] = rest[d] // t1[d]
                        first &= t1[d] == 1
                    _look(chip, spatial[index], t0, t1, t2, array, tile, tiles)
                    for c in range(4):
                        inside[c], outside[c] = _has_class(t1, c), _has_class(t2, c)
                    for keep in chip.keeps:
                        kept = keep[0] or keep[1] or keep[2]
                        if not (_fits(tile, _GLB, keep, chip) if kept else first):
                            continue  # where nothing is kept, all tiles are alike
                        for g in range(4):
                            for h in range(4):
                                if not (inside[g] and outside[h]):
                                    continue
                                slides[0], slides[1] = tiles.slides[0, g], tiles.slides[1, h]
                                slides[2] = tiles.slides[2, h]
                                if _price(chip, tiles, keep, g, h, slides) >= best * _BETTER:
                                    continue
                                n_inner, n_outer = _innermost(t1, g, inner_dims), _innermost(t2, h, outer_dims)
                                for a in range(n_inner):
                                    for b in range(n_outer):
                                        i, o = inner_dims[a], outer_dims[b]
                                        slides[0] = _slide(chip, i, t1[i], t0, array, tiles.words[0, _I])
                                        slides[1] = _slide(chip, o, t2[o], t0, array, tiles.words[0, _I])
                                        slides[2] = _slide(chip, o, t2[o], tile, tile, tiles.words[2, _I])
                                        value = _price(chip, tiles, keep, g, h, slides)
                                        if value < best * _BETTER:
                                            best, best_index = value, index
                                            best_t0[:], best_t1[:], best_keep[:] = t0, t1, keep
                                            best_inner[0], best_inner[1] = _orders(t1, g, i)
                                            best_inner[2], best_inner[3] = _orders(t2, h, o)
                    # the next tile of the buffer that something can be kept of
                    more1 = any_fits
                    dim = 0
                    while more1:
                        if dim == 8:
                            more1 = False
                        elif _next(t1, rest, tile, array, dim):
                            if _some_fit(chip, tile):
                                break
                            t1[dim], tile[dim] = 1, array[dim]
                            dim += 1
                        else:
                            dim += 1
            # the next tile of a PE that fits
            dim = 0
            while True:
                if dim == 8:
                    more0 = False
                    break
                if _next(t0, rest0, t0, ones, dim):
                    if _fits(t0, _RF, nothing, chip):
                        break
                    t0[dim] = 1
                dim += 1
        if nodes >= most:
            return best, best_index, best_t0, best_t1, best_keep, best_inner, nodes, spatial_bounds[index]
    return best, best_index, best_t0, best_t1, best_keep, best_inner, nodes, best


@_compiled
def _has_class(trips, of_class):
    """Whether a class can hold the innermost loop; none can only where there is no other."""
    found = False
    for d in range(8):
        if d != _G and trips[d] > 1:
            if of_class == _NONE:
                return False
            found |= _CLASS[d] == of_class
    return found or of_class == _NONE
