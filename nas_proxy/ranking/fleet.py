"""Fleets: thousands of targets that measured the same few architectures, adapted and served at once.

What *best* means on a device: with accuracies, the most accurate network whose predicted latency keeps the device's
limit; without, every candidate is as good as another, and the fastest is best. A network *serves* a device if it is
within a share ``within`` of the best: with accuracies it keeps the limit and loses at most that share of the best
accuracy; without, it takes at most that share longer than the fastest.

Devices are worked through a few at a time; the latencies of all candidates on all devices are never there at once.
"""

from __future__ import annotations

from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray
from threadpoolctl import threadpool_limits  # pyright: ignore[reportMissingTypeStubs]

from nas_proxy.datasets import LatencyTable
from nas_proxy.errors import InputError, whole_number
from nas_proxy.ranking._fleet_cover import cover
from nas_proxy.ranking._fleet_work import FILLED, Demand, Work
from nas_proxy.ranking._measurements import FEWEST
from nas_proxy.ranking.proxy import ProxyLatencyModel
from nas_proxy.spaces import space_text

__all__ = ["Demand", "Fleet", "recommend_fleet"]

_CHUNK_BYTES = 4e6
_PAIR_DRAWS = 20_000  # numbers that stating Kendall's tau takes of each device


@dataclass(frozen=True)
class Fleet:
    """What is known and recommended for each of ``b`` devices; NaN and -1 where there is nothing.

    Attributes:
        devices: their names.
        candidates: the architectures that were chosen among; indices below are into these.
        accuracy: of the candidates, percent, or None.
        measured: usable measurements of each device, ``(b,)``.
        unit_ms: mean measured latency of each device, ``(b,)``.
        kendall_tau, tau_low, tau_high: expected of each predicted ranking, and its 90 % interval, ``(b,)``.
        limit_ms: of each device, ``(b,)``; NaN without accuracies.
        best: the candidate to ship, ``(b,)``; -1 where there is no model or nothing keeps the limit.
        latency_ms, low_ms, high_ms: its predicted latency and the 90 % interval of a measurement, ``(b,)``.
        doubts: why each device is doubtful; empty where it is not.
        shared: a few candidates that serve all devices, ``(g,)``; the fewest possible are between ``fewest`` and ``g``.
        group: which of ``shared`` each device gets, the most accurate (without accuracies the fastest) that serves it,
            ``(b,)``; -1 where ``best`` is.
        shared_latency_ms: its predicted latency, ``(b,)``.
    """

    devices: tuple[str, ...]
    candidates: tuple[Any, ...]
    accuracy: NDArray[np.float64] | None
    measured: NDArray[np.int64]
    unit_ms: NDArray[np.float64]
    kendall_tau: NDArray[np.float64]
    tau_low: NDArray[np.float64]
    tau_high: NDArray[np.float64]
    limit_ms: NDArray[np.float64]
    best: NDArray[np.int64]
    latency_ms: NDArray[np.float64]
    low_ms: NDArray[np.float64]
    high_ms: NDArray[np.float64]
    doubts: tuple[tuple[str, ...], ...]
    shared: NDArray[np.int64]
    fewest: int
    group: NDArray[np.int64]
    shared_latency_ms: NDArray[np.float64]


def recommend_fleet(
    proxy: ProxyLatencyModel,
    table: LatencyTable,
    candidates: Sequence[Any],
    accuracy: ArrayLike | None = None,
    demand: Demand | None = None,
    jobs: int = 2,
) -> Fleet:
    """Adapt the proxy to every device of a table and say which network each should get, and how few would do.

    Devices with fewer than three measurements, or whose measurements are all the same, get no model and say so in
    their ``doubts``.

    Args:
        proxy: fitted to the proxy device.
        table: measurements of the devices; gaps are fine.
        candidates: the ``m`` architectures to choose among.
        accuracy: theirs, in percent, ``(m,)``.
        demand: limit and tolerance.
        jobs: threads.

    Raises:
        InputError: the table is of another space, no device can be adapted to, there are no candidates, or not as many
            accuracies as candidates.
    """
    demand, jobs = demand or Demand(), whole_number(jobs, "the number of threads", least=1)
    if table.space != (own := space_text(proxy.space)):
        raise InputError(f"the fleet's measurements are of {table.space!r}, the proxy's of {own!r}: use one space.")
    candidates = tuple(candidates)
    if not candidates:
        raise InputError("there are no candidates to recommend: give at least one architecture.")
    if accuracy is not None:
        accuracy = np.asarray(accuracy, dtype=np.float64)
        if accuracy.shape != (len(candidates),) or not np.isfinite(accuracy).all():
            raise InputError(
                f"expected {len(candidates)} finite accuracies, one per candidate, found an array of shape "
                f"{accuracy.shape}."
            )
    elif demand.limit_ms is not None:
        raise InputError(
            "a latency limit needs accuracies: without them the fastest candidate is recommended, whatever the limit."
        )
    latency_ms = table.values_ms.T  # (b, n)
    measured = np.isfinite(latency_ms).sum(axis=1)
    unusable = [_unusable(row, n) for row, n in zip(latency_ms, measured, strict=True)]
    usable = np.flatnonzero([reason == "" for reason in unusable])
    if not len(usable):
        raise InputError(f"no device of the fleet can be adapted to; {table.devices[0]!r}: {unusable[0]}.")

    if proxy.scale != "linear":
        raise InputError(f"a fleet is adapted on the linear scale, the proxy was fitted on the scale {proxy.scale!r}.")
    # of equals the first by text is taken, whatever the order of the candidates
    by_text = np.array(sorted(range(len(candidates)), key=lambda i: proxy.space.to_str(candidates[i])))
    ordered = tuple(candidates[i] for i in by_text)
    work = Work.of(proxy, table, ordered, None if accuracy is None else accuracy[by_text], demand)
    size = max(1, int(_CHUNK_BYTES / 8 / max(len(candidates), _PAIR_DRAWS)))
    chunks = [usable[start : start + size] for start in range(0, len(usable), size)]
    with threadpool_limits(1), ThreadPoolExecutor(jobs) as pool:  # one thread of linear algebra in each of ours
        list(pool.map(work.run, chunks))
    served = cover(work.serves, len(candidates))
    group, shared_latency_ms = work.grouped(served)
    return Fleet(
        devices=table.devices,
        candidates=candidates,
        accuracy=accuracy,
        measured=measured,
        best=np.where(work.best >= 0, by_text[work.best], -1),
        shared=by_text[served.chosen],
        fewest=served.at_least,
        group=group,
        shared_latency_ms=shared_latency_ms,
        doubts=tuple((reason,) if reason else work.doubts(i) for i, reason in enumerate(unusable)),
        **{name: getattr(work, name) for name in FILLED},
    )


def _unusable(latency_ms: NDArray[np.float64], measured: int) -> str:
    """Why there can be no model; empty if there can."""
    if measured < FEWEST:
        return f"{measured} measurements, at least {FEWEST} are needed"
    if np.nanmax(latency_ms) - np.nanmin(latency_ms) <= 1e-12 * np.nanmax(latency_ms):
        return "all latencies are the same, so architectures have no rank"
    return ""
