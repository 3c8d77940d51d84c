"""A zoo of pretrained networks, ranked on a device from a handful of its measurements.

Latencies in one zoo differ by a factor of ten thousand, and a user decides between networks of similar latency, so the
models of :mod:`nas_proxy.ranking` are fitted on the logarithmic scale: an error of ten percent counts the same for a
fast and for a slow network.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike

from nas_proxy import ties
from nas_proxy.datasets import LatencyTable
from nas_proxy.datasets.timm import PretrainedWeights
from nas_proxy.errors import InputError, listed
from nas_proxy.ranking.monotonicity import Monotonicity
from nas_proxy.ranking.pareto import pareto_front
from nas_proxy.ranking.proxy import ProxyLatencyModel
from nas_proxy.spaces import SearchSpace
from nas_proxy.ties import SAME

__all__ = [
    "RankedNetwork",
    "ZooRanking",
    "fit_zoo",
    "rank_zoo",
    "suggest_networks",
]

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
    """The zoo on a target, fastest first (of equals by name), and how far the ranking is to be trusted.

    ``unknown`` are networks with pretrained weights whose costs are in no table.
    """

    networks: tuple[RankedNetwork, ...]
    monotonicity: Monotonicity
    unknown: tuple[str, ...]


def fit_zoo(space: SearchSpace, archs: Sequence[str], latency_ms: ArrayLike) -> ProxyLatencyModel:
    """A model of a proxy from its latencies in ms, ``(n,)``.

    The zoo's networks differ in more ways than any features tell, and a network that is slow beyond what its features
    explain is usually slow elsewhere too: where the proxy has measured a network, its measurement stands for it.

    Raises:
        InputError: the measurements cannot be used; says which and why.
    """
    return ProxyLatencyModel(space, scale="log", by_measurement=True).fit(archs, latency_ms)


def suggest_networks(proxy: LatencyTable, n: int, space: SearchSpace, seed: int = 0) -> list[str]:
    """Which ``n`` of the networks that the proxy has measured to measure on a target.

    The fastest twentieth and the slowest tenth are left out: they take longest to measure, and are often so far from
    what the target runs well that they say little of the rest.
    """
    latency_ms = proxy.latency_ms(_only_device(proxy))
    low, high = np.quantile(latency_ms, _SUGGESTED_QUANTILES)
    model = fit_zoo(space, proxy.archs, latency_ms)
    low, high = low * (1 - SAME), high * (1 + SAME)
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
    adapted = model.adapt(list(measured), list(measured.values()))
    named: list[tuple[str, str, float | None]] = [(arch, arch, None) for arch in proxy.archs]
    if weights:
        named = [(w.name, w.arch, w.top1) for w in weights]
    options = set(space.choices["network"])
    known = sorted((entry for entry in named if entry[1] in options), key=lambda entry: entry[:2])
    if not known:
        raise InputError(f"none of the {len(named)} networks to rank is in a table of costs; one is {named[0][1]!r}.")
    archs = [arch for _, arch, _ in known]
    predicted = np.column_stack([adapted.predict(archs), adapted.interval(archs)])
    for row, (_, arch, _) in enumerate(known):
        if arch in measured:
            predicted[row] = measured[arch]
    front: set[int] = set()
    if weights:
        front.update(pareto_front([top1 or 0.0 for _, _, top1 in known], predicted[:, 0]).tolist())
    networks = [
        RankedNetwork(name, arch, float(ms), float(low), float(high), arch in measured, top1, row in front)
        for row, ((name, arch, top1), (ms, low, high)) in enumerate(zip(known, predicted, strict=True))
    ]
    networks = [networks[int(row)] for row in ties.order(predicted[:, 0])]
    unknown = tuple(dict.fromkeys(arch for _, arch, _ in named if arch not in options))
    return ZooRanking(tuple(networks), adapted.monotonicity, unknown)


def _only_device(table: LatencyTable) -> str:
    if len(table.devices) != 1:
        raise InputError(f"expected the latencies of one device, found {listed(table.devices)}: choose one of them.")
    return table.devices[0]
