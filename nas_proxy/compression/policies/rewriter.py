"""The graph rewriter as a task: the share of a network's cost that its greedy rollout saves."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn

from nas_proxy.compression._task import Task
from nas_proxy.rewriting._budget import Budget
from nas_proxy.rewriting._state import start
from nas_proxy.rewriting.planted import training_graph
from nas_proxy.rewriting.rewriters.learned import SHIPPED
from nas_proxy.rewriting.xrlflow import Episode, Observation, RewritingPolicy, load_policy, observe, save_policy
from nas_proxy.rewriting.xrlflow._features import CANDIDATE_FEATURES
from nas_proxy.rewriting.xrlflow._policy import rule_slot
from nas_proxy.rewriting.xrlflow._train import random_device

__all__ = ["RewriterNetwork", "save", "saved_share", "task"]

_SEED = 700_000  # training draws from seed 0, benchmarks from 1,000,000
_LENGTH = 25


class RewriterNetwork(nn.Module):
    """The policy on batches of graphs, with dense matrices: log-probabilities of the choices, and the value at the end.

    Inputs of a batch of ``b`` graphs with at most ``n`` nodes and ``c`` candidates: operators ``(b, n)`` and features
    ``(b, n, f)`` of the nodes, their weights in the mean ``(b, n)`` (0 for padding), averaging matrices ``(b, n, n)``
    over what comes before and after; and of the candidates rule and node ``(b, c)``, features ``(b, c, g)``, their
    weights (0 for padding); progress ``(b, 2)``. Output: ``(b, c + 2)``; the last candidate choice is to stop.
    """

    def __init__(self, policy: RewritingPolicy, tracked: bool = True) -> None:
        super().__init__()
        self.policy = policy
        # torch-pruning misses what is concatenated without a layer before it: frozen layers that change nothing.
        same = _identity if tracked else nn.Identity
        self.of_candidate, self.of_progress, self.of_best = (same(size) for size in (CANDIDATE_FEATURES, 2, 1))

    def deployed(self) -> nn.Module:
        """The same network, made to be exported."""
        return RewriterNetwork(self.policy, tracked=False)

    def forward(
        self, operator: torch.Tensor, nodes: torch.Tensor, share: torch.Tensor, before: torch.Tensor,
        after: torch.Tensor, rule: torch.Tensor, anchor: torch.Tensor, candidates: torch.Tensor, among: torch.Tensor,
        progress: torch.Tensor,
    ) -> torch.Tensor:  # fmt: skip
        """Log-probabilities of the choices, and the value, ``(b, c + 2)``."""
        policy = self.policy
        h = policy.embed(nodes) + policy.operator(operator)
        for mix, norm in zip(policy.mix, policy.norms, strict=True):
            z = norm(h)
            h = h + torch.relu(mix(torch.cat([z, before @ z, after @ z], dim=-1)))
        context = torch.cat([(share[..., None] * h).sum(dim=1), self.of_progress(progress)], dim=-1)
        rules = policy.rule(rule)
        at = torch.gather(h, 1, anchor[..., None].expand(-1, -1, h.shape[-1]))
        shared = policy.context(context)[:, None].expand(-1, rule.shape[1], -1)
        seen = self.of_candidate(candidates)
        scores = policy.candidate(torch.cat([rules, at, shared, seen], dim=-1))[..., 0]
        scores = torch.where(among > 0, scores, torch.full_like(scores, -1e4))
        best = torch.where(among > 0, candidates[..., 1], torch.full_like(scores, -5.0)).amax(dim=1, keepdim=True)
        stop = policy.stop(torch.cat([context, self.of_best(best)], dim=-1))
        log_p = torch.log_softmax(torch.cat([scores, stop], dim=-1), dim=-1)
        value = policy.value(torch.cat([context, (among[..., None] * rules).sum(dim=1)], dim=-1))
        return torch.cat([log_p, value], dim=-1)

    def distance(self, student: torch.Tensor, teacher: torch.Tensor) -> torch.Tensor:
        """The Kullback-Leibler divergence of the choices, and a little of the values, which do not act."""
        p, q = student[:, :-1], teacher[:, :-1]
        divergence = (q.exp() * (q - p).clamp(-50, 50)).sum(dim=1).mean()
        return divergence + 0.01 * nn.functional.mse_loss(student[:, -1], teacher[:, -1])


def _identity(size: int) -> nn.Linear:
    layer = nn.Linear(size, size, bias=False).requires_grad_(False)
    nn.init.eye_(layer.weight)
    return layer


def as_arrays(seen: Observation, multiple: int = 1) -> tuple[NDArray, ...]:
    """Inputs of :class:`RewriterNetwork` without the batch axis, padded to multiples of a size."""
    n, c = len(seen.operator), len(seen.rule)
    rows, choices = (-(-max(size, 1) // multiple) * multiple for size in (n, c))
    operator, nodes = np.zeros(rows, np.int64), np.zeros((rows, seen.nodes.shape[1]), np.float32)
    operator[:n], nodes[:n] = seen.operator, seen.nodes
    share, among = np.zeros(rows, np.float32), np.zeros(choices, np.float32)
    share[:n], among[:c] = 1 / n, 1 / max(c, 1)
    follows = np.zeros((rows, rows), np.float32)
    np.add.at(follows, (seen.edges[:, 0], seen.edges[:, 1]), 1.0)
    rule, anchor = np.zeros(choices, np.int64), np.zeros(choices, np.int64)
    rule[:c], anchor[:c] = [rule_slot(name) for name in seen.rule], seen.anchor
    candidates = np.zeros((choices, seen.candidates.shape[1]), np.float32)
    candidates[:c] = seen.candidates
    before, after = (m / np.maximum(m.sum(axis=1, keepdims=True), 1) for m in (follows.T, follows))
    return operator, nodes, share, before, after, rule, anchor, candidates, among, seen.progress


def task() -> Task:
    """The graph rewriter, on random graphs and devices that are in no other use.

    The policy acts alone: no climbs, no greedy search.
    """
    return Task(
        policy=RewriterNetwork(load_policy(SHIPPED)),
        evaluate=saved_share,
        observations=_observations(),
        seeds=range(_SEED, _SEED + 60),
        fresh_seeds=range(_SEED + 1000, _SEED + 1120),
        save=save,
    )


def _episode(rng: np.random.Generator) -> Episode:
    while True:
        episode = Episode(start(training_graph(rng), random_device(rng)), Budget(10**9), _LENGTH)
        if not episode.done:
            return episode


def saved_share(actor: Any, seed: int) -> float:
    """The largest saving on the way of one rollout that takes the most probable choice each time."""
    episode = _episode(np.random.default_rng(seed))
    least = first = episode.first.total
    while not episode.done:
        choices = actor(*(array[None] for array in as_arrays(observe(episode))))[0, :-1]
        episode.step(int(choices.argmax()))
        least = min(least, episode.state.total)
    return float(1 - least / first)


def _observations(episodes: int = 60) -> list[tuple[NDArray, ...]]:
    """What the policy sees while it draws substitutions."""
    network, rng = RewriterNetwork(load_policy(SHIPPED)), np.random.default_rng(_SEED - 1)
    found = []
    for _ in range(episodes):
        episode = _episode(rng)
        while not episode.done:
            arrays = as_arrays(observe(episode), multiple=16)
            found.append(arrays)
            with torch.no_grad():
                log_p = network(*(torch.from_numpy(array)[None] for array in arrays))[0, :-1]
            p = log_p.double().exp().numpy()
            action = int(rng.choice(len(p), p=p / p.sum()))
            episode.step(action if action < len(episode.candidates) else len(p))
    return found


def save(network: nn.Module, path: Path, made_by: str) -> Path:
    """The policy's own file, which ``learned`` takes as ``policy``."""
    assert isinstance(network, RewriterNetwork)
    policy = network.policy
    policy.width = policy.embed.out_features
    return save_policy(policy, path, made_by)
