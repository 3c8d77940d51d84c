"""The attention scheduler as a task: how much of a random order's bottleneck its greedy order saves."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn

from nas_proxy.compression._task import Task
from nas_proxy.scheduling import PipelineProblem, synthetic_problem
from nas_proxy.scheduling._orders import bottlenecks, random_orders
from nas_proxy.scheduling.respect import load_policy, save_policy
from nas_proxy.scheduling.respect._decode import decode
from nas_proxy.scheduling.respect._features import encode
from nas_proxy.scheduling.respect._policy import Keys, SchedulingPolicy
from nas_proxy.scheduling.respect._scheduler import SHIPPED

__all__ = ["SchedulerNetwork", "random_problem", "save", "saved_share", "task"]

_PAIRS = 256
_SIZES = (20, 30, 40)
_SEED = 500_000  # training draws from seed 0, benchmarks from 20,000


class SchedulerNetwork(nn.Module):
    """The policy over recorded choices: log-probabilities of ready units within their steps.

    Inputs of a batch of ``b``: units ``(b, n, f)``, averaging matrices ``(b, n, n)`` over predecessors and successors,
    and for ``p`` ready units their index, the unit placed before (-1 for none), features of move and context, and the
    number of their step.
    """

    def __init__(self, policy: SchedulingPolicy) -> None:
        super().__init__()
        self.policy = policy

    def forward(
        self, units: torch.Tensor, before: torch.Tensor, after: torch.Tensor, unit: torch.Tensor, last: torch.Tensor,
        move: torch.Tensor, context: torch.Tensor, step: torch.Tensor,
    ) -> torch.Tensor:  # fmt: skip
        """Log-probabilities ``(b, p)`` of ready units, each among those of its step."""
        h, policy = self.policy.encode(units, before, after), self.policy
        row = torch.arange(len(units))[:, None]
        hidden = policy.key(h)[row, unit] + policy.move(move) + policy.context(context)
        hidden = hidden + policy.last(h)[row, last.clamp(min=0)] * (last >= 0)[..., None]
        scores = (policy.score(torch.relu(hidden)) + policy.move_score(move))[..., 0]
        empty = torch.zeros(len(units), int(step.max()) + 1)
        top = (empty - 1e9).scatter_reduce(1, step, scores.detach(), "amax").gather(1, step)
        total = empty.scatter_add(1, step, torch.exp(scores - top)).gather(1, step)
        return scores - top - torch.log(total)

    def deployed(self) -> nn.Module:
        """The encoder: what decoding needs of a problem, and no records of choices."""
        return _Keys(self.policy)

    def distance(self, student: torch.Tensor, teacher: torch.Tensor) -> torch.Tensor:
        """The Kullback-Leibler divergence of the choices."""
        return (teacher.exp() * (teacher - student)).mean()


class _Keys(nn.Module):
    """What decoding needs of one problem: the fields of :class:`Keys`."""

    def __init__(self, policy: SchedulingPolicy) -> None:
        super().__init__()
        self.policy = policy

    def forward(self, units: torch.Tensor, before: torch.Tensor, after: torch.Tensor) -> tuple[torch.Tensor, ...]:
        return self.policy.key_tensors(units, before, after)


def task() -> Task:
    """The attention scheduler, on synthetic networks that are in no other use.

    The policy acts alone: no fallback, no local search.
    """
    return Task(
        policy=SchedulerNetwork(load_policy(SHIPPED)),
        evaluate=saved_share,
        observations=_observations(),
        seeds=range(_SEED, _SEED + 400),
        fresh_seeds=range(_SEED + 1000, _SEED + 1800),
        save=save,
    )


def random_problem(rng: np.random.Generator) -> PipelineProblem:
    """A synthetic network of some size and width."""
    n = int(rng.choice(_SIZES))
    return synthetic_problem(n, rng, width=float(rng.uniform(2.0, n**0.5)))


def saved_share(actor: Any, seed: int) -> float:
    """1 less the bottleneck of the policy's order over the mean of random orders', each cut exactly."""
    rng = np.random.default_rng(seed)
    problem = random_problem(rng)
    instance = encode(problem)
    key, last, *weights = actor(*(array[None] for array in (instance.units, instance.before, instance.after)))
    order = decode([instance], [Keys(key[0], last[0], *weights)], 1, None).orders
    chance = bottlenecks(problem, random_orders(problem, 16, rng)).mean()
    return float(1 - bottlenecks(problem, order)[0] / chance)


def _observations(count: int = 480) -> list[tuple[NDArray, ...]]:
    """Problems with choices recorded while the policy drew orders."""
    policy, rng = load_policy(SHIPPED), np.random.default_rng(_SEED - 1)
    found = []
    for _ in range(count):
        instance = encode(random_problem(rng))
        rows = 8
        drawn = decode([instance], [policy.keys(instance)], rows, rng, record=True)
        # Whole steps: a probability is one among all that could be chosen.
        steps = rng.permutation(np.unique(drawn.step))
        taken = np.concatenate([np.flatnonzero(drawn.step == step) for step in steps])[:_PAIRS]
        _, step = np.unique(drawn.step[taken], return_inverse=True)
        arrays = (drawn.unit, drawn.last, drawn.move, drawn.context)
        found.append((instance.units, instance.before, instance.after, *(array[taken] for array in arrays), step))
    return found


def save(network: nn.Module, path: Path, made_by: str) -> Path:
    """The policy's own file, which ``respect`` takes as ``weights``."""
    assert isinstance(network, SchedulerNetwork)
    return save_policy(network.policy, path, made_by=made_by)
