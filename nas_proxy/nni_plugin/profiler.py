"""The latency of a target device as one of NNI's profilers: NNI's own strategies become hardware-aware with it."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import Any

import numpy as np
from nni.nas.profiler import Profiler
from numpy.typing import NDArray

from nas_proxy.errors import InputError
from nas_proxy.nni_plugin.spaces import sample_of, space_of
from nas_proxy.search import LatencyModel
from nas_proxy.spaces import SearchSpace

__all__ = ["ProxyLatencyProfiler"]

_LISTED = 200_000  # spaces up to this size are predicted as a whole, once


class ProxyLatencyProfiler(Profiler):
    """Predicted latency in ms of a sample, from the sample alone: no module is built.

    Use it wherever NNI takes a profiler (``RangeProfilerFilter(profiler, max=5.0)``,
    ``RandomOneShot(filter={"profiler": profiler, "max": 5.0})``), and :meth:`within` where NNI filters models
    (``Chain(RegularizedEvolution(), Filter(profiler.within(5.0)))``).

    Args:
        model_space: the NNI model space that is searched.
        latency: the target's model, such as that of ``ProxyLatencyModel(space).fit(...).adapt(...)``.
        space: the search space of ``latency``; by default the one that it was fitted on.

    Raises:
        InputError: ``latency`` is not of ``model_space``.
    """

    def __init__(self, model_space: Any, latency: LatencyModel, *, space: SearchSpace | None = None) -> None:
        super().__init__(model_space)
        self._space = space_of(latency, space, model_space)
        self._latency = latency
        self._known: dict[bytes, float] = {}
        if self._space.enumerable and self._space.size <= _LISTED:
            archs = self._space.enumerate()
            self._known = dict(zip(map(bytes, self._space.encode(archs)), self._predict(archs).tolist(), strict=True))

    def profile(self, sample: Mapping[str, Any]) -> float:
        """Latency in ms of a sample: looked up in microseconds in a space that can be listed, else predicted."""
        arch = sample_of(sample, self._space)
        key = bytes(self._space.encode([arch])[0])
        if key not in self._known:
            return float(self._predict([arch])[0])
        return self._known[key]

    def profile_all(self, samples: Iterable[Mapping[str, Any]]) -> NDArray[np.float64]:
        """Latencies in ms of many samples at once, ``(n,)``: tens of thousands a second."""
        return self._predict([sample_of(sample, self._space) for sample in samples])

    def within(self, limit_ms: float) -> Callable[[Any], bool]:
        """For NNI's ``Filter``: whether a model is predicted to take at most ``limit_ms``.

        Raises:
            InputError: the limit is not a positive number of milliseconds.
        """
        if not limit_ms > 0:
            raise InputError(f"limit_ms must be a positive number of milliseconds, found {limit_ms!r}.")
        return lambda model: self.profile(model.sample) <= limit_ms

    def _predict(self, archs: list[Any]) -> NDArray[np.float64]:
        return np.asarray(self._latency.predict(archs), dtype=np.float64)
