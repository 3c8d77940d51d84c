"""A pipeline problem as flat arrays, for compiled code."""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache
from typing import NamedTuple

import numpy as np
from numba import njit
from numpy.typing import NDArray

from nas_proxy.scheduling._problem import HOST, PipelineProblem

__all__ = ["Net", "flat", "net", "segment_ms"]


class Net(NamedTuple):
    """``n`` units and ``t`` tensors. What a unit reads, makes, and waits for: items of unit u from ``start[u]`` on."""

    time_ms: NDArray[np.float64]
    parameter_bytes: NDArray[np.float64]
    moved_ms: NDArray[np.float64]
    """Transfer time of a tensor over one boundary."""
    producer: NDArray[np.int64]
    to_host: NDArray[np.bool_]
    read_start: NDArray[np.int64]
    reads: NDArray[np.int64]
    make_start: NDArray[np.int64]
    makes: NDArray[np.int64]
    """Tensors of a unit that anyone reads."""
    after_start: NDArray[np.int64]
    after: NDArray[np.int64]
    """Successors of a unit."""
    rates: NDArray[np.float64]
    """Cache bytes, stream bytes a ms, fixed time of a stage."""


@lru_cache(maxsize=64)
def net(problem: PipelineProblem) -> Net:
    """The arrays of a problem."""
    tensors = problem.tensors
    reads: list[list[int]] = [[] for _ in range(problem.n)]
    makes: list[list[int]] = [[] for _ in range(problem.n)]
    for i, tensor in enumerate(tensors):
        for consumer in set(tensor.consumers):
            reads[consumer].append(i)
        if tensor.producer != HOST and (tensor.consumers or tensor.to_host):
            makes[tensor.producer].append(i)
    return Net(
        problem.time_ms,
        problem.parameter_bytes,
        np.array([tensor.bytes for tensor in tensors], np.float64) / problem.link_bytes_per_ms,
        np.array([tensor.producer for tensor in tensors], np.int64),
        np.array([tensor.to_host for tensor in tensors], np.bool_),
        *flat(reads),
        *flat(makes),
        *flat(problem.successors),
        np.array([problem.cache_bytes, problem.stream_bytes_per_ms, problem.stage_ms]),
    )


def flat(groups: Sequence[Sequence[int]]) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Lists end to end: where each starts (and the last ends), and their items."""
    starts = np.cumsum([0, *map(len, groups)])
    return starts, np.array([item for group in groups for item in group], np.int64)


@njit(cache=True)
def segment_ms(time_ms, parameter_bytes, boundary_ms, rates):
    """:meth:`PipelineProblem.segment_ms` of one stage."""
    excess = parameter_bytes - rates[0]
    streamed = 0.0
    if excess > 0:
        streamed = excess / rates[1] if rates[1] > 0 else np.inf
    return time_ms + streamed + boundary_ms + rates[2]
