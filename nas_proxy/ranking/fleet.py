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
from scipy import stats
from threadpoolctl import threadpool_limits

from nas_proxy.datasets import LatencyTable
from nas_proxy.errors import InputError, whole_number
from nas_proxy.ranking._fleet_cover import Cover, cover
from nas_proxy.ranking._fleet_monotonicity import assess_fleet, pairs_of
from nas_proxy.ranking._fleet_posterior import fit_fleet
from nas_proxy.ranking._measurements import FEWEST
from nas_proxy.ranking._positive import positive
from nas_proxy.ranking._posterior import Inputs, ProxyKnowledge
from nas_proxy.ranking._robust import HALF_WIDTH
from nas_proxy.ranking.monotonicity import ARCHITECTURES, GOOD_ENOUGH
from nas_proxy.ranking.proxy import ProxyLatencyModel
from nas_proxy.spaces import space_text

__all__ = ["Demand", "Fleet", "recommend_fleet"]

_CHUNK_BYTES = 4e6
_PAIR_DRAWS = 20_000  # numbers that stating Kendall's tau takes of each device
_UNSURE_TAU, _UNSURE_LATENCY = 0.5, 0.25
_SPIKE = 3.0  # inflation of a measurement 3.3 standard deviations off
_SPIKES = 0.1  # of the measurements; of Student-t noise 3 % are that far off
_CONFIDENCE = 0.95  # each side


@dataclass(frozen=True)
class Demand:
    """What is asked of a device's network.

    Attributes:
        limit_ms: its predicted latency may be at most this; the same for all devices.
        quantile: without ``limit_ms``, the limit of each device is this quantile of the candidates' latencies on it.
        within: how far a shared network may be from the device's best, as a share (see the module).

    Raises:
        InputError: a value is out of range.
    """

    limit_ms: float | None = None
    quantile: float = 0.25
    within: float = 0.01

    def __post_init__(self) -> None:
        if self.limit_ms is not None and not (np.isfinite(self.limit_ms) and self.limit_ms > 0):
            raise InputError(f"the latency limit must be a positive number of ms, found {self.limit_ms}.")
        if not 0 < self.quantile <= 1:
            raise InputError(f"the limit's quantile must be above 0 and at most 1, found {self.quantile}.")
        if not 0 <= self.within < 1:
            raise InputError(
                f"how far from the best must be a share from 0 up to 1 (5 % is 0.05), found {self.within}."
            )


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

    work = _Work.of(proxy, table, candidates, accuracy, demand)
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
        shared=served.chosen,
        fewest=served.at_least,
        group=group,
        shared_latency_ms=shared_latency_ms,
        doubts=tuple((reason,) if reason else work.doubts(i) for i, reason in enumerate(unusable)),
        **{name: getattr(work, name) for name in _FILLED},
        best=work.best,
    )


def _unusable(latency_ms: NDArray[np.float64], measured: int) -> str:
    """Why there can be no model; empty if there can."""
    if measured < FEWEST:
        return f"{measured} measurements, at least {FEWEST} are needed"
    if np.nanmax(latency_ms) - np.nanmin(latency_ms) <= 1e-12 * np.nanmax(latency_ms):
        return "all latencies are the same, so architectures have no rank"
    return ""


_FILLED = ("unit_ms", "kendall_tau", "tau_low", "tau_high", "limit_ms", "latency_ms", "low_ms", "high_ms")


