"""The multi-agent mapper: one agent per decision, one shared reward, turns.

After Krishnan et al., "Multi-agent reinforcement learning for sample-efficient deep neural network mapping" (2025,
arXiv:2507.16249): decentralised agents with a shared reward, grouped by the correlation of their parameters. Two things
differ from its plain form (``policy-gradient``): agents take *turns*, a few of them re-deciding given what the others
hold, and each agent's policy moves to the rank-weighted frequencies of the elite instead of following a gradient, which
one scalar for some thirty agents makes very noisy. One episode is one evaluation, so there is nothing to discount.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial

import numpy as np
from numpy.typing import NDArray

from nas_proxy.mapping.mappers._memory import Memory
from nas_proxy.mapping.mappers._settings import check_name, check_settings
from nas_proxy.mapping.mappers.clusters import CLUSTERS, Clusters, cluster_agents
from nas_proxy.mapping.problem import Problem
from nas_proxy.mapping.space import CHOICES

__all__ = ["MarlMapper", "without_critic"]


@dataclass(frozen=True)
class MarlMapper:
    """One agent decides each part of a mapping; in turns a few of them decide anew, all for the same reward.

    Attributes:
        initial: evaluations of random valid mappings that the agents, clusters and critic start from.
        elite: mappings in the pool that the policies follow; parents are drawn from it, the best ranks most often.
        turn: evaluations after which policies (and critic) are renewed.
        redecide: mean number of agents that re-decide in one proposal.
        large: share of proposals in which a third of the agents re-decides.
        explore: share of a policy that stays uniform.
        patience: evaluations without progress, in units of decisions, after which the pool starts anew at random.
        clusters: ``"correlation"``, ``"linkage"`` (found anew in each turn's elite), ``"random"``, ``"none"`` (all in
            one) or ``"each"`` (every agent alone).
        cluster_share: share of proposals whose agents come from one cluster.
        cluster_size: mean number of agents in a cluster.
        masked: whether choices are masked; without, mappings that do not fit are evaluated (and charged) too.
        critic: propose ``proposals`` for each evaluation and let the critic choose; critics pay for small budgets.
        rounds: times that agents propose, and the critic chooses, before anything is evaluated.
        caution: standard deviations that the critic's estimate is lowered by; larger explores more.

    Raises:
        InputError: a setting is out of its bounds (names it).
    """

    initial: int = 24
    elite: int = 20
    turn: int = 8
    redecide: float = 4.0
    large: float = 0.3
    explore: float = 0.2
    patience: float = 4.0
    clusters: Clusters = "correlation"
    cluster_share: float = 0.5
    cluster_size: int = 5
    masked: bool = True
    critic: bool = True
    proposals: int = 60
    rounds: int = 1
    caution: float = 2.0

    def __post_init__(self) -> None:
        counts = "initial elite turn cluster_size proposals rounds"
        check_settings(self, counts, "large explore cluster_share", redecide=1, patience=0, caution=0)
        check_name(self, "clusters", CLUSTERS)

    def search(self, problem: Problem, rng: np.random.Generator) -> None:
        """See :class:`nas_proxy.mapping.mappers.Mapper`."""
        space, n = problem.space, len(problem.space)
        choices = space.sample(rng, self.initial)
        values, metrics = problem.evaluate(choices)
        count = max(1, n // self.cluster_size)
        groups = cluster_agents(choices, metrics.values, count, self.clusters, rng)
        memory = Memory(problem)
        memory.add(choices, values, metrics)
        pool, pool_values = choices, values
        stale, best = 0, values.min()
        while True:
            pool, pool_values = _elite(pool, pool_values, self.elite)
            if self.clusters == "linkage":
                groups = cluster_agents(pool, metrics.values, count, "linkage", rng)
            logits = self._policies(pool)
            turn = max(self.turn, problem.spent // 100)
            if self.critic:
                memory.learn()
                proposed = self._imagine(problem, memory, pool, logits, groups, turn, rng)
            else:
                proposed = self._propose(problem, pool, logits, groups, 2 * turn, rng)
                proposed = proposed[problem.unknown(proposed)][:turn]
            if not len(proposed):
                proposed = problem.fresh(rng, turn)
            values, metrics = problem.evaluate(proposed)
            if self.critic:
                memory.add(proposed, values, metrics)
            pool, pool_values = np.concatenate([pool, proposed]), np.concatenate([pool_values, values])
            stale = stale + turn if values.min() >= best - 1e-9 else 0
            best = min(best, values.min())
            if stale > self.patience * n:
                fresh = space.sample(rng, self.initial)
                fresh_values, metrics = problem.evaluate(fresh)
                memory.add(fresh, fresh_values, metrics)
                pool, pool_values = fresh, fresh_values
                stale, best = 0, fresh_values.min()

    def _imagine(self, problem, memory, pool, logits, groups, turn, rng) -> NDArray[np.int64]:
        """A turn's proposals: in each round the agents go on from those that the critic liked best in the last."""
        count = turn * self.proposals // self.rounds
        proposed = pool[:0]
        for _ in range(self.rounds):
            drawn = self._propose(problem, pool, logits, groups, count, rng)
            proposed = np.concatenate([proposed, drawn[problem.unknown(drawn)]])
            proposed = memory.choose(np.unique(proposed, axis=0), max(turn, self.elite), self.caution)
            pool = proposed if len(proposed) else pool
        return proposed[:turn]

    def _policies(self, pool: NDArray[np.int64]) -> NDArray[np.float64]:
        """Log-probabilities ``(n, 8)`` of each agent: rank-weighted frequencies in the elite (sorted, best first)."""
        weights = _rank_weights(len(pool))
        frequencies = ((pool[:, :, None] == np.arange(CHOICES)) * weights[:, None, None]).sum(axis=0)
        return np.log((1 - self.explore) * frequencies + self.explore / CHOICES)

    def _propose(self, problem, pool, logits, groups, count, rng) -> NDArray[np.int64]:
        """Elite mappings in which a few agents re-decide, by their policies, given what all others hold."""
        n = pool.shape[1]
        parents = pool[rng.choice(len(pool), size=count, p=_rank_weights(len(pool)))]
        scores = rng.gumbel(size=(count, n, CHOICES)) + logits
        size = 1 + rng.geometric(1 / self.redecide, size=count) - 1
        size = np.where(rng.random(count) < self.large, max(1, n // 3), size)
        priority = rng.random((count, n))
        for i in np.flatnonzero(rng.random(count) < self.cluster_share):
            priority[i, groups[rng.integers(len(groups))]] -= 1.0  # its agents come first
        redecide = priority.argsort(axis=1).argsort(axis=1) < size[:, None]
        held = np.where(redecide, -1, parents)
        rows, columns = np.nonzero(held >= 0)
        scores[rows, columns, held[rows, columns]] += 1e6
        if not self.masked:
            counts = np.array([decision.choices for decision in problem.space.decisions])
            scores[:, np.arange(CHOICES) >= counts[:, None]] = -np.inf
            return problem.space.canonical(scores.argmax(axis=2))
        return problem.space.fill(scores, problem.space.turns(rng, count))


def _elite(pool, values, count: int):
    """The best distinct assignments, best first."""
    order = np.argsort(values, kind="stable")
    pool, values = pool[order], values[order]
    _, first = np.unique(pool, axis=0, return_index=True)
    kept = np.sort(first)[:count]
    return pool[kept], values[kept]


def _rank_weights(count: int) -> NDArray[np.float64]:
    """Logarithmic weights of ranks, as in CMA-ES, but over the whole pool."""
    weights = np.log(count + 0.5) - np.log(np.arange(1, count + 1))
    return weights / weights.sum()


#: The agents alone: without a critic to sort proposals out, small moves and patience pay.
without_critic = partial(MarlMapper, critic=False, redecide=2.0, large=0.1, patience=40.0)
