"""How few networks serve all devices of a fleet: set cover, greedily, and a bound from below."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, cast

import numpy as np
from numpy.typing import NDArray
from scipy import sparse
from scipy.optimize import linprog

__all__ = ["Cover", "cover"]

_CHUNK = 512
_BOUND_DEVICES = 150


@dataclass(frozen=True)
class Cover:
    """A few networks that together serve every device that any network serves.

    Attributes:
        chosen: indices of the networks, those that serve most first, ``(g,)``.
        serves: whether each of them serves each device, ``(devices, g)``.
        at_least: fewer networks than this cannot do. ``g`` itself is only an upper bound of what is needed.
    """

    chosen: NDArray[np.int64]
    serves: NDArray[np.bool_]
    at_least: int


def cover(packed: NDArray[np.uint8], networks: int) -> Cover:
    """Choose networks until all devices are served.

    Each time the network is taken that serves most of the devices left, of equals the first. That needs at most
    ``1 + ln(devices)`` times as many networks as the best choice (Chvatal, Math. Oper. Res. 1979).

    Args:
        packed: which network serves which device, bits as :func:`numpy.packbits` packs rows, ``(devices, bytes)``.
        networks: how many bits of a row count.
    """
    left = np.flatnonzero(packed.any(axis=1))
    wins = _count(packed, left, networks)
    chosen: list[int] = []
    while len(left):
        network = int(np.argmax(wins))
        served = _bit(packed[left], network)
        wins -= _count(packed, left[served], networks)
        left = left[~served]
        chosen.append(network)
    serves = np.stack([_bit(packed, network) for network in chosen], axis=1) if chosen else np.zeros((len(packed), 0))
    return Cover(np.array(chosen, dtype=np.int64), serves.astype(bool), _at_least(packed, networks))


def _bit(packed: NDArray[np.uint8], network: int) -> NDArray[np.bool_]:
    return (packed[:, network // 8] >> (7 - network % 8) & 1).astype(bool)


def _count(packed: NDArray[np.uint8], rows: NDArray[np.int64], networks: int) -> NDArray[np.int64]:
    """How many of the rows each network serves; unpacked a few rows at a time."""
    counts = np.zeros(networks, dtype=np.int64)
    for start in range(0, len(rows), _CHUNK):
        counts += np.unpackbits(packed[rows[start : start + _CHUNK]], axis=1, count=networks).sum(
            axis=0, dtype=np.int64
        )
    return counts


def _at_least(packed: NDArray[np.uint8], networks: int) -> int:
    """The linear relaxation's optimum, rounded up, for some of the devices: a bound for all of them.

    Taken are the devices that the fewest networks serve, which need the most networks of their own.
    """
    distinct = np.unique(packed[packed.any(axis=1)], axis=0)
    if not len(distinct):
        return 0
    choices = np.concatenate([
        np.bitwise_count(distinct[start : start + _CHUNK]).sum(axis=1, dtype=np.int64)
        for start in range(0, len(distinct), _CHUNK)
    ])  # fmt: skip
    hardest = distinct[np.argsort(choices, kind="stable")[:_BOUND_DEVICES]]
    bits = np.unpackbits(hardest, axis=1, count=networks)
    columns = np.unique(np.packbits(bits, axis=0), axis=1)  # networks that serve the same devices are one
    bits = np.unpackbits(columns, axis=0, count=len(hardest))
    found = linprog(
        np.ones(bits.shape[1]),
        A_ub=cast(Any, -sparse.csr_array(bits.astype(np.float64))),  # scipy's stubs know dense matrices only
        b_ub=-np.ones(len(hardest)),
        bounds=(0, None),
        method="highs",
    )
    return int(np.ceil(found.fun - 1e-6)) if found.status == 0 and found.fun is not None else 1
