"""A zoo of pretrained networks, ranked on a device from a handful of its measurements.

Latencies in one zoo differ by a factor of ten thousand, and a user decides between networks of similar latency, so the
models of :mod:`nas_proxy.ranking` are given the logarithm of the latency: an error of ten percent counts the same
for a fast and for a slow network.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Self

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy import stats

from nas_proxy.datasets import LatencyTable
from nas_proxy.datasets.timm import PretrainedWeights
from nas_proxy.errors import InputError, listed
from nas_proxy.ranking import Monotonicity, ProxyLatencyModel, TargetLatencyModel, pareto_front
from nas_proxy.ranking._measurements import checked
from nas_proxy.ranking._posterior import Inputs
from nas_proxy.ranking._robust import DEGREES_OF_FREEDOM, HALF_WIDTH
from nas_proxy.spaces import SearchSpace

__all__ = [
    "RankedNetwork",
    "ZooProxy",
    "ZooRanking",
    "adapt_zoo",
    "fit_zoo",
    "log_latency",
    "predict_zoo",
    "rank_zoo",
    "suggest_networks",
]

_PICOSECOND_MS = 1e-9
_HALF_WIDTHS = float(stats.t.ppf(0.95, DEGREES_OF_FREEDOM)) / HALF_WIDTH
"""A predicted standard deviation is the half-width that 68 % of Student-t noise is within; for 90 % so many of them."""
_SUGGESTED_QUANTILES = (0.05, 0.9)


@dataclass(frozen=True)
class RankedNetwork:
    """A set of pretrained weights (or a network without any) and its latency on the target.

    Attributes:
        name: of the weights in timm, or of the network.
        arch: network and image size.
        latency_ms: time per image, measured or predicted.
        low_ms, high_ms: 90 % interval of a prediction; the measurement itself where there is one.
        measured: whether the target has measured it.
        top1: ImageNet accuracy in percent.
        on_front: no other network is both faster and more accurate.
    """

    name: str
    arch: str
    latency_ms: float
    low_ms: float
    high_ms: float
    measured: bool
    top1: float | None
    on_front: bool


@dataclass(frozen=True)
class ZooRanking:
    """The zoo on a target, fastest first, and how far the ranking is to be trusted.

    ``unknown`` are networks with pretrained weights whose costs are in no table.
    """

    networks: tuple[RankedNetwork, ...]
    monotonicity: Monotonicity
    unknown: tuple[str, ...]


class ZooProxy(ProxyLatencyModel):
    """A proxy that has measured most of a zoo; latencies are those of :func:`log_latency` throughout.

    The zoo's networks differ in more ways than any features tell, and a network that is slow beyond what its features
    explain is usually slow elsewhere too. So where the proxy has measured a network, what it knows of it is the
    measurement and not the model's prediction.
    """

    logarithmic = True

    def fit(self, archs: Sequence[str], latency_ms: ArrayLike) -> Self:
        """Fit to :func:`log_latency` of ``n`` networks, ``(n,)``; see :meth:`ProxyLatencyModel.fit`."""
        self._measured: dict[str, float] = {}
        super().fit(archs, latency_ms)
        standardised = (np.asarray(latency_ms) / self.unit_ms - self._centre) / self._scale
        self._measured = dict(zip(archs, standardised.tolist(), strict=True))
        return self

    def uncertainty(self, archs: Sequence[str]) -> NDArray[np.float64]:
        """Standard deviation of ``Inputs.proxy``, ``(n,)``: 0 where it is a measurement."""
        predicted = self.ridge.predict_sd(self.columns(archs)) / self._scale
        return np.where([arch in self._measured for arch in archs], 0.0, predicted)

    def inputs(self, archs: Sequence[str]) -> Inputs:
        found = super().inputs(archs)
        known = np.array([self._measured.get(arch, np.nan) for arch in archs])
        return Inputs(np.where(np.isnan(known), found.proxy, known), np.zeros(len(found)), found.columns)


def log_latency(latency_ms: ArrayLike) -> NDArray[np.float64]:
    """Logarithm of latencies in units in which every real latency has a positive one, as ranking asks for."""
    return np.log(np.asarray(latency_ms, dtype=np.float64) / _PICOSECOND_MS)


def fit_zoo(space: SearchSpace, archs: Sequence[str], latency_ms: ArrayLike) -> ZooProxy:
    """A model of a proxy from its latencies in ms, ``(n,)``.

    Raises:
        InputError: the measurements cannot be used; says which and why.
    """
    values = np.asarray(latency_ms, dtype=np.float64)
    return ZooProxy(space).fit(archs, log_latency(checked(space, archs, values, "the proxy's latencies")))


def adapt_zoo(proxy: ZooProxy, archs: Sequence[str], latency_ms: ArrayLike) -> TargetLatencyModel:
    """The model of a target from a handful of its latencies in ms, ``(n,)``; it too speaks of :func:`log_latency`.

    Raises:
        InputError: the measurements cannot be used; says which and why.
    """
    values = np.asarray(latency_ms, dtype=np.float64)
    return proxy.adapt(archs, log_latency(checked(proxy.space, archs, values, "the target's latencies")))


def predict_zoo(target: TargetLatencyModel, archs: Sequence[str]) -> NDArray[np.float64]:
    """Latencies in ms and the ends of their 90 % intervals, ``(n, 3)``, by a target of :func:`adapt_zoo`."""
    assert isinstance(target.proxy, ZooProxy)
    mean, sd = target.predict(archs, return_std=True)
    of_proxy = target.unit_ms * target.posterior.coefficients[1] * target.proxy.uncertainty(archs)
    half = _HALF_WIDTHS * np.hypot(sd, of_proxy)
    return np.exp(np.column_stack([mean, mean - half, mean + half])) * _PICOSECOND_MS


def suggest_networks(proxy: LatencyTable, n: int, space: SearchSpace, seed: int = 0) -> list[str]:
    """Which ``n`` of the networks that the proxy has measured to measure on a target.

    The fastest twentieth and the slowest tenth are left out: they take longest to measure, and are often so far from
    what the target runs well that they say little of the rest.
    """
    latency_ms = proxy.latency_ms(_only_device(proxy))
    low, high = np.quantile(latency_ms, _SUGGESTED_QUANTILES)
    model = fit_zoo(space, proxy.archs, latency_ms)
    candidates = [arch for arch, ms in zip(proxy.archs, latency_ms, strict=True) if low <= ms <= high]
    return [candidates[i] for i in model.suggest(candidates, n, seed)]


def rank_zoo(
    proxy: LatencyTable, target: LatencyTable, space: SearchSpace, weights: Sequence[PretrainedWeights] | None = None
) -> ZooRanking:
    """Rank pretrained networks on a target.

    Args:
        proxy: latencies of many networks on one device.
        target: latencies of a few of them on another; 20 are a good number.
        space: the zoo.
        weights: the pretrained weights to rank, with their accuracy; by default all networks that the proxy has
            measured, without accuracy.

    Raises:
        InputError: there are several devices in a table, the measurements cannot be used, or no network is in the zoo.
    """
    model = fit_zoo(space, proxy.archs, proxy.latency_ms(_only_device(proxy)))
    measured = dict(zip(target.archs, target.latency_ms(_only_device(target)).tolist(), strict=True))
    adapted = adapt_zoo(model, list(measured), list(measured.values()))
    named = [(w.name, w.arch, w.top1) for w in weights] if weights else [(arch, arch, None) for arch in proxy.archs]
    options = set(space.choices["network"])
    known = [entry for entry in named if entry[1] in options]
    if not known:
        raise InputError(f"none of the {len(named)} networks to rank is in a table of costs; one is {named[0][1]!r}.")
    predicted = predict_zoo(adapted, [arch for _, arch, _ in known])
    for row, (_, arch, _) in enumerate(known):
        if arch in measured:
            predicted[row] = measured[arch]
    front = set(pareto_front([top1 or 0.0 for *_, top1 in known], predicted[:, 0]).tolist()) if weights else set()
    networks = [
        RankedNetwork(name, arch, float(ms), float(low), float(high), arch in measured, top1, row in front)
        for row, ((name, arch, top1), (ms, low, high)) in enumerate(zip(known, predicted, strict=True))
    ]
    networks.sort(key=lambda network: network.latency_ms)
    unknown = tuple(dict.fromkeys(arch for _, arch, _ in named if arch not in options))
    return ZooRanking(tuple(networks), adapted.monotonicity, unknown)


def _only_device(table: LatencyTable) -> str:
    if len(table.devices) != 1:
        raise InputError(f"expected the latencies of one device, found {listed(table.devices)}: choose one of them.")
    return table.devices[0]
