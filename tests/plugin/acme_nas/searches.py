"""A mapper, a scheduler, a rewriter and a rule."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from nas_proxy import extensions
from nas_proxy.rewriting import rule
from nas_proxy.rewriting.rewriters import SearchRewriter
from nas_proxy.scheduling import evaluate


@dataclass(frozen=True)
class NeighbourMapper:
    """Keeps the best mapping and changes one choice at a time.

    Attributes:
        initial: random mappings to start from.
        batch: neighbours that are evaluated together.
    """

    initial: int = 16
    batch: int = 8

    def search(self, problem, rng):
        found = problem.space.sample(rng, self.initial)
        values, _ = problem.evaluate(found)
        best, value = found[np.argmin(values)], values.min()
        while True:
            near, other = np.repeat(best[None], self.batch, axis=0), problem.space.sample(rng, self.batch)
            column = rng.integers(near.shape[1], size=self.batch)
            near[np.arange(self.batch), column] = other[np.arange(self.batch), column]
            near = problem.space.repair(near, rng)
            values, _ = problem.evaluate(near)
            if values.min() < value:
                best, value = near[np.argmin(values)], values.min()


@dataclass(frozen=True)
class HalfwayScheduler:
    """Equal shares of time in execution order, or what dynamic programming finds, whichever is better.

    Attributes:
        orders: that dynamic programming tries.
    """

    orders: int = 1
    name: ClassVar[str] = "acme-scheduler"
    never_worse_than_dp: ClassVar[bool] = True

    def schedule(self, problem):
        order = np.asarray(problem.order)
        share = np.cumsum(problem.time_ms[order]) / (problem.time_ms.sum() or 1)  # views take no time
        stage_of = np.empty(problem.n, dtype=np.int64)
        stage_of[order] = np.minimum((share * problem.stages - 1e-9).astype(int), problem.stages - 1)
        dp = extensions.get("schedulers", "dp", orders=self.orders)
        cuts = stage_of, dp.schedule(problem).stage_of
        return min((evaluate(problem, cut, self.name) for cut in cuts), key=lambda schedule: schedule.bottleneck_ms)


@dataclass(frozen=True)
class FirstRewriter(SearchRewriter):
    """Takes the first substitution that helps, until none does.

    Attributes:
        least_gain: of a substitution, as a share of the cost.
    """

    least_gain: float = 1e-9
    name: ClassVar[str] = "acme-rewriter"

    def walk(self, state, budget, rng):
        while True:
            for edit in state.candidates:
                if budget.gain(state, edit) > self.least_gain * state.total:
                    state = state.move(edit, budget.evaluate(state, edit))
                    budget.see(state)
                    break
            else:
                return


@rule("double-negation", "Neg", "two operators less")
def double_negation(graph, node, new):
    """-(-x) = x."""
    inner = graph.producers.get(node.inputs[0])
    if inner is not None and inner.operator == "Neg" and node.outputs[0] not in graph.outputs:
        patch = new()
        patch.rename(node.outputs[0], inner.inputs[0])
        yield patch
