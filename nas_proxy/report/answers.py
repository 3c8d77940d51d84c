"""Which network for which device, and how the search came to it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

import numpy as np

from nas_proxy.ranking import hypervolume, pareto_front
from nas_proxy.ranking.pareto import recommended
from nas_proxy.report.evidence import Models
from nas_proxy.report.folder import Network, Run

__all__ = ["Front", "Progress", "Recommendation", "front", "progress", "recommend"]

_NORMAL_90 = 1.645  # of a standard deviation that ``predict`` has widened already for the few measurements

#: What a recommendation rests on: latencies predicted, found on the target afterwards, or after optimising for it.
Basis = Literal["predicted", "found", "optimised"]


@dataclass(frozen=True)
class Recommendation:
    """The network to ship to a target.

    Attributes:
        network: None where none keeps the limit.
        latency_ms, interval_ms: of the network, by what ``basis`` says. Of a prediction the interval in which nine of
            ten measurements lie; of a measurement the 95 % interval of its median; None: not known, or a simulation.
        predicted_ms, predicted_interval_ms: what was predicted of it before.
    """

    target: str
    network: Network | None
    basis: Basis
    latency_ms: float | None = None
    interval_ms: tuple[float, float] | None = None
    predicted_ms: float | None = None
    predicted_interval_ms: tuple[float, float] | None = None


@dataclass(frozen=True)
class Front:
    """Numbers of the networks that no other beats in accuracy and predicted latency on a target, the fastest first."""

    target: str
    numbers: tuple[int, ...]


@dataclass(frozen=True)
class Progress:
    """A target's hypervolume after each result, as a share of the last; the corner is the worst of all results."""

    target: str
    hypervolume: tuple[float, ...]


def recommend(run: Run, models: Models | None, target: str) -> Recommendation:
    """The network for a target by the best knowledge that the run has: optimised, found or predicted latencies."""
    by_arch = {network.arch: network for network in run.networks}
    basis, latencies, intervals = _best_known(run, target)
    known = [by_arch[arch] for arch in latencies if arch in by_arch]
    latency_ms = [latencies[network.arch] for network in known]
    chosen = recommended([network.accuracy for network in known], latency_ms, run.limits_ms.get(target))
    if chosen is None:
        return Recommendation(target, None, basis)
    network = known[chosen]
    predicted = _interval(models, target, network.arch)
    return Recommendation(
        target=target,
        network=network,
        basis=basis,
        latency_ms=latency_ms[chosen],
        interval_ms=predicted if basis == "predicted" else intervals.get(network.arch),
        predicted_ms=network.predicted_ms[target],
        predicted_interval_ms=predicted,
    )


def _best_known(run: Run, target: str) -> tuple[Basis, Mapping[str, float], Mapping[str, tuple[float, float]]]:
    optimised = [f for f in run.finalists.finalists if f.target == target] if run.finalists else []
    known = {network.arch for network in run.networks}
    if any(finalist.arch in known for finalist in optimised):
        intervals = {f.arch: (f.interval_ms[0], f.interval_ms[1]) for f in optimised if f.interval_ms is not None}
        return "optimised", {f.arch: f.latency_ms for f in optimised}, intervals
    for check in run.checks:
        if check.target == target:
            return "found", dict(zip(check.archs, check.true_ms, strict=True)), {}
    return "predicted", {network.arch: network.predicted_ms[target] for network in run.networks}, {}


def _interval(models: Models | None, target: str, arch: str) -> tuple[float, float] | None:
    """Where a measurement will lie with 90 % probability."""
    if models is None:
        return None
    space = models.proxy.space
    [mean_ms], [std_ms] = models.targets[target].predict([space.from_str(arch)], return_std=True)
    half_ms = _NORMAL_90 * float(std_ms)
    return max(float(mean_ms) - half_ms, 0.0), float(mean_ms) + half_ms


def front(run: Run, target: str) -> Front:
    """The Pareto front on a target, by predicted latency, limits or not."""
    accuracy = [network.accuracy for network in run.networks]
    latency_ms = [network.predicted_ms[target] for network in run.networks]
    return Front(target, tuple(run.networks[i].number for i in pareto_front(accuracy, latency_ms)))


def progress(run: Run, target: str) -> Progress:
    """How a target's hypervolume grew."""
    accuracy = np.array([network.accuracy for network in run.networks])
    latency_ms = np.array([network.predicted_ms[target] for network in run.networks])
    corner = float(accuracy.min()), float(latency_ms.max())
    volumes = [hypervolume(accuracy[:n], latency_ms[:n], *corner) for n in range(1, len(accuracy) + 1)]
    return Progress(target, tuple(volume / (volumes[-1] or 1.0) for volume in volumes))
