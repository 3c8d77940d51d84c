"""Cutting a network into a pipeline of devices: the problem, and what a cut costs."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from numbers import Integral

import numpy as np
from numpy.typing import NDArray

from nas_proxy.errors import InputError

__all__ = ["HOST", "DoesNotFitError", "PipelineProblem", "Schedule", "Tensor", "evaluate"]

#: The producer of the network's inputs.
HOST = -1


class DoesNotFitError(InputError):
    """Parameters exceed the caches of devices that cannot stream."""


@dataclass(frozen=True)
class Tensor:
    """What one unit makes and others read: charged once at every boundary between them."""

    producer: int
    consumers: tuple[int, ...]
    bytes: int
    to_host: bool = False


@dataclass(frozen=True, eq=False)
class PipelineProblem:
    """Units of work, to be given to ``stages`` equal devices in a chain so that the slowest stage is fastest.

    A schedule maps units to stages; no tensor may go backwards. A stage takes the time of its units, of streaming the
    parameters that exceed its cache, and of moving the tensors that cross its two boundaries (a tensor from stage i
    to stage j crosses every boundary between), plus ``stage_ms``.

    Attributes:
        time_ms: shape ``(n,)``, the time of a unit whose parameters are in the cache.
        parameter_bytes: shape ``(n,)``.
        tensors: activations between units, from the host (producer ``HOST``) and to it.
        stages: number of devices.
        cache_bytes: parameters that a device keeps.
        stream_bytes_per_ms: rate at which parameters beyond the cache arrive; 0 where a device cannot stream.
        link_bytes_per_ms: rate at which activations move between devices, and between host and device.
        stage_ms: fixed time of each stage.
        names: what the units are called, in messages and tables.

    Raises:
        InputError: a cycle, a disconnected unit, a number out of range or arrays of different lengths.
        DoesNotFitError: a unit that fits no stage, or a network that fits not even all of them; names the unit.
    """

    time_ms: NDArray[np.float64]
    parameter_bytes: NDArray[np.float64]
    tensors: tuple[Tensor, ...]
    stages: int
    cache_bytes: float
    stream_bytes_per_ms: float
    link_bytes_per_ms: float
    stage_ms: float = 0.0
    names: tuple[str, ...] = field(default=())

    def __post_init__(self) -> None:
        object.__setattr__(self, "time_ms", np.asarray(self.time_ms, np.float64))
        object.__setattr__(self, "parameter_bytes", np.asarray(self.parameter_bytes, np.float64))
        object.__setattr__(self, "names", tuple(self.names) or tuple(f"unit {i}" for i in range(len(self.time_ms))))
        _check(self)

    @property
    def n(self) -> int:
        """The number of units."""
        return len(self.time_ms)

    @cached_property
    def predecessors(self) -> tuple[tuple[int, ...], ...]:
        """Of each unit the units whose tensors it reads, in increasing order."""
        found: list[set[int]] = [set() for _ in range(self.n)]
        for tensor in self.tensors:
            if tensor.producer != HOST:
                for consumer in tensor.consumers:
                    found[consumer].add(tensor.producer)
        return tuple(tuple(sorted(units)) for units in found)

    @cached_property
    def successors(self) -> tuple[tuple[int, ...], ...]:
        """Of each unit the units that read its tensors, in increasing order."""
        found: list[list[int]] = [[] for _ in range(self.n)]
        for unit, before in enumerate(self.predecessors):
            for producer in before:
                found[producer].append(unit)
        return tuple(map(tuple, found))

    @cached_property
    def order(self) -> tuple[int, ...]:
        """The topological order nearest to the given one: the execution order of a compiler."""
        return tuple(_topological_order(self))

    @cached_property
    def lower_bound_ms(self) -> float:
        """No schedule has a faster slowest stage: its share of all work, or its largest unit alone."""
        moved = sum(t.bytes for t in self.tensors if t.producer == HOST) + sum(
            t.bytes for t in self.tensors if t.to_host
        )
        share = self.time_ms.sum() + self._stream(self.parameter_bytes.sum() - (self.stages - 1) * self.cache_bytes)
        alone = self.time_ms + self._stream(self.parameter_bytes)
        return max(float(share + moved / self.link_bytes_per_ms) / self.stages, float(alone.max())) + self.stage_ms

    def _stream(self, parameter_bytes):
        excess = np.maximum(parameter_bytes - self.cache_bytes, 0.0)
        if self.stream_bytes_per_ms > 0:
            return excess / self.stream_bytes_per_ms
        return np.where(excess > 0, np.inf, 0.0)

    def segment_ms(self, time_ms, parameter_bytes, boundary_ms):
        """Time of stages from their sums: of unit times, of parameters, and of both boundaries' transfers. Arrays."""
        return time_ms + self._stream(parameter_bytes) + boundary_ms + self.stage_ms

    def with_stages(self, stages: int) -> PipelineProblem:
        """The same network on another number of devices."""
        return replace(self, stages=stages)


