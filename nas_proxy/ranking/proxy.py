"""The proxy device: measured well, it tells which architectures to measure on a target, and what to make of them."""

from __future__ import annotations

import copy
from collections.abc import Sequence
from typing import Any, Self, get_args

import numpy as np
from numpy.typing import ArrayLike, NDArray

from nas_proxy.errors import InputError, UnknownNameError, whole_number
from nas_proxy.ranking._design import d_optimal
from nas_proxy.ranking._measurements import checked
from nas_proxy.ranking._posterior import Inputs, ProxyKnowledge
from nas_proxy.ranking._robust import RobustRidge
from nas_proxy.ranking._scale import Scale, ScaleName
from nas_proxy.ranking.target import AdaptationMethod, TargetLatencyModel
from nas_proxy.spaces import SearchSpace, get_space
from nas_proxy.spaces.columns import Columns

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
        scale: what is linear, of the proxy and of its targets: ``"linear"`` the latency, or ``"log"`` its logarithm,
            so that an error of ten percent counts the same for a fast and for a slow network: for networks whose
            latencies differ by orders of magnitude. Latencies are given and predicted in ms on either scale.
        by_measurement: where the proxy has measured an architecture, its measurement stands for it and not the model's
            prediction: for networks that differ in more ways than their features tell.

    Raises:
        UnknownNameError: there is no such space or scale; the message names the closest.
    """

    def __init__(self, space: str | SearchSpace, scale: ScaleName = "linear", *, by_measurement: bool = False) -> None:
        if scale not in get_args(ScaleName):
            raise UnknownNameError("scale", scale, get_args(ScaleName))
        self.space, self.by_measurement = get_space(space), by_measurement
        self.scale: ScaleName = scale
        self._inputs: dict[tuple[Any, ...], Inputs] = {}

    def fit(self, archs: Sequence[Any], latency_ms: ArrayLike) -> Self:
        """Fit to measurements: ``n`` architectures and their latencies in ms, ``(n,)``.

        Raises:
            InputError: the measurements cannot be used; says which and why (see :mod:`nas_proxy.ranking`).
        """
        latency_ms = checked(self.space, archs, latency_ms, "the proxy's latencies")
        self._inputs = {}  # not cleared: targets adapted before go on with what they know
        self.archs = list(archs)
        self.columns = Columns.of(self.space, archs)
        columns = self.columns(archs)
        self._own_scale = Scale.of(self.scale, latency_ms)
        y = self._own_scale.y(latency_ms)
        self.ridge = RobustRidge.fit(columns, y, self.columns.share)
        fitted = self.ridge.predict(columns)
        self._centre, self._scale = float(fitted.mean()), float(max(fitted.std(), 1e-6 * y.std()))
        told = y - self._centre if self.by_measurement else self.ridge.damped_residual(columns, y)
        codes = self.space.encode(archs)
        self._told = {code.tobytes(): t for code, t in zip(codes, told / self._scale, strict=True)}
        return self

    def predict(self, archs: Sequence[Any], return_std: bool = False) -> Any:
        """Latencies in ms, ``(n,)``; with ``return_std`` also the standard deviation of a measurement, ``(n,)``."""
        inputs = self.inputs(archs)
        y, scale = self._centre + self._scale * inputs.proxy, self._own_scale
        return (scale.ms(y), scale.sd_ms(y, self.ridge.predict_sd(inputs.columns))) if return_std else scale.ms(y)

    def suggest(self, archs: Sequence[Any], n: int, seed: int = 0) -> NDArray[np.int64]:
        """Which ``n`` of ``archs`` to measure on a target: distinct indices ``(n,)``, the most telling first.

        Bayesian D-optimal design on what a target's model will be linear in, with as much noise as signal in each of
        proxy and columns: the extremes of many directions rather than many extremes of one. ``seed`` draws the
        candidates where there are more than 3,000. The order of ``archs`` does not matter.

        Raises:
            InputError: ``n`` is not between 1 and the number of distinct architectures.
        """
        n, seed = whole_number(n, "the number of architectures to suggest", least=1), whole_number(seed, "the seed")
        first = {self.space.to_str(arch): i for i, arch in reversed(list(enumerate(archs)))}
        candidates = np.array([first[text] for text in sorted(first)], dtype=np.int64)
        if n > len(candidates):
            raise InputError(f"cannot suggest {n} architectures: there are {len(candidates)} to choose from.")
        if len(candidates) > max(_CANDIDATES, n):
            candidates = np.random.default_rng(seed).choice(candidates, size=max(_CANDIDATES, n), replace=False)
        inputs = self.inputs([archs[i] for i in candidates])
        rows = np.column_stack([inputs.proxy, inputs.columns * np.sqrt(self.columns.share)])
        return candidates[d_optimal(rows, n, _DESIGN_NOISE)]

    def adapt(
        self, archs: Sequence[Any], latency_ms: ArrayLike, method: str | AdaptationMethod = "bayes"
    ) -> TargetLatencyModel:
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
        """As :attr:`Proxy.knowledge`."""
        return ProxyKnowledge(self.columns.share, self.columns.n_features, self.ridge.weights / self._scale)

    def inputs(self, archs: Sequence[Any]) -> Inputs:
        """What the proxy and the space say of architectures; remembered for the last few sequences asked for.

        Raises:
            InputError: the model has not been fitted.
        """
        if not hasattr(self, "ridge"):
            raise InputError("this ProxyLatencyModel has no measurements yet: call fit(archs, latency_ms) first.")
        key, remembered = _key(archs), self._inputs
        found = self._computed(archs) if key is None or key not in remembered else remembered[key]
        if key is not None:  # a new mapping each time: other threads may be reading the one there was
            others = [(other, inputs) for other, inputs in remembered.items() if other != key]
            self._inputs = dict([*others, (key, found)][-_CACHED:])
        return found

    def uncertainty(self, archs: Sequence[Any]) -> NDArray[np.float64]:
        """Standard deviation of ``Inputs.proxy``, ``(n,)``: where measurements stand for what was measured, it is the
        model's error elsewhere. Without ``by_measurement`` targets learn from predictions alone, and it is 0."""
        if not self.by_measurement:
            return np.zeros(len(archs))
        predicted = self.ridge.predict_sd(self.inputs(archs).columns) / self._scale
        return np.where(np.isnan(self._told_of(archs)), predicted, 0.0)

    def _computed(self, archs: Sequence[Any]) -> Inputs:
        columns, told = self.columns(archs), self._told_of(archs)
        modelled, new = (self.ridge.predict(columns) - self._centre) / self._scale, np.isnan(told)
        if self.by_measurement:
            return Inputs(np.where(new, modelled, told), np.zeros(len(told)), columns)
        return Inputs(modelled, np.where(new, 0.0, told), columns)

    def _told_of(self, archs: Sequence[Any]) -> NDArray[np.float64]:
        """What the proxy's own measurements say beyond its model, ``(n,)``; NaN where it has not measured."""
        return np.array([self._told.get(code.tobytes(), np.nan) for code in self.space.encode(archs)])


def _key(archs: Sequence[Any]) -> tuple[Any, ...] | None:
    key = tuple(archs)
    try:
        hash(key)
    except TypeError:  # architectures that are mappings or lists
        return None
    return key
