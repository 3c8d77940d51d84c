"""Exact schedulers: dynamic programming over order ideals, and a mixed-integer program."""

from __future__ import annotations

from contextlib import suppress
from dataclasses import dataclass, replace
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from nas_proxy.errors import InputError
from nas_proxy.scheduling._heuristics import DPScheduler
from nas_proxy.scheduling._problem import HOST, DoesNotFitError, PipelineProblem, Schedule, evaluate

__all__ = ["IdealDPScheduler", "MILPScheduler", "TooManyIdealsError"]

_TOLERANCE = 1e-6
_INFEASIBLE = 2  # status of scipy.optimize.milp


class TooManyIdealsError(InputError):
    """The graph is too wide for dynamic programming over its order ideals."""


@dataclass(frozen=True)
class IdealDPScheduler:
    """Exact: a schedule is a chain of order ideals (sets closed under predecessors), and all of them are tried.

    Polynomial for graphs of bounded width; the number of ideals is exponential in the width. Where there are more than
    ``max_ideals`` it gives up: it falls back on the best of many orders and says so by ``optimal=False``, or raises
    :class:`TooManyIdealsError` where ``strict``.
    """

    max_ideals: int = 6_000
    strict: bool = False
    name: ClassVar[str] = "ideal_dp"
    never_worse_than_dp: ClassVar[bool] = True

    def schedule(self, problem: PipelineProblem) -> Schedule:
        """As :meth:`Scheduler.schedule`: an optimum, by dynamic programming over order ideals.

        Raises:
            TooManyIdealsError: there are more than ``max_ideals``, and ``strict`` is set.
        """
        try:
            ideals = _order_ideals(problem, self.max_ideals)
        except TooManyIdealsError:
            if self.strict:
                raise
            found = DPScheduler(orders=20).schedule(problem)
            return replace(found, scheduler=self.name, bound_ms=problem.lower_bound_ms)
        schedule = evaluate(problem, _best_chain(problem, ideals), self.name)
        return replace(schedule, bound_ms=schedule.bottleneck_ms, optimal=True)


def _order_ideals(problem: PipelineProblem, limit: int) -> NDArray[np.bool_]:
    """All order ideals, smallest first, shape ``(m, n)``."""
    before = [sum(1 << p for p in units) for units in problem.predecessors]
    level, found = {0}, [0]
    for _ in range(problem.n):
        grown = set()
        for ideal in level:
            for unit in range(problem.n):
                if not ideal >> unit & 1 and before[unit] & ~ideal == 0:
                    grown.add(ideal | 1 << unit)
            if len(found) + len(grown) > limit:
                raise TooManyIdealsError(
                    f"the graph has more than {limit} order ideals (it is too wide for ideal_dp): use milp or respect."
                )
        found += sorted(grown)
        level = grown
    width = (problem.n + 7) // 8
    packed = np.frombuffer(b"".join(ideal.to_bytes(width, "little") for ideal in found), np.uint8)
    return np.unpackbits(packed.reshape(-1, width), axis=1, bitorder="little")[:, : problem.n].astype(bool)


def _best_chain(problem: PipelineProblem, ideals: NDArray[np.bool_]) -> NDArray[np.int64]:
    """Stage of every unit in the best chain of ideals with as many steps as there are stages."""
    time_ms, parameters = ideals @ problem.time_ms, ideals @ problem.parameter_bytes
    cut_ms = _live_bytes(problem, ideals) / problem.link_bytes_per_ms
    words = np.packbits(ideals, axis=1)
    m, stages = len(ideals), problem.stages
    reach = np.full((stages + 1, m), np.inf)
    reach[0, 0] = 0.0
    came_from = np.zeros((stages + 1, m), np.int64)
    for i in range(m):
        inside = np.flatnonzero(~(words[: i + 1] & ~words[i]).any(axis=1))
        cost = problem.segment_ms(
            time_ms[i] - time_ms[inside], parameters[i] - parameters[inside], cut_ms[i] + cut_ms[inside]
        )
        cost[inside == i] = problem.segment_ms(0.0, 0.0, 2 * cut_ms[i])  # an empty stage passes tensors on
        for stage in range(1, stages + 1):
            candidates = np.maximum(reach[stage - 1, inside], cost)
            best = int(np.argmin(candidates))
            reach[stage, i], came_from[stage, i] = candidates[best], inside[best]
    stage_of = np.zeros(problem.n, np.int64)
    current = m - 1
    for stage in range(stages, 0, -1):
        previous = came_from[stage, current]
        stage_of[ideals[current] & ~ideals[previous]] = stage - 1
        current = previous
    return stage_of


