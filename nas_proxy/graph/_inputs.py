"""Inputs that a graph can be run on."""

from __future__ import annotations

import numpy as np

from nas_proxy.graph._tensor_graph import TensorGraph, numpy_dtype

__all__ = ["random_inputs"]


def random_inputs(graph: TensorGraph, seed: int, dtype: str | None = None) -> dict[str, np.ndarray]:
    """Standard normal numbers, small integers, coin flips; ``dtype`` replaces that of floating-point inputs."""
    rng = np.random.default_rng(seed)
    found: dict[str, np.ndarray] = {}
    for name in graph.inputs:
        value = graph.values[name]
        if value.dtype == "bool":
            found[name] = rng.integers(0, 2, value.shape).astype(bool)
        elif np.dtype(numpy_dtype(value.dtype)).kind in "iu":
            found[name] = rng.integers(0, 2, value.shape).astype(value.dtype)
        else:
            numbers = np.asarray(rng.standard_normal(value.shape))
            found[name] = numbers.astype(dtype or numpy_dtype(value.dtype))
    return found
