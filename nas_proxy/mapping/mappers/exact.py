"""The optimum, proven: no search by trial, see :mod:`nas_proxy.mapping.exact`."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from nas_proxy.mapping.exact import NODES, prove
from nas_proxy.mapping.mappers._settings import check_settings
from nas_proxy.mapping.problem import Problem

__all__ = ["ExactMapper"]


@dataclass(frozen=True)
class ExactMapper:
    """Branch and bound over all mappings; the same answer for every seed.

    Attributes:
        start: random mappings that are evaluated first, for a value to beat; fewer where the budget is smaller.
        nodes: after how many tiles of the buffer it gives up, with the best found and a bound.
    """

    start: int = 100
    nodes: int = NODES

    def __post_init__(self) -> None:
        check_settings(self, "start nodes")

    @property
    def initial(self) -> int:
        """Evaluations it starts with."""
        return 1

    def search(self, problem: Problem, rng: np.random.Generator) -> None:
        """As :meth:`Mapper.search`."""
        if problem.left > 1:
            problem.evaluate(problem.space.sample(np.random.default_rng(0), min(self.start, problem.left - 1)))
        known = None if problem.best is None else problem.space.mappings(problem.best[None])
        proof = prove(problem, known, self.nodes)
        problem.log_bound = float(np.log(proof.bound)) if proof.bound > 0 else -np.inf
        problem.evaluate(problem.space.choices(proof.mapping))
