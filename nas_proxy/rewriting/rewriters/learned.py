"""The learned rewriter: the policy's rollouts, each followed by a climb; at least as good as greedy search."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import torch

from nas_proxy.graph import TensorGraph
from nas_proxy.rewriting._rule import Rule
from nas_proxy.rewriting._state import State
from nas_proxy.rewriting.costs import CostModel
from nas_proxy.rewriting.rewriters._base import Budget, Rewritten, search
from nas_proxy.rewriting.rewriters.baselines import climb
from nas_proxy.rewriting.xrlflow import Episode, Policy, load_policy, observe
from nas_proxy.rewriting.xrlflow._policy import collate

__all__ = ["SHIPPED", "LearnedRewriter"]

SHIPPED = Path(__file__).parents[1] / "xrlflow" / "weights.safetensors"


class LearnedRewriter:
    """X-RLflow: the most probable substitution each time, then samples, then from the best graph so far again.

    A greedy climb from the original comes first and is paid for from the same budget, so that the result is at least as
    good as greedy search wherever that ends within the budget.

    Args:
        policy: the trained network, its file, or None for the one that ships.
        samples: rollouts that draw substitutions by their probability, after the one that takes the most probable.
        length: substitutions of a rollout at most; by default as many as the graph has nodes, at least 40.
    """

    name = "learned"

    def __init__(self, policy: Policy | str | Path | None = None, samples: int = 6, length: int | None = None) -> None:
        self.policy = policy if isinstance(policy, Policy) else load_policy(policy or SHIPPED)
        self.samples, self.length = samples, length

    def rewrite(
        self, graph: TensorGraph, cost: CostModel, *, evaluations: int = 1000, seconds: float | None = None,
        seed: int = 0, rules: Sequence[Rule] | None = None,
    ) -> Rewritten:  # fmt: skip
        rng = np.random.default_rng(seed)

        def walk(first: State, budget: Budget) -> None:
            climb(first, budget)
            for sample in range(1 + self.samples):
                for origin in dict.fromkeys((first, budget.best or first)):
                    climb(self._rollout(origin, budget, rng if sample else None), budget)

        return search(self.name, walk, graph, cost, evaluations, seconds, rules)

    @torch.no_grad()
    def _rollout(self, first: State, budget: Budget, rng: np.random.Generator | None) -> State:
        """The cheapest state of one rollout; the most probable one without ``rng``."""
        length = self.length or max(40, len(first.graph.nodes))
        episode = Episode(first, budget, length)
        best = first
        while not episode.done:
            budget.check()
            log_p, _ = self.policy(collate([observe(episode)]))
            p = log_p.double().exp().numpy()
            if rng is None:
                action = int(p[:-1].argmax()) if p[-1] < 0.5 else len(p) - 1
            else:
                action = int(rng.choice(len(p), p=p / p.sum()))
            episode.step(action)
            if episode.state.total <= best.total:
                best = episode.state
        return best
