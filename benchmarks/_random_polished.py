"""Respect without its policy: the same dynamic programming and local search, from random orders."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from nas_proxy.scheduling import PipelineProblem, Schedule, evaluate
from nas_proxy.scheduling._orders import best_cut, bottlenecks, random_orders
from nas_proxy.scheduling._refine import refine


@dataclass(frozen=True)
class RandomPolishedScheduler:
    """As many orders and as many polished as ``respect`` has by default."""

    samples: int = 64
    polished: int = 8
    seed: int = 0
    name: str = "random-polished"
    never_worse_than_dp: bool = True

    def schedule(self, problem: PipelineProblem) -> Schedule:
        drawn = random_orders(problem, self.samples, np.random.default_rng(self.seed))
        orders = np.concatenate([np.array([problem.order]), drawn])
        ranked = np.argsort(bottlenecks(problem, orders), kind="stable")
        starts = np.array([best_cut(problem, orders[row]).stage_of for row in ranked[: self.polished]])
        stages, bottleneck_ms = refine(problem, starts)
        return evaluate(problem, stages[int(bottleneck_ms.argmin())], self.name)
