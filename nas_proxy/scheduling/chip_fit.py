"""The Edge TPU's few free parameters from published latencies."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from nas_proxy.errors import InputError
from nas_proxy.graph import Annotation
from nas_proxy.scheduling.chip import EdgeTPUSpec, operator_times

__all__ = ["PublishedLatency", "fit", "leave_one_out", "predict"]

#: Of each fitted parameter: a plausible value before any measurement, and the standard deviation of its logarithm.
_PRIORS = {
    "array_efficiency": (0.7, 0.4),
    "depthwise_efficiency": (0.05, 1.0),
    "vector_gb_s": (5.0, 1.0),
    "operator_us": (5.0, 1.0),
    "stream_mb_s": (400.0, 0.12),  # 350 to 450 MB/s over USB 3
    "invoke_ms": (1.0, 0.5),
}
_ERROR = 0.1  # standard deviation of the logarithm of a latency, measurement and model together


@dataclass(frozen=True)
class PublishedLatency:
    """A network and its published latency on one device."""

    name: str
    annotation: Annotation
    latency_ms: float


def predict(spec: EdgeTPUSpec, annotation: Annotation) -> float:
    """Latency of a network on one device: operators, streaming, transfers of inputs and outputs, one call."""
    graph = annotation.graph
    moved = sum(annotation.value_bytes(name) for name in (*graph.inputs, *graph.outputs))
    streamed = max(0.0, annotation.parameter_bytes - spec.cache_bytes)
    return sum(operator_times(spec, annotation)) + (streamed + moved) / spec.link_bytes_per_ms + spec.invoke_ms


def fit(spec: EdgeTPUSpec, observations: Sequence[PublishedLatency]) -> EdgeTPUSpec:
    """``spec`` with the free parameters of greatest posterior probability (log-normal errors and priors).

    Raises:
        InputError: there is nothing to fit to.
    """
    from scipy.optimize import least_squares

    if not observations:
        raise InputError("there are no published latencies to fit to.")
    names = list(_PRIORS)
    centre = np.log([_PRIORS[name][0] for name in names])
    spread = np.array([_PRIORS[name][1] for name in names])
    upper = np.array([0.0 if name.endswith("efficiency") else np.inf for name in names])
    measured = np.log([observation.latency_ms for observation in observations])

    def residuals(logarithms: NDArray[np.float64]) -> NDArray[np.float64]:
        trial = _with(spec, names, logarithms)
        predicted = np.log([predict(trial, observation.annotation) for observation in observations])
        return np.concatenate([(predicted - measured) / _ERROR, (logarithms - centre) / spread])

    return _with(spec, names, least_squares(residuals, centre, bounds=(-np.inf, upper)).x)


def leave_one_out(spec: EdgeTPUSpec, observations: Sequence[PublishedLatency]) -> NDArray[np.float64]:
    """Latency of each network, predicted by a fit to all the others."""
    kept = [[other for other in observations if other is not held] for held in observations]
    return np.array([predict(fit(spec, o), held.annotation) for o, held in zip(kept, observations, strict=True)])


def _with(spec: EdgeTPUSpec, names: Sequence[str], logarithms: NDArray[np.float64]) -> EdgeTPUSpec:
    changes: dict[str, Any] = dict(zip(names, np.exp(logarithms).tolist(), strict=True))
    return spec.model_copy(update=changes)