@dataclass(frozen=True)
class Schedule:
    """A stage for every unit, and what that costs.

    ``bound_ms`` is a proven lower bound of the bottleneck where the scheduler has one; ``optimal`` says that the
    bottleneck is that bound. ``latency_ms`` is the time of one input through all stages.
    """

    stage_of: tuple[int, ...]
    stage_ms: tuple[float, ...]
    scheduler: str = ""
    bound_ms: float | None = None
    optimal: bool = False

    @property
    def bottleneck_ms(self) -> float:
        """The time of the slowest stage."""
        return max(self.stage_ms)

    @property
    def latency_ms(self) -> float:
        """The time of one input through all stages."""
        return sum(self.stage_ms)

    @property
    def throughput_per_s(self) -> float:
        """Inputs a second once the pipeline is full; infinite where nothing takes time."""
        return 1e3 / self.bottleneck_ms if self.bottleneck_ms else np.inf


def evaluate(problem: PipelineProblem, stage_of: Sequence[int] | NDArray, scheduler: str = "") -> Schedule:
    """The cost of a stage map.

    Raises:
        InputError: it has not one stage a unit, a stage is out of range, or a tensor goes backwards (names the units).
        DoesNotFitError: a stage exceeds the cache of a device that cannot stream (names its largest unit).
    """
    stages = np.asarray(stage_of, dtype=np.int64)
    if stages.shape != (problem.n,):
        raise InputError(f"a schedule needs one stage for each of {problem.n} units, found shape {stages.shape}.")
    for unit in np.flatnonzero((stages < 0) | (stages >= problem.stages))[:1]:
        raise InputError(f"{problem.names[unit]}: stage {stages[unit]} is not among 0 to {problem.stages - 1}.")
    crossing = np.zeros(problem.stages + 1)
    for tensor in problem.tensors:
        first = 0 if tensor.producer == HOST else stages[tensor.producer] + 1
        last = problem.stages if tensor.to_host else max((stages[c] for c in tensor.consumers), default=-1)
        for consumer in tensor.consumers:
            if stages[consumer] < first - 1:
                raise InputError(
                    f"{problem.names[tensor.producer]} (stage {first - 1}) feeds {problem.names[consumer]} "
                    f"(stage {stages[consumer]}): a tensor cannot go backwards."
                )
        crossing[first : last + 1] += tensor.bytes
    crossing /= problem.link_bytes_per_ms
    time_ms = np.bincount(stages, problem.time_ms, problem.stages)
    parameters = np.bincount(stages, problem.parameter_bytes, problem.stages)
    stage_ms = problem.segment_ms(time_ms, parameters, crossing[:-1] + crossing[1:])
    for stage in np.flatnonzero(np.isinf(problem._stream(parameters)))[:1]:
        largest = int(np.argmax(np.where(stages == stage, problem.parameter_bytes, -1)))
        found = f"{scheduler} found no cut that fits {problem.stages} stage(s): " if scheduler else ""
        raise DoesNotFitError(
            f"{found}stage {stage} would hold {parameters[stage]:,.0f} bytes of parameters "
            f"({problem.parameter_bytes[largest]:,.0f} of them in {problem.names[largest]}), its cache takes "
            f"{problem.cache_bytes:,.0f} bytes, and the device cannot stream. Use more stages; where a cut fits, "
            "the exact schedulers milp and ideal_dp find it."
        )
    return Schedule(tuple(stages.tolist()), tuple(stage_ms.tolist()), scheduler)


