"""The proxy device: measured well, it tells which architectures to measure on a target, and what to make of them."""

from __future__ import annotations

import copy
from collections import OrderedDict
from collections.abc import Sequence
from typing import Any, Self

import numpy as np
from numpy.typing import ArrayLike, NDArray

from nas_proxy.errors import InputError, whole_number
from nas_proxy.ranking._columns import ColumnMap
from nas_proxy.ranking._design import d_optimal
from nas_proxy.ranking._measurements import checked
from nas_proxy.ranking._positive import positive
from nas_proxy.ranking._posterior import Inputs, ProxyKnowledge
from nas_proxy.ranking._robust import RobustRidge
from nas_proxy.ranking.target import TargetLatencyModel
from nas_proxy.spaces import SearchSpace, get_space

__all__ = ["ProxyLatencyModel"]

_CANDIDATES = 3000
_DESIGN_NOISE = 2.0
_CACHED = 8


class ProxyLatencyModel:
    """A model of the proxy device's latency, fitted to its measurements.

    Latency is linear in the space's features and choices - what layers take adds up - with Student-t noise, because
    timings have spikes, and a ridge penalty chosen by evidence, so that 60 measurements serve as well as 15,625.

    Args:
        space: a search space or its name.

    Attributes:
        logarithmic: whether what it and its targets are given are logarithms of latencies, see :mod:`nas_proxy.zoo`.
    """

    logarithmic = False

    def __init__(self, space: str | SearchSpace) -> None:
        self.space = get_space(space)
        self._inputs: OrderedDict[tuple[Any, ...], Inputs] = OrderedDict()

    def fit(self, archs: Sequence[Any], latency_ms: ArrayLike) -> Self:
        """Fit to measurements: ``n`` architectures and their latencies in ms, ``(n,)``.

        Raises:
            InputError: the measurements cannot be used; says which and why (see :mod:`nas_proxy.ranking`).
        """
        latency_ms = checked(self.space, archs, latency_ms, "the proxy's latencies")
        self._inputs = OrderedDict()  # not cleared: targets adapted before go on with what they know
        self.archs = list(archs)
        self.columns = ColumnMap.of(self.space, archs)
        columns = self.columns(archs)
        self.unit_ms = float(latency_ms.mean())
        y = latency_ms / self.unit_ms
        self.ridge = RobustRidge.fit(columns, y, self.columns.share)
        fitted = self.ridge.predict(columns)
        self._centre, self._scale = float(fitted.mean()), float(max(fitted.std(), 1e-6 * y.std()))
        self._lowest = float(y.min())
        residual = self.ridge.damped_residual(columns, y) / self._scale
        self._residual = {code.tobytes(): r for code, r in zip(self.space.encode(archs), residual, strict=True)}
        return self

    def predict(self, archs: Sequence[Any], return_std: bool = False) -> Any:
        """Latencies in ms, ``(n,)``; with ``return_std`` also the standard deviation of a measurement, ``(n,)``."""
        inputs = self.inputs(archs)
        mean_ms = self.unit_ms * positive(self._centre + self._scale * inputs.proxy, self._lowest)
        return (mean_ms, self.unit_ms * self.ridge.predict_sd(inputs.columns)) if return_std else mean_ms

    def suggest(self, archs: Sequence[Any], n: int, seed: int = 0) -> NDArray[np.int64]:
        """Which ``n`` of ``archs`` to measure on a target: distinct indices ``(n,)``, the most telling first.

        Bayesian D-optimal design on what a target's model will be linear in, with as much noise as signal in each of
        proxy and columns: the extremes of many directions rather than many extremes of one. ``seed`` draws the
        candidates where there are more than 3,000.

        Raises:
            InputError: ``n`` is not between 1 and the number of distinct architectures.
        """
        n, seed = whole_number(n, "the number of architectures to suggest", least=1), whole_number(seed, "the seed")
        candidates = np.sort(np.unique(self.space.encode(archs), axis=0, return_index=True)[1])
        if n > len(candidates):
            raise InputError(f"cannot suggest {n} architectures: there are {len(candidates)} to choose from.")
        if len(candidates) > max(_CANDIDATES, n):
            candidates = np.random.default_rng(seed).choice(candidates, size=max(_CANDIDATES, n), replace=False)
        inputs = self.inputs([archs[i] for i in candidates])
        rows = np.column_stack([inputs.proxy, inputs.columns * np.sqrt(self.columns.share)])
        return candidates[d_optimal(rows, n, _DESIGN_NOISE)]

    def adapt(self, archs: Sequence[Any], latency_ms: ArrayLike, method: str = "bayes") -> TargetLatencyModel:
        """Adapt to a target from a handful of its measurements: ``n`` architectures and latencies in ms, ``(n,)``.

        Args:
            method: ``"bayes"`` or, for comparison, ``"adaproxy"``.

        Raises:
            InputError: the measurements cannot be used; says which and why (see :mod:`nas_proxy.ranking`).
            UnknownNameError: no such method; the message names the closest.
        """
        return TargetLatencyModel(copy.copy(self), archs, latency_ms, method)  # fitting anew must not change it

    @property
    def knowledge(self) -> ProxyKnowledge:
        return ProxyKnowledge(self.columns.share, self.columns.n_features, self.ridge.weights / self._scale)

    def inputs(self, archs: Sequence[Any]) -> Inputs:
        """What the proxy and the space say of architectures; remembered for the last few sequences asked for."""
        if not hasattr(self, "ridge"):
            raise InputError("this ProxyLatencyModel has no measurements yet: call fit(archs, latency_ms) first.")
        key = _key(archs)
        if key in self._inputs:
            self._inputs.move_to_end(key)
            return self._inputs[key]
        columns = self.columns(archs)
        codes = self.space.encode(archs)
        found = Inputs(
            proxy=(self.ridge.predict(columns) - self._centre) / self._scale,
            residual=np.array([self._residual.get(code.tobytes(), 0.0) for code in codes]),
            columns=columns,
        )
        if key is not None:
            self._inputs[key] = found
            while len(self._inputs) > _CACHED:
                self._inputs.popitem(last=False)
        return found


def _key(archs: Sequence[Any]) -> tuple[Any, ...] | None:
    key = tuple(archs)
    try:
        hash(key)
    except TypeError:  # architectures that are mappings or lists
        return None
    return key