@dataclass
class _Work:
    """The inputs that all devices share, and the results: each chunk of devices fills its own rows."""

    measured_inputs: Inputs
    known: ProxyKnowledge
    rows: NDArray[np.float64]  # of the candidates, (m, 3 + d)
    pairs: NDArray[np.float64]
    accuracy: NDArray[np.float64] | None
    demand: Demand
    values_ms: NDArray[np.float64]  # (b, n)
    coefficients: NDArray[np.float64]
    spikes: NDArray[np.int64]
    best: NDArray[np.int64]
    serves: NDArray[np.uint8]  # packed bits
    unit_ms: NDArray[np.float64]
    kendall_tau: NDArray[np.float64]
    tau_low: NDArray[np.float64]
    tau_high: NDArray[np.float64]
    limit_ms: NDArray[np.float64]
    latency_ms: NDArray[np.float64]
    low_ms: NDArray[np.float64]
    high_ms: NDArray[np.float64]

    @classmethod
    def of(
        cls,
        proxy: ProxyLatencyModel,
        table: LatencyTable,
        candidates: tuple[Any, ...],
        accuracy: NDArray[np.float64] | None,
        demand: Demand,
    ) -> _Work:
        inputs, b = proxy.inputs(candidates), len(table.devices)
        return cls(
            measured_inputs=proxy.inputs(table.archs),
            known=proxy.knowledge,
            rows=inputs.matrix,
            pairs=pairs_of(_unmeasured(proxy, table)),
            accuracy=accuracy,
            demand=demand,
            values_ms=np.ascontiguousarray(table.values_ms.T),
            coefficients=np.full((b, inputs.matrix.shape[1]), np.nan),
            spikes=np.zeros(b, dtype=np.int64),
            best=np.full(b, -1),
            serves=np.zeros((b, (len(candidates) + 7) // 8), dtype=np.uint8),
            **{name: np.full(b, np.nan) for name in _FILLED},
        )

    def run(self, devices: NDArray[np.int64]) -> None:
        """Adapt to devices, rank the candidates on them and find who serves them."""
        values_ms = self.values_ms[devices]
        self.unit_ms[devices] = unit = np.nanmean(values_ms, axis=1)
        posterior = fit_fleet(self.measured_inputs, values_ms / unit[:, None], self.known)
        self.coefficients[devices] = posterior.coefficients
        self.spikes[devices] = (posterior.inflation > _SPIKE).sum(axis=1)
        tau = assess_fleet(posterior, self.pairs)
        self.kendall_tau[devices], self.tau_low[devices], self.tau_high[devices] = tau.kendall_tau, tau.low, tau.high

        latency_ms = self.predict(devices)
        served = self._demand(devices, latency_ms)
        self.serves[devices] = np.packbits(served, axis=1)
        best = self.best[devices]
        fine, at = np.flatnonzero(best >= 0), best[best >= 0]
        mean_ms, rows = latency_ms[fine, at], self.rows[at]
        variance = np.maximum((rows * (posterior.covariance[fine] @ rows[:, :, None])[:, :, 0]).sum(axis=1), 0.0)
        variance += (HALF_WIDTH * posterior.noise_sd[fine]) ** 2
        n = np.isfinite(values_ms[fine]).sum(axis=1)
        half_ms = unit[fine] * np.sqrt(variance) * stats.t.ppf(_CONFIDENCE, n)
        self.latency_ms[devices[fine]] = mean_ms
        self.low_ms[devices[fine]], self.high_ms[devices[fine]] = np.maximum(mean_ms - half_ms, 0.0), mean_ms + half_ms

    def predict(self, devices: NDArray[np.int64], rows: NDArray[np.float64] | None = None) -> NDArray[np.float64]:
        """Latencies in ms of the candidates, or of other ``rows``, ``(devices, m)``."""
        unit = self.unit_ms[devices, None]
        lowest = np.nanmin(self.values_ms[devices], axis=1, keepdims=True) / unit
        return unit * positive(self.coefficients[devices] @ (self.rows if rows is None else rows).T, lowest)

    def _demand(self, devices: NDArray[np.int64], latency_ms: NDArray[np.float64]) -> NDArray[np.bool_]:
        """Each device's limit and best candidate; which candidates serve it ``(devices, m)``."""
        within, here = self.demand.within, np.arange(len(devices))
        if self.accuracy is None:
            best = latency_ms.argmin(axis=1)
            self.best[devices] = best
            return latency_ms <= (1 + within) * latency_ms[here, best][:, None]
        if self.demand.limit_ms is None:
            limit = np.quantile(latency_ms, self.demand.quantile, axis=1)
        else:
            limit = np.full(len(devices), self.demand.limit_ms)
        keeps = latency_ms <= limit[:, None]
        most = np.where(keeps, self.accuracy, -np.inf).max(axis=1, keepdims=True)
        best = np.where(keeps & (self.accuracy >= most), latency_ms, np.inf).argmin(axis=1)
        self.limit_ms[devices] = limit
        self.best[devices] = np.where(keeps.any(axis=1), best, -1)
        return keeps & (self.accuracy >= (1 - within) * most)

    def grouped(self, served: Cover) -> tuple[NDArray[np.int64], NDArray[np.float64]]:
        """Which of the shared networks each device gets, and its latency there, ``(b,)`` each."""
        group, latency_ms = np.full(len(self.best), -1), np.full(len(self.best), np.nan)
        devices = np.flatnonzero(self.best >= 0)
        if len(devices):
            there = self.predict(devices, self.rows[served.chosen])
            worth = -there if self.accuracy is None else np.broadcast_to(self.accuracy[served.chosen], there.shape)
            group[devices] = np.where(served.serves[devices], worth, -np.inf).argmax(axis=1)
            latency_ms[devices] = there[np.arange(len(devices)), group[devices]]
        return group, latency_ms

    def doubts(self, device: int) -> tuple[str, ...]:
        """Why to doubt what is said of a device that has a model."""
        own = self.values_ms[device]
        own = own[np.isfinite(own)]
        half = (self.high_ms[device] - self.low_ms[device]) / 2
        reasons = {
            f"Kendall's tau {self.kendall_tau[device]:.2f}, below {GOOD_ENOUGH}": self.kendall_tau[device]
            < GOOD_ENOUGH,
            f"Kendall's tau may be as low as {self.tau_low[device]:.2f}": self.tau_low[device] < _UNSURE_TAU,
            f"latency known to {half / self.latency_ms[device]:.0%} only": half
            > _UNSURE_LATENCY * self.latency_ms[device],
            f"{self.spikes[device]} of {len(own)} measurements look like spikes": self.spikes[device]
            > _SPIKES * len(own),
            f"{len(own)} of {len(self.values_ms[device])} architectures measured": 2 * len(own)
            < self.values_ms.shape[1],
            f"{len(np.unique(own))} distinct latencies, a coarse clock": 2 * len(np.unique(own)) <= len(own),
            f"no candidate keeps {self.limit_ms[device]:.4g} ms": self.best[device] < 0,
        }
        return tuple(reason for reason, holds in reasons.items() if holds)


def _unmeasured(proxy: ProxyLatencyModel, table: LatencyTable) -> Inputs:
    """Architectures to state Kendall's tau on: of the proxy's and, where those are few, of the space."""
    to_str = proxy.space.to_str
    seen = set(map(to_str, table.archs))
    found = {text: arch for arch in proxy.archs if (text := to_str(arch)) not in seen}
    if len(found) < ARCHITECTURES:
        found |= {text: arch for arch in proxy.space.pool() if (text := to_str(arch)) not in seen}
    return proxy.inputs(list(found.values()) or proxy.archs)
