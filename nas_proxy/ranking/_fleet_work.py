"""What all devices of a fleet share, and the work done for some of them at a time."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy import stats

from nas_proxy.datasets import LatencyTable
from nas_proxy.errors import InputError
from nas_proxy.ranking._fleet_cover import Cover
from nas_proxy.ranking._fleet_monotonicity import assess_fleet, pairs_of
from nas_proxy.ranking._fleet_posterior import fit_fleet
from nas_proxy.ranking._posterior import Inputs, ProxyKnowledge
from nas_proxy.ranking._robust import HALF_WIDTH
from nas_proxy.ranking._scale import positive
from nas_proxy.ranking.monotonicity import GOOD_ENOUGH
from nas_proxy.ranking.proxy import ProxyLatencyModel
from nas_proxy.ranking.target import unmeasured
from nas_proxy.ties import SAME, levels

__all__ = ["FILLED", "Demand", "Work"]

_UNSURE_TAU, _UNSURE_LATENCY = 0.5, 0.25
_SPIKE = 3.0  # inflation of a measurement 3.3 standard deviations off
_SPIKES = 0.1  # of the measurements; of Student-t noise 3 % are that far off
_CONFIDENCE = 0.95  # each side
FILLED = ("unit_ms", "kendall_tau", "tau_low", "tau_high", "limit_ms", "latency_ms", "low_ms", "high_ms")
"""Results of each device that are numbers: NaN until they are known."""


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


@dataclass
class Work:
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
    ) -> Work:
        inputs, b = proxy.inputs(candidates), len(table.devices)
        return cls(
            measured_inputs=proxy.inputs(table.archs),
            known=proxy.knowledge,
            rows=inputs.matrix,
            pairs=pairs_of(proxy.inputs(unmeasured(proxy, table.archs))),
            accuracy=accuracy,
            demand=demand,
            values_ms=np.ascontiguousarray(table.values_ms.T),
            coefficients=np.full((b, inputs.matrix.shape[1]), np.nan),
            spikes=np.zeros(b, dtype=np.int64),
            best=np.full(b, -1),
            serves=np.zeros((b, (len(candidates) + 7) // 8), dtype=np.uint8),
            **{name: np.full(b, np.nan) for name in FILLED},
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
            self.best[devices] = best = _first_smallest(latency_ms)
            return latency_ms <= (1 + within + SAME) * latency_ms[here, best][:, None]
        if self.demand.limit_ms is None:
            limit = np.quantile(latency_ms, self.demand.quantile, axis=1)
        else:
            limit = np.full(len(devices), self.demand.limit_ms)
        keeps = latency_ms <= limit[:, None] * (1 + SAME)
        most = np.where(keeps, self.accuracy, -np.inf).max(axis=1, keepdims=True)
        most = most - SAME * np.abs(most)
        best = _first_smallest(np.where(keeps & (self.accuracy >= most), latency_ms, np.inf))
        self.limit_ms[devices] = limit
        self.best[devices] = np.where(keeps.any(axis=1), best, -1)
        return keeps & (self.accuracy >= (1 - within) * most)

    def grouped(self, served: Cover) -> tuple[NDArray[np.int64], NDArray[np.float64]]:
        """Which of the shared networks each device gets, and its latency there, ``(b,)`` each."""
        group, latency_ms = np.full(len(self.best), -1), np.full(len(self.best), np.nan)
        devices = np.flatnonzero(self.best >= 0)
        if len(devices):
            there = self.predict(devices, self.rows[served.chosen])
            cost = there if self.accuracy is None else np.broadcast_to(-self.accuracy[served.chosen], there.shape)
            group[devices] = _first_smallest(np.where(served.serves[devices], cost, np.inf))
            latency_ms[devices] = there[np.arange(len(devices)), group[devices]]
        return group, latency_ms

    def doubts(self, device: int) -> tuple[str, ...]:
        """Why to doubt what is said of a device that has a model."""
        own = self.values_ms[device]
        own = own[np.isfinite(own)]
        distinct = levels(own).max() + 1
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
            f"{distinct} distinct latencies, a coarse clock": 2 * distinct <= len(own),
            f"no candidate keeps {self.limit_ms[device]:.4g} ms": self.best[device] < 0,
        }
        return tuple(reason for reason, holds in reasons.items() if holds)


def _first_smallest(values: NDArray[np.float64]) -> NDArray[np.int64]:
    """:func:`nas_proxy.ties.first_smallest` of each row, ``(devices,)``; infinite values are not taken."""
    least = values.min(axis=1, keepdims=True)
    return (values <= least + SAME * np.where(np.isfinite(least), np.abs(least), 0.0)).argmax(axis=1)
