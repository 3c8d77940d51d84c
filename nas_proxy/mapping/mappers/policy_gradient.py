"""The multi-agent mapper in its plain form: independent policies, one shared reward, gradients.

Krishnan et al., "Multi-agent reinforcement learning for sample-efficient deep neural network mapping" (2025,
arXiv:2507.16249): each agent owns a cluster of parameters and updates its policy by PPO on the shared reward.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from nas_proxy.mapping.mappers._settings import check_name, check_settings
from nas_proxy.mapping.mappers.clusters import CLUSTERS, Clusters, cluster_agents
from nas_proxy.mapping.problem import Problem
from nas_proxy.mapping.space import CHOICES

__all__ = ["PolicyGradientMapper"]


@dataclass(frozen=True)
class PolicyGradientMapper:
    """Each group of related decisions is one agent, and all agents learn by PPO from the same reward.

    An agent has a softmax for every decision of its group; PPO clips the ratio of the agent's probabilities.

    Attributes:
        initial: evaluations of random valid mappings that the clusters come from.
        batch: mappings between two updates.
        epochs: gradient steps on a batch.
        rate: step of the logits.
        clip: bound on the change of an agent's probability of what it did (PPO).
        entropy: weight of the entropy.
        clusters: ``"correlation"``, ``"random"``, ``"none"`` (one agent for all), or ``"each"`` (one per decision).
        cluster_size: mean number of decisions of an agent.

    Raises:
        InputError: a setting is out of its bounds (names it).
    """

    initial: int = 24
    batch: int = 16
    epochs: int = 4
    rate: float = 0.5
    clip: float = 0.2
    entropy: float = 0.002
    clusters: Clusters = "correlation"
    cluster_size: int = 5

    def __post_init__(self) -> None:
        check_settings(self, "initial batch epochs cluster_size", rate=0, clip=0, entropy=0)
        check_name(self, "clusters", CLUSTERS)

    def search(self, problem: Problem, rng: np.random.Generator) -> None:
        """See :class:`nas_proxy.mapping.mappers.Mapper`."""
        space, n = problem.space, len(problem.space)
        choices = space.sample(rng, self.initial)
        values, metrics = problem.evaluate(choices)
        groups = cluster_agents(choices, metrics.values, max(1, n // self.cluster_size), self.clusters, rng)
        member = np.zeros((len(groups), n))
        for g, group in enumerate(groups):
            member[g, group] = 1.0
        logits = np.zeros((n, CHOICES))
        for i, decision in enumerate(space.decisions):
            logits[i, decision.choices :] = -np.inf
        mean, spread = values.mean(), values.std() + 1e-9
        while True:
            choices = space.sample(rng, self.batch, logits)
            values, _ = problem.evaluate(choices)
            logits = self._update(logits, choices, (mean - values) / spread, member)
            mean, spread = 0.9 * mean + 0.1 * values.mean(), 0.9 * spread + 0.1 * values.std() + 1e-9

    def _update(self, logits, choices, advantage, member) -> NDArray[np.float64]:
        """Some steps of the clipped policy gradient, of all agents side by side."""
        taken = choices[:, :, None] == np.arange(CHOICES)  # (B, n, 8)
        old = _log_softmax(logits)
        before = np.take_along_axis(np.broadcast_to(old, taken.shape), choices[..., None], 2)[..., 0] @ member.T
        for _ in range(self.epochs):
            log_p = _log_softmax(logits)
            p = np.exp(log_p)
            now = np.take_along_axis(np.broadcast_to(log_p, taken.shape), choices[..., None], 2)[..., 0] @ member.T
            ratio = np.exp(np.clip(now - before, -20, 20))  # (B, agents)
            outside = np.where(advantage[:, None] > 0, ratio > 1 + self.clip, ratio < 1 - self.clip)
            weight = (np.where(outside, 0.0, ratio * advantage[:, None]) @ member)[..., None]  # (B, n, 1)
            gradient = (weight * (taken - p)).mean(axis=0)
            surprise = np.where(p > 0, log_p, 0.0)
            gradient -= self.entropy * p * (surprise - (p * surprise).sum(axis=1, keepdims=True))
            logits = np.where(np.isfinite(logits), logits + self.rate * gradient, logits)
        return logits


def _log_softmax(logits: NDArray[np.float64]) -> NDArray[np.float64]:
    shifted = logits - logits.max(axis=1, keepdims=True)
    return shifted - np.log(np.exp(shifted).sum(axis=1, keepdims=True))
