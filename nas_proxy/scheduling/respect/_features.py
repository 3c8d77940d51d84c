"""A pipeline problem as a policy sees it: all relative to a stage's share, so that sizes and devices carry over."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from nas_proxy.scheduling._problem import HOST, PipelineProblem

__all__ = ["CONTEXT_FEATURES", "MOVE_FEATURES", "UNIT_FEATURES", "Instance", "encode"]

UNIT_FEATURES = 17
#: Of a ready unit at a step: transfer time it frees, net transfer time it adds, steps it has waited, whether it follows
#: the unit just placed, share of the current stage's time and cache after it.
MOVE_FEATURES = 6
#: Of a step: share of work done, progress within the current stage (time, cache), transfer time of a cut made now.
CONTEXT_FEATURES = 5


@dataclass(frozen=True)
class Instance:
    """One problem in arrays; ``n`` units, ``t`` tensors (and one idle tensor that pads ``reads``).

    Attributes:
        units: ``(n, UNIT_FEATURES)``, float32.
        before: ``(n, n)``, row-normalised: the mean over a unit's predecessors; ``after`` over its successors.
        share: ``(n,)``, unit times over a stage's share of all work; ``cached`` parameters over the cache.
        made: ``(n,)``, transfer time of what a unit makes, over a stage's share.
        reads: ``(n, d)``, tensors that a unit reads, padded by ``t``.
        moved: ``(t + 1,)``, transfer time of tensors over a stage's share.
        readers: ``(t + 1,)``, how many units must read a tensor before it is free (never, where the host reads it).
        follows: ``(n, n)``, whether the column's unit reads what the row's unit makes.
    """

    units: NDArray[np.float32]
    before: NDArray[np.float32]
    after: NDArray[np.float32]
    share: NDArray[np.float64]
    cached: NDArray[np.float64]
    made: NDArray[np.float64]
    reads: NDArray[np.int64]
    moved: NDArray[np.float64]
    readers: NDArray[np.int64]
    follows: NDArray[np.bool_]
    arriving: float
    stages: int


def encode(problem: PipelineProblem) -> Instance:
    """Features of a problem. Depends on the order in which units are given only through ties."""
    n, stages, tensors = problem.n, problem.stages, problem.tensors
    unit_share = max(problem.lower_bound_ms - problem.stage_ms, 1e-12)
    share = problem.time_ms / unit_share
    cached = problem.parameter_bytes / problem.cache_bytes
    moved = np.array([tensor.bytes for tensor in tensors] + [0.0]) / problem.link_bytes_per_ms / unit_share
    readers = np.array([len(set(t.consumers)) + (2 * n if t.to_host else 0) for t in tensors] + [0])
    inputs: list[list[int]] = [[] for _ in range(n)]
    made = np.zeros(n)
    for i, tensor in enumerate(tensors):
        if tensor.producer != HOST:
            made[tensor.producer] += moved[i] * (readers[i] > 0)
        for consumer in set(tensor.consumers):
            inputs[consumer].append(i)
    reads = np.full((n, max(1, max(map(len, inputs)))), len(tensors))
    for unit, found in enumerate(inputs):
        reads[unit, : len(found)] = found
    follows = np.zeros((n, n), bool)
    for unit, units in enumerate(problem.successors):
        follows[unit, list(units)] = True

    ancestors = np.eye(n, dtype=bool)
    depth, height = np.zeros(n), np.zeros(n)
    for unit in problem.order:
        for before in problem.predecessors[unit]:
            ancestors[unit] |= ancestors[before]
            depth[unit] = max(depth[unit], depth[before] + 1)
    for unit in reversed(problem.order):
        for after in problem.successors[unit]:
            height[unit] = max(height[unit], height[after] + 1)
    total, held = max(share.sum(), 1e-12), max(cached.sum(), 1e-12)
    fan_in, fan_out = follows.sum(axis=0), follows.sum(axis=1)
    rate = problem.stream_bytes_per_ms
    streaming = problem.cache_bytes / rate / unit_share if rate else 10.0
    units = [
        share, share * stages / total, cached, cached * stages / held, made, moved[reads].sum(axis=1),
        np.log1p(fan_in), np.log1p(fan_out), depth / max(depth.max(), 1), height / max(height.max(), 1),
        ancestors @ share / total, ancestors.T @ share / total, ancestors @ cached / held, ancestors.T @ cached / held,
        np.full(n, stages / 8), np.full(n, held / stages), np.full(n, streaming),
    ]  # fmt: skip
    return Instance(
        units=np.log1p(np.stack(units, axis=1)).astype(np.float32),  # all are non-negative
        before=_mean_over(follows.T),
        after=_mean_over(follows),
        share=share,
        cached=cached,
        made=made,
        reads=reads,
        moved=moved,
        readers=readers,
        follows=follows,
        arriving=float(sum(moved[i] for i, tensor in enumerate(tensors) if tensor.producer == HOST)),
        stages=stages,
    )


def _mean_over(adjacency: NDArray[np.bool_]) -> NDArray[np.float32]:
    return (adjacency / np.maximum(adjacency.sum(axis=1, keepdims=True), 1)).astype(np.float32)
