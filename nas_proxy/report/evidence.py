"""Is the proxy good enough? What the models of a run predict of measurements that were held out."""

from __future__ import annotations

import itertools
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from nas_proxy.errors import InputError
from nas_proxy.ranking import Monotonicity, ProxyLatencyModel, TargetLatencyModel
from nas_proxy.ranking.kendall import kendall_tau
from nas_proxy.report.folder import Run

__all__ = [
    "Density",
    "Evidence",
    "Models",
    "RankCorrelations",
    "density",
    "evidence",
    "fit_models",
    "predict_space",
    "rank_correlations",
]

_FOLDS = 10
_BINS = 60
_SHOWN = 0.995  # of the space; the slowest networks would stretch the axis


@dataclass(frozen=True)
class Models:
    """A run's latency models, fitted again to the measurements that they were fitted to."""

    proxy: ProxyLatencyModel
    targets: Mapping[str, TargetLatencyModel]
    measured_ms: Mapping[str, NDArray[np.float64]]


@dataclass(frozen=True)
class Evidence:
    """What a target's ranking is worth.

    Attributes:
        archs, measured_ms: the target's measurements.
        held_out_ms: predicted without the measurement itself; empty where too few would be left to predict from.
        proxy_tau: Kendall's tau of the measurements and the proxy's latencies as they are, without adaptation.
        held_out_tau: of the measurements and ``held_out_ms``, None where those are empty.
        stated: agreement to expect on networks that were not measured, as stated before the search.
    """

    target: str
    archs: tuple[str, ...]
    measured_ms: tuple[float, ...]
    held_out_ms: tuple[float, ...]
    proxy_tau: float
    held_out_tau: float | None
    stated: Monotonicity


@dataclass(frozen=True)
class RankCorrelations:
    """Kendall's tau between the latencies that devices are predicted to have on ``n`` networks of the space."""

    devices: tuple[str, ...]
    tau: tuple[tuple[float, ...], ...]
    n: int


@dataclass(frozen=True)
class Density:
    """How many networks of the space are predicted to lie between neighbouring ``edges_ms``."""

    edges_ms: tuple[float, ...]
    counts: tuple[int, ...]


def fit_models(run: Run) -> Models | None:
    """The latency models of a run, None where its folder does not say what they were fitted to."""
    if not run.samples:
        return None
    table = run.samples["proxy"]
    proxy = ProxyLatencyModel(run.space).fit(table.archs, table.values_ms[:, 0])
    targets, measured = {}, {}
    for name in run.targets:
        table = run.samples[name]
        measured[name] = table.values_ms[:, 0]
        targets[name] = proxy.adapt(table.archs, measured[name])
    return Models(proxy, targets, measured)


def evidence(run: Run, models: Models, target: str) -> Evidence:
    """Compare a target's measurements with what the proxy, and the other measurements, say of them."""
    model, measured_ms = models.targets[target], models.measured_ms[target]
    held_out_ms = _held_out(models.proxy, model.archs, measured_ms)
    return Evidence(
        target=target,
        archs=tuple(map(models.proxy.space.to_str, model.archs)),
        measured_ms=tuple(measured_ms.tolist()),
        held_out_ms=tuple(held_out_ms.tolist()),
        proxy_tau=kendall_tau(models.proxy.predict(model.archs), measured_ms),
        held_out_tau=kendall_tau(held_out_ms, measured_ms) if len(held_out_ms) else None,
        stated=run.stated.get(target) or model.monotonicity,
    )


def _held_out(proxy: ProxyLatencyModel, archs: Sequence[Any], measured_ms: NDArray[np.float64]) -> NDArray[np.float64]:
    """Each measurement predicted from the others: 10-fold, each from nine tenths of them."""
    predicted_ms, folds = np.empty_like(measured_ms), np.arange(len(measured_ms)) % _FOLDS
    try:
        for fold in np.unique(folds):
            inside, outside = np.flatnonzero(folds != fold), np.flatnonzero(folds == fold)
            model = proxy.adapt([archs[int(i)] for i in inside], measured_ms[inside])
            predicted_ms[outside] = model.predict([archs[int(i)] for i in outside])
    except InputError:  # too few are left, or they do not differ
        return np.empty(0)
    return predicted_ms


def predict_space(models: Models) -> dict[str, NDArray[np.float64]]:
    """Latencies in ms of the space's networks (2,000 where they cannot be listed) on the proxy and each target."""
    pool = models.proxy.space.pool()
    return {"proxy": models.proxy.predict(pool)} | {name: model.predict(pool) for name, model in models.targets.items()}


def rank_correlations(predicted_ms: Mapping[str, NDArray[np.float64]]) -> RankCorrelations:
    """How similarly devices rank networks, by what :func:`predict_space` gives."""
    values = list(predicted_ms.values())
    tau = np.eye(len(values))
    for i, j in itertools.combinations(range(len(values)), 2):
        tau[i, j] = tau[j, i] = kendall_tau(values[i], values[j])
    return RankCorrelations(tuple(predicted_ms), tuple(map(tuple, tau.tolist())), len(values[0]))


def density(predicted_ms: NDArray[np.float64]) -> Density:
    """Where latencies lie."""
    highest = float(np.quantile(predicted_ms, _SHOWN))
    counts, edges = np.histogram(predicted_ms, bins=_BINS, range=(float(predicted_ms.min()), highest))
    return Density(tuple(edges.tolist()), tuple(counts.tolist()))
