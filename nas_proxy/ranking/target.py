"""A target device: the proxy's model, adapted to a handful of the target's measurements."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import cached_property
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from nas_proxy.ranking._measurements import checked
from nas_proxy.ranking._positive import positive
from nas_proxy.ranking._posterior import Inputs, Posterior, ProxyKnowledge
from nas_proxy.ranking._robust import HALF_WIDTH
from nas_proxy.ranking.monotonicity import ARCHITECTURES, Monotonicity, assess
from nas_proxy.registry import Registry

if TYPE_CHECKING:
    from nas_proxy.ranking.proxy import ProxyLatencyModel

__all__ = ["AdaptationMethod", "TargetLatencyModel", "method_names", "register_method"]

AdaptationMethod = Callable[[Inputs, NDArray[np.float64], ProxyKnowledge], Posterior]

_methods: Registry[AdaptationMethod] = Registry(
    "adaptation method",
    {
        "bayes": "nas_proxy.ranking._spike_slab:fit_bayes",
        "adaproxy": "nas_proxy.ranking._adaproxy:fit_adaproxy",
    },
)


def method_names() -> list[str]:
    """Names of the adaptation methods."""
    return list(_methods)


def register_method(name: str, method: AdaptationMethod | str) -> None:
    """Make an adaptation method known to :meth:`ProxyLatencyModel.adapt`.

    It is called with the inputs of the ``n`` measured architectures, their latencies in units of their mean, ``(n,)``,
    and what is known of the proxy. ``nas_proxy.testing.adaptation`` has the tests that it must pass.
    """
    _methods.register(name, method)


class TargetLatencyModel:
    """A model of a target device's latency, made by :meth:`ProxyLatencyModel.adapt`."""

    def __init__(self, proxy: ProxyLatencyModel, archs: Sequence[Any], latency_ms: ArrayLike, method: str) -> None:
        fit = _methods.get(method)
        latency_ms = checked(proxy.space, archs, latency_ms, "the target's latencies")
        self.proxy, self.method, self.archs = proxy, method, list(archs)
        self.unit_ms = float(latency_ms.mean())
        self._y = latency_ms / self.unit_ms
        self.posterior = fit(proxy.inputs(archs), self._y, proxy.knowledge)

    def predict(self, archs: Sequence[Any], return_std: bool = False) -> Any:
        """Latencies in ms, ``(n,)``; with ``return_std`` also the standard deviation of a measurement, ``(n,)``."""
        rows = self.proxy.inputs(archs).matrix
        mean_ms = self.unit_ms * positive(rows @ self.posterior.coefficients, float(self._y.min()))
        if not return_std:
            return mean_ms
        variance = np.maximum(((rows @ self.posterior.covariance) * rows).sum(axis=1), 0.0)
        variance += (HALF_WIDTH * self.posterior.noise_sd) ** 2
        n = len(self._y)  # that the scale of all variances was itself estimated makes Student's t of the normal
        return mean_ms, self.unit_ms * np.sqrt(variance * n / (n - 2))

    @cached_property
    def monotonicity(self) -> Monotonicity:
        """How well this ranking will agree with the target's own, on architectures that were not measured."""
        log_unit = self.unit_ms if self.proxy.logarithmic else None
        return assess(self.posterior, self._y, self.proxy.inputs(self._unmeasured()), log_unit)

    def _unmeasured(self) -> list[Any]:
        """What the target did not measure of the proxy's architectures and, where those are few, of the space."""
        space, measured = self.proxy.space, set(map(self.proxy.space.to_str, self.archs))
        rest = [arch for arch in self.proxy.archs if space.to_str(arch) not in measured]
        if len(rest) < ARCHITECTURES:
            known = measured | set(map(space.to_str, rest))
            more = space.pool() if space.size < 20 * ARCHITECTURES else space.sample(ARCHITECTURES, seed=0)
            rest += [arch for arch in more if space.to_str(arch) not in known]
        return rest or self.archs
