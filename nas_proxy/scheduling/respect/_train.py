"""Training: imitation of near-optimal schedules, then REINFORCE on the true bottleneck with a rollout baseline."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray

from nas_proxy.scheduling._orders import best_cut, bottlenecks, random_orders
from nas_proxy.scheduling._problem import PipelineProblem
from nas_proxy.scheduling._refine import refine
from nas_proxy.scheduling.respect._decode import Rollout, decode
from nas_proxy.scheduling.respect._features import Instance, encode
from nas_proxy.scheduling.respect._policy import Pairs, SchedulingPolicy
from nas_proxy.scheduling.synthetic import synthetic_problem
from nas_proxy.threads import one_thread

__all__ = ["RespectTraining", "teach", "train"]


@dataclass(frozen=True)
class RespectTraining:
    """Hyper-parameters. Everything random follows from ``seed``."""

    seed: int = 0
    units: int = 30
    """Size of the synthetic networks; the policy then works on any size."""
    imitation_steps: int = 300
    reinforce_steps: int = 1200
    problems: int = 16
    """Problems a step."""
    rows: int = 24
    """Orders drawn of each problem in a step; their mean is each other's baseline."""
    repeats: int = 3
    """How often a problem is seen, on average."""
    learning_rate: float = 2e-3
    entropy: float = 0.003
    width: int = 48
    rounds: int = 3


@dataclass(frozen=True)
class _Group:
    """Problems of one size, encoded, and their stacked arrays."""

    problems: tuple[PipelineProblem, ...]
    instances: tuple[Instance, ...]
    units: torch.Tensor
    before: torch.Tensor
    after: torch.Tensor


@one_thread()
def train(config: RespectTraining, report: Callable[[str], None] = print) -> SchedulingPolicy:
    """A policy trained from nothing on synthetic networks. ``report`` gets a line now and then."""
    torch.manual_seed(config.seed)
    rng = np.random.default_rng(config.seed)
    policy = SchedulingPolicy(config.width, config.rounds)
    total = config.imitation_steps + config.reinforce_steps
    optimiser = torch.optim.Adam(policy.parameters(), config.learning_rate)
    schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimiser, max(total, 1), eta_min=config.learning_rate / 20)
    started, seen = time.process_time(), []
    taught: list[tuple[_Group, NDArray[np.int64]]] = []
    for step in range(total):
        imitating = step < config.imitation_steps
        if imitating:
            if step % config.repeats == 0:
                group = _group(config, rng)
                taught.append((group, np.stack([teach(problem, rng) for problem in group.problems])))
            group, teacher = taught[int(rng.integers(len(taught)))]
            loss, value = _imitate(policy, group, teacher, rng)
        else:
            if step % config.repeats == 0:
                taught.append((_group(config, rng), np.empty(0, np.int64)))
            group, _ = taught[int(rng.integers(len(taught)))]
            loss, value = _reinforce(policy, group, config, rng)
        optimiser.zero_grad()
        loss.backward()
        torch.nn.utils.clip_grad_norm_(policy.parameters(), 1.0)
        optimiser.step()
        schedule.step()
        seen.append(value)
        if (step + 1) % 50 == 0 or step + 1 == total:
            phase = "imitation, likelihood of the teacher" if imitating else "reinforce, bottleneck over bound"
            report(f"step {step + 1}/{total} ({phase}): {np.mean(seen):.4f}, {time.process_time() - started:.0f} s CPU")
            seen = []
        if step + 1 == config.imitation_steps:
            seen = []
    return policy


def _group(config: RespectTraining, rng: np.random.Generator) -> _Group:
    problems = tuple(synthetic_problem(config.units, rng) for _ in range(config.problems))
    instances = tuple(encode(problem) for problem in problems)
    stacked = (np.stack([getattr(i, name) for i in instances]) for name in ("units", "before", "after"))
    return _Group(problems, instances, *(torch.from_numpy(array) for array in stacked))


def teach(problem: PipelineProblem, rng: np.random.Generator) -> NDArray[np.int64]:
    """Stages of a near-optimal schedule: the best of many orders, each of the few best improved by local search."""
    orders = random_orders(problem, 48, rng)
    starts = np.argsort(bottlenecks(problem, orders))[:4]
    stages, bottleneck_ms = refine(problem, np.array([best_cut(problem, orders[i]).stage_of for i in starts]))
    return stages[int(bottleneck_ms.argmin())]


def _roll(policy: SchedulingPolicy, group: _Group, rows: int, rng: np.random.Generator, teacher=None) -> Rollout:
    keys = [policy.keys(instance) for instance in group.instances]
    return decode(group.instances, keys, rows, rng, teacher=teacher, record=True)


def _log_probabilities(
    policy: SchedulingPolicy, group: _Group, rollout: Rollout, rows: int
) -> tuple[torch.Tensor, ...]:
    """Log-probabilities of all recorded choices ``(p,)``, and the step each belongs to."""
    pairs = Pairs(
        instance=torch.from_numpy(rollout.row // rows),
        unit=torch.from_numpy(rollout.unit),
        last=torch.from_numpy(rollout.last),
        move=torch.from_numpy(rollout.move),
        context=torch.from_numpy(rollout.context),
    )
    logits = policy.logits(policy.encode(group.units, group.before, group.after), pairs)
    step = torch.from_numpy(rollout.step)
    return logits - _log_sum_exp(logits, step, rollout.orders.size)[step], step


def _log_sum_exp(values: torch.Tensor, index: torch.Tensor, size: int) -> torch.Tensor:
    top = torch.full((size,), -1e9).scatter_reduce(0, index, values.detach(), "amax")
    return top + torch.zeros(size).index_add(0, index, torch.exp(values - top[index])).clamp(min=1e-12).log()


def _imitate(
    policy: SchedulingPolicy, group: _Group, teacher: NDArray, rng: np.random.Generator
) -> tuple[torch.Tensor, float]:
    """Any ready unit of the teacher's least stage is right: their total probability is what grows."""
    rows = 4
    rollout = _roll(policy, group, rows, rng, teacher)
    log_p, step = _log_probabilities(policy, group, rollout, rows)
    allowed = torch.from_numpy(rollout.allowed)
    right = _log_sum_exp(log_p[allowed], step[allowed], rollout.orders.size)
    return -right.mean(), float(right.mean().exp().detach())


def _reinforce(
    policy: SchedulingPolicy, group: _Group, config: RespectTraining, rng: np.random.Generator
) -> tuple[torch.Tensor, float]:
    """Advantage: how much an order's bottleneck is below the mean of the problem's other orders."""
    rollout = _roll(policy, group, config.rows, rng)
    orders = rollout.orders.reshape(config.problems, config.rows, -1)
    costs = np.stack([bottlenecks(p, o) / p.lower_bound_ms for p, o in zip(group.problems, orders, strict=True)])
    advantage = (costs.mean(axis=1, keepdims=True) - costs) / (costs.std(axis=1, keepdims=True) + 1e-3)
    log_p, _ = _log_probabilities(policy, group, rollout, config.rows)
    chosen = torch.from_numpy(rollout.chosen)
    weight = torch.from_numpy(advantage.ravel().astype(np.float32)[rollout.row[rollout.chosen]])
    gain = (log_p[chosen] * weight).sum() / rollout.orders.size
    entropy = -(log_p.exp() * log_p).sum() / rollout.orders.size
    return -gain - config.entropy * entropy, float(costs.mean())
