"""Schedulers that cut given orders: the commercial compiler's way, and dynamic programming."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from nas_proxy.scheduling._orders import best_cut, random_orders
from nas_proxy.scheduling._problem import PipelineProblem, Schedule, evaluate

__all__ = ["CompilerScheduler", "DPScheduler"]


@dataclass(frozen=True)
class CompilerScheduler:
    """The commercial baseline: segments of equal parameter count, in execution order.

    A segment is closed before it exceeds the share ``parameters / stages``; the last takes the rest.
    """

    name: ClassVar[str] = "compiler"
    never_worse_than_dp: ClassVar[bool] = False

    def schedule(self, problem: PipelineProblem) -> Schedule:
        """As :meth:`Scheduler.schedule`: the execution order, cut where parameters are shared out evenly."""
        share = problem.parameter_bytes.sum() / problem.stages
        stage_of = np.zeros(problem.n, np.int64)
        stage, held = 0, 0.0
        for unit in problem.order:
            parameters = problem.parameter_bytes[unit]
            if held > 0 and held + parameters > share and stage < problem.stages - 1:
                stage, held = stage + 1, 0.0
            stage_of[unit] = stage
            held += parameters
        return evaluate(problem, stage_of, self.name)


@dataclass(frozen=True)
class DPScheduler:
    """Cuts topological orders exactly: the execution order alone, or it and ``orders - 1`` random ones."""

    orders: int = 1
    seed: int = 0
    name: ClassVar[str] = "dp"
    never_worse_than_dp: ClassVar[bool] = True

    def schedule(self, problem: PipelineProblem) -> Schedule:
        """As :meth:`Scheduler.schedule`: the best cut of the execution order and of random ones."""
        orders = np.array([problem.order])
        if self.orders > 1:
            drawn = random_orders(problem, self.orders - 1, np.random.default_rng(self.seed))
            orders = np.concatenate([orders, drawn])
        return best_cut(problem, orders, self.name)