def _check(problem: PipelineProblem) -> None:
    if problem.n == 0:
        raise InputError("there is nothing to schedule: the network has no operators.")
    if not isinstance(problem.stages, Integral) or problem.stages < 1:
        raise InputError(f"a pipeline needs at least one stage, a whole number, found {problem.stages}.")
    for name in ("time_ms", "parameter_bytes", "names"):
        if np.shape(getattr(problem, name)) != (problem.n,):
            found = np.shape(getattr(problem, name))
            raise InputError(f"{name} has shape {found}: expected one for each of {problem.n} units.")
    for name in ("cache_bytes", "link_bytes_per_ms"):
        if not getattr(problem, name) > 0:
            raise InputError(f"{name} must be positive, found {getattr(problem, name)}.")
    for name in ("stream_bytes_per_ms", "stage_ms"):
        if not getattr(problem, name) >= 0:
            raise InputError(f"{name} must be 0 or more, found {getattr(problem, name)}.")
    for name in ("time_ms", "parameter_bytes"):
        for unit in np.flatnonzero(~(getattr(problem, name) >= 0) | ~np.isfinite(getattr(problem, name)))[:1]:
            raise InputError(f"{problem.names[unit]}: {name} is {getattr(problem, name)[unit]}: expected 0 or more.")
    for tensor in problem.tensors:
        if not tensor.bytes >= 0:
            raise InputError(f"a tensor must have 0 bytes or more, found {tensor}.")
        if not HOST <= tensor.producer < problem.n or not all(0 <= unit < problem.n for unit in tensor.consumers):
            raise InputError(f"a tensor joins units that are not among 0 to {problem.n - 1}: {tensor}.")
    _topological_order(problem)
    _check_fits(problem)
    _check_connected(problem)


def _check_fits(problem: PipelineProblem) -> None:
    """That all caches together hold the parameters, and one the largest unit's, where devices cannot stream."""
    largest, total = int(problem.parameter_bytes.argmax()), problem.parameter_bytes.sum()
    if np.isinf(problem._stream(problem.parameter_bytes[largest])):
        raise DoesNotFitError(
            f"{problem.names[largest]} fits no stage: {problem.parameter_bytes[largest]:,.0f} bytes of parameters, a "
            f"cache of {problem.cache_bytes:,.0f} bytes, and the device cannot stream."
        )
    if problem.stream_bytes_per_ms == 0 and total > problem.stages * problem.cache_bytes:
        raise DoesNotFitError(
            f"the network fits no {problem.stages} stage(s): {total:,.0f} bytes of parameters "
            f"({problem.parameter_bytes[largest]:,.0f} of them in {problem.names[largest]}), caches of "
            f"{problem.cache_bytes:,.0f} bytes each, and the device cannot stream: it takes "
            f"{np.ceil(total / problem.cache_bytes):.0f} stages at least."
        )


def _topological_order(problem: PipelineProblem) -> list[int]:
    import heapq

    waiting = [len(before) for before in problem.predecessors]
    ready = [unit for unit, count in enumerate(waiting) if count == 0]
    heapq.heapify(ready)
    order = []
    while ready:
        unit = heapq.heappop(ready)
        order.append(unit)
        for successor in problem.successors[unit]:
            waiting[successor] -= 1
            if waiting[successor] == 0:
                heapq.heappush(ready, successor)
    if len(order) < problem.n:
        stuck = next(unit for unit, count in enumerate(waiting) if count > 0)
        raise InputError(f"the graph has a cycle at or before {problem.names[stuck]}: it cannot be cut into stages.")
    return order


def _check_connected(problem: PipelineProblem) -> None:
    group = list(range(problem.n))

    def root(unit: int) -> int:
        while group[unit] != unit:
            group[unit] = group[group[unit]]
            unit = group[unit]
        return unit

    for tensor in problem.tensors:
        ends = [unit for unit in (tensor.producer, *tensor.consumers) if unit != HOST]
        for unit in ends[1:]:
            group[root(unit)] = root(ends[0])
    apart = next((unit for unit in range(problem.n) if root(unit) != root(0)), None)
    if apart is not None:
        raise InputError(
            f"the graph is not connected: no tensor joins {problem.names[apart]} to {problem.names[0]}. Schedule the "
            "parts as networks of their own."
        )