def _live_bytes(problem: PipelineProblem, ideals: NDArray[np.bool_]) -> NDArray[np.float64]:
    """Bytes of the tensors that cross from each ideal to the rest."""
    live = np.zeros(len(ideals))
    for tensor in problem.tensors:
        made = np.ones(len(ideals), bool) if tensor.producer == HOST else ideals[:, tensor.producer]
        wanted = np.full(len(ideals), tensor.to_host)
        for consumer in tensor.consumers:
            wanted |= ~ideals[:, consumer]
        live += tensor.bytes * (made & wanted)
    return live


@dataclass(frozen=True)
class MILPScheduler:
    """Mixed-integer program, solved by HiGHS: the best schedule found in the time given, with a proven bound.

    y[v, k] = 1 iff stage(v) <= k, non-decreasing in k and non-increasing along edges; z[t, k] >= y[u, k] - y[v, k] is
    whether tensor t crosses boundary k; s[k] >= streamed parameters; T >= each stage's time; minimise T.
    """

    time_limit_s: float = 60.0
    gap: float = 1e-4
    name: ClassVar[str] = "milp"
    never_worse_than_dp: ClassVar[bool] = True

    def schedule(self, problem: PipelineProblem) -> Schedule:
        """As :meth:`Scheduler.schedule`: the best that the solver finds in its time, with its bound."""
        from scipy.optimize import milp

        heuristic = DPScheduler(orders=20)
        if problem.stages == 1:
            only = heuristic.schedule(problem)
            return replace(only, scheduler=self.name, bound_ms=only.bottleneck_ms, optimal=True)
        model = _Model(problem)
        result = milp(
            model.objective, integrality=model.integrality, bounds=model.bounds, constraints=model.constraints(),
            options={"time_limit": self.time_limit_s, "mip_rel_gap": self.gap},
        )  # fmt: skip
        bound = problem.lower_bound_ms
        if result.mip_dual_bound is not None and np.isfinite(result.mip_dual_bound):
            bound = max(bound, float(result.mip_dual_bound))
        found: list[Schedule] = []
        with suppress(DoesNotFitError):
            if result.x is not None:  # HiGHS can stop without a solution, or with an error
                found.append(evaluate(problem, model.stage_of(result.x), self.name))
        with suppress(DoesNotFitError):
            found.append(heuristic.schedule(problem))
        if not found:
            proven = result.status == _INFEASIBLE
            raise DoesNotFitError(
                f"no cut into {problem.stages} stages fits their caches of {problem.cache_bytes:,.0f} bytes"
                f"{'' if proven else f' as far as milp saw in {self.time_limit_s:g} s'}, and the device cannot stream: "
                f"use more stages{'' if proven else ', or a greater time_limit_s'}."
            )
        best = min(found, key=lambda schedule: schedule.bottleneck_ms)
        bound = min(bound, best.bottleneck_ms)
        optimal = best.bottleneck_ms - bound <= max(self.gap, _TOLERANCE) * best.bottleneck_ms
        return replace(best, scheduler=self.name, bound_ms=bound, optimal=optimal)


