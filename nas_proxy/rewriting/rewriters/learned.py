"""The learned rewriter: the policy's rollouts and branches, followed by climbs; at least as good as greedy search."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray

from nas_proxy.rewriting._budget import Budget
from nas_proxy.rewriting._state import RewriteState
from nas_proxy.rewriting.rewriters._base import SearchRewriter
from nas_proxy.rewriting.rewriters.baselines import climb
from nas_proxy.rewriting.xrlflow import Episode, RewritingPolicy, load_policy, observe
from nas_proxy.rewriting.xrlflow._policy import collate
from nas_proxy.threads import one_thread

__all__ = ["SHIPPED", "SMALL", "LearnedRewriter", "SmallLearnedRewriter"]

SHIPPED = Path(__file__).parents[1] / "xrlflow" / "weights.safetensors"
#: Made from it by ``nas-proxy compress rewriter -m 'L2 0.75 + distil'``.
SMALL = SHIPPED.with_name("weights-small.safetensors")


class LearnedRewriter(SearchRewriter):
    """X-RLflow: rollouts of the policy from the best graph so far and from the original, each followed by a climb.

    The first rollout takes the most probable substitution each time, later ones draw. Where a rollout from the best
    graph finds nothing, a climb is tried behind each single substitution, in the order of the policy. A greedy climb
    from the original comes first and is paid for from the same budget, so that the result is at least as good as greedy
    search wherever that ends within the budget.

    Args:
        policy: the trained network, its file, or None for the one that ships.
        samples: rollouts that draw substitutions by their probability, after the one that takes the most probable.
        length: substitutions of a rollout at most; by default 40.
    """

    name = "learned"

    def __init__(self, policy: RewritingPolicy | str | Path | None = None, samples: int = 6, length: int = 40) -> None:
        self.policy = policy if isinstance(policy, RewritingPolicy) else load_policy(policy or SHIPPED)
        self.samples, self.length = samples, length

    @one_thread()
    def walk(self, first: RewriteState, budget: Budget, rng: np.random.Generator) -> None:
        """As :meth:`SearchRewriter.walk`."""
        climb(first, budget)
        for sample in range(1 + self.samples):
            best = None
            while budget.best is not best:  # as long as something better is found from the best
                best = budget.best or first
                climb(self._rollout(best, budget, rng if sample else None), budget)
                if budget.best is best:
                    self._branch(best, budget)
            climb(self._rollout(first, budget, rng if sample else None), budget)

    def _branch(self, state: RewriteState, budget: Budget) -> None:
        """Climb from behind each substitution, the most probable first, until one of them leads to something better."""
        episode = Episode(state, budget)
        if not episode.done:
            p = self._probabilities(episode)[:-1]
            for index in np.argsort(-p, kind="stable"):
                climb(state.move(episode.candidates[index]), budget)
                if budget.best is not state:
                    return

    @torch.no_grad()
    def _probabilities(self, episode: Episode) -> NDArray[np.float64]:
        """Of each candidate, and of stopping."""
        log_p, _ = self.policy(collate([observe(episode)]))
        return log_p.double().exp().numpy()

    def _rollout(self, first: RewriteState, budget: Budget, rng: np.random.Generator | None) -> RewriteState:
        """The cheapest state of one rollout; the most probable one without ``rng``."""
        episode = Episode(first, budget, self.length)
        best = first
        while not episode.done:
            budget.check()
            p = self._probabilities(episode)
            if rng is None:
                action = int(p[:-1].argmax()) if p[-1] < 0.5 else len(p) - 1
            else:
                action = int(rng.choice(len(p), p=p / p.sum()))
            episode.step(action)
            if episode.state.total <= best.total:
                best = episode.state
        return best


class SmallLearnedRewriter(LearnedRewriter):
    """The same with a policy of a ninth of the size."""

    name = "learned-small"

    def __init__(self, samples: int = 6, length: int = 40) -> None:
        super().__init__(SMALL, samples, length)
