"""A target device: the proxy's model, adapted to a handful of the target's measurements."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cached_property
from typing import Any, Protocol, runtime_checkable

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy import stats

from nas_proxy import extensions
from nas_proxy.ranking._measurements import checked
from nas_proxy.ranking._posterior import Inputs, Posterior, ProxyKnowledge
from nas_proxy.ranking._robust import DEGREES_OF_FREEDOM, HALF_WIDTH
from nas_proxy.ranking._scale import Scale, ScaleName
from nas_proxy.ranking.monotonicity import ARCHITECTURES, Monotonicity, assess
from nas_proxy.spaces import SearchSpace

__all__ = ["AdaptationMethod", "Proxy", "TargetLatencyModel", "unmeasured"]


@runtime_checkable
class AdaptationMethod(Protocol):
    """How a target's few measurements become a model of it. The same measurements give the same model."""

    def fit(self, inputs: Inputs, y: NDArray[np.float64], known: ProxyKnowledge) -> Posterior:
        """The model of a target.

        Args:
            inputs: of the ``n`` measured architectures.
            y: their latencies in units of their mean, or the logarithms of latencies in units of their geometric mean
                where the proxy's scale is ``"log"``, ``(n,)``.
            known: what the proxy's own measurements say.
        """
        ...


class Proxy(Protocol):
    """What a target asks its proxy, a fitted :class:`nas_proxy.ranking.ProxyLatencyModel`, which says what each is."""

    space: SearchSpace
    scale: ScaleName
    archs: list[Any]

    @property
    def knowledge(self) -> ProxyKnowledge:
        """What fitting the proxy has taught about the space's columns; a method may use it."""
        ...

    def inputs(self, archs: Sequence[Any]) -> Inputs:
        """What the proxy and the space say of ``n`` architectures: the columns that a method weighs."""
        ...

    def uncertainty(self, archs: Sequence[Any]) -> NDArray[np.float64]:
        """Standard deviation of the proxy's own predictions, ``(n,)``, on the scale of its latencies."""
        ...


class TargetLatencyModel:
    """A model of a target device's latency, made by :meth:`ProxyLatencyModel.adapt`."""

    def __init__(
        self, proxy: Proxy, archs: Sequence[Any], latency_ms: ArrayLike, method: str | AdaptationMethod
    ) -> None:
        chosen: AdaptationMethod = extensions.get("methods", method)
        latency_ms = checked(proxy.space, archs, latency_ms, "the target's latencies")
        self.proxy, self.method, self.archs = proxy, method, list(archs)
        self.latency_ms, self.scale = latency_ms, Scale.of(proxy.scale, latency_ms)
        self.posterior = chosen.fit(proxy.inputs(archs), self.scale.y(latency_ms), proxy.knowledge)

    def predict(self, archs: Sequence[Any], return_std: bool = False) -> Any:
        """Latencies in ms, ``(n,)``; with ``return_std`` also the standard deviation of a measurement, ``(n,)``."""
        y, sd = self._predict(archs, return_std)
        return (self.scale.ms(y), self.scale.sd_ms(y, sd)) if sd is not None else self.scale.ms(y)

    def interval(self, archs: Sequence[Any], share: float = 0.9) -> NDArray[np.float64]:
        """Latencies in ms between which ``share`` of measurements will be, ``(n, 2)``."""
        y, sd = self._predict(archs, return_std=True)
        half = stats.t.ppf((1 + share) / 2, DEGREES_OF_FREEDOM) / HALF_WIDTH * sd
        return self.scale.ms(np.column_stack([y - half, y + half]))

    def _predict(self, archs: Sequence[Any], return_std: bool) -> tuple[NDArray[np.float64], Any]:
        """Predictions on the scale and, where asked for, how far 68 % of measurements are from them at most."""
        rows, n = self.proxy.inputs(archs).matrix, len(self.latency_ms)
        y = rows @ self.posterior.coefficients
        if not return_std:
            return y, None
        variance = np.maximum(((rows @ self.posterior.covariance) * rows).sum(axis=1), 0.0)
        variance += (HALF_WIDTH * self.posterior.noise_sd) ** 2
        of_proxy = self.posterior.coefficients[1] * self.proxy.uncertainty(archs)
        # that the scale of all variances was itself estimated makes Student's t of the normal
        return y, np.hypot(np.sqrt(variance * n / (n - 2)), of_proxy)

    @cached_property
    def monotonicity(self) -> Monotonicity:
        """How well this ranking will agree with the target's own, on architectures that were not measured."""
        population = self.proxy.inputs(unmeasured(self.proxy, self.archs))
        return assess(self.posterior, self.scale, self.latency_ms, population)


def unmeasured(proxy: Proxy, measured: Sequence[Any]) -> list[Any]:
    """At most ``ARCHITECTURES`` that a target has not measured: of those that the proxy has and, where these are few,
    of the space; what it has measured where there are no others. In an order that only depends on which they are."""
    to_str = proxy.space.to_str
    known = set(map(to_str, measured))
    found = {text: arch for arch in proxy.archs if (text := to_str(arch)) not in known}
    if len(found) < ARCHITECTURES:
        more = (
            proxy.space.pool() if proxy.space.size < 20 * ARCHITECTURES else proxy.space.sample(ARCHITECTURES, seed=0)
        )
        found |= {text: arch for arch in more if (text := to_str(arch)) not in known}
    texts = sorted(found)
    if len(texts) > ARCHITECTURES:
        rng = np.random.default_rng(0)
        texts = [texts[int(i)] for i in np.sort(rng.choice(len(texts), ARCHITECTURES, replace=False))]
    return [found[text] for text in texts] or sorted(measured, key=to_str)