class _Model:
    """Variables in one vector: y (n x (K-1)), z (tensors x (K-1)), s (K), T."""

    def __init__(self, problem: PipelineProblem) -> None:
        from scipy.optimize import Bounds

        self.problem = problem
        n, tensors, self.cuts = problem.n, len(problem.tensors), problem.stages - 1
        self.z0 = n * self.cuts
        self.s0 = self.z0 + tensors * self.cuts
        self.size = self.s0 + problem.stages + 1
        self.objective = np.zeros(self.size)
        self.objective[-1] = 1.0
        self.integrality = np.zeros(self.size, dtype=np.int64)
        self.integrality[: self.z0] = 1
        upper: Any = np.full(self.size, np.inf)
        upper[: self.s0] = 1.0
        lower: Any = np.zeros(self.size)
        lower[-1] = problem.lower_bound_ms
        if problem.stream_bytes_per_ms == 0:
            upper[self.s0 : -1] = 0.0
        self.bounds = Bounds(lower, upper)
        self._rows: list[tuple[dict[int, float], float]] = []  # sum of coefficient * variable >= right-hand side

    def y(self, unit: int, cut: int) -> int:
        return unit * self.cuts + cut

    def z(self, tensor: int, cut: int) -> int:
        return self.z0 + tensor * self.cuts + cut

    def stage_of(self, solution: NDArray) -> NDArray[np.int64]:
        y = np.round(solution[: self.z0]).reshape(self.problem.n, self.cuts)
        return (self.cuts - y.sum(axis=1)).astype(np.int64)

    def constraints(self):
        from scipy.optimize import LinearConstraint
        from scipy.sparse import csr_array

        problem = self.problem
        for unit in range(problem.n):
            for cut in range(1, self.cuts):
                self._at_least({self.y(unit, cut): 1, self.y(unit, cut - 1): -1}, 0)
            for before in problem.predecessors[unit]:
                for cut in range(self.cuts):
                    self._at_least({self.y(before, cut): 1, self.y(unit, cut): -1}, 0)
        for i, tensor in enumerate(problem.tensors):
            for cut in range(self.cuts):
                made = {} if tensor.producer == HOST else {self.y(tensor.producer, cut): -1.0}
                right = 1.0 if tensor.producer == HOST else 0.0
                if tensor.to_host:
                    self._at_least({self.z(i, cut): 1, **made}, right)
                else:
                    for consumer in tensor.consumers:
                        self._at_least({self.z(i, cut): 1, **made, self.y(consumer, cut): 1}, right)
        for stage in range(problem.stages):
            self._stage(stage)
        data = [(r, c, v) for r, (row, _) in enumerate(self._rows) for c, v in row.items()]
        rows, columns, values = zip(*data, strict=True)
        right: Any = np.array([value for _, value in self._rows])
        matrix = csr_array((values, (rows, columns)), shape=(len(self._rows), self.size))
        return LinearConstraint(matrix, right, np.inf)

    def _at_least(self, row: dict[int, float], right: float) -> None:
        self._rows.append((row, right))

    def _stage(self, stage: int) -> None:
        """T >= unit times + streaming + transfers of a stage, and streaming >= parameters beyond the cache."""
        problem = self.problem
        time_row, parameter_row = {self.size - 1: 1.0, self.s0 + stage: -1.0}, {self.s0 + stage: 1.0}
        time_right, parameter_right = problem.stage_ms, 0.0
        rate = problem.stream_bytes_per_ms
        scale = 1 / rate if rate else 1 / problem.cache_bytes
        parameter_right -= problem.cache_bytes * scale
        for unit in range(problem.n):
            parameters = problem.parameter_bytes[unit] * scale
            for cut, sign in ((stage, 1.0), (stage - 1, -1.0)):  # in the stage iff y[stage] - y[stage - 1]
                if cut == self.cuts:
                    time_right += problem.time_ms[unit]
                    parameter_right += parameters
                elif cut >= 0:
                    time_row[self.y(unit, cut)] = time_row.get(self.y(unit, cut), 0.0) - sign * problem.time_ms[unit]
                    parameter_row[self.y(unit, cut)] = -sign * parameters
        for i, tensor in enumerate(problem.tensors):
            moved = tensor.bytes / problem.link_bytes_per_ms
            for cut in (stage - 1, stage):
                if 0 <= cut < self.cuts:
                    time_row[self.z(i, cut)] = -moved
                elif (cut < 0 and tensor.producer == HOST) or (cut == self.cuts and tensor.to_host):
                    time_right += moved
        self._at_least(time_row, time_right)
        self._at_least(parameter_row, parameter_right)
