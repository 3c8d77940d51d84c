"""PPO (Schulman et al., 2017) on random graphs and random devices, in one file.

A device is a :class:`PlainCost` with its own price of bytes and of operators, so that the policy has to go by what
substitutions gain there, not by what they usually gain.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import torch

from nas_proxy.rewriting._budget import Budget
from nas_proxy.rewriting._state import start
from nas_proxy.rewriting.costs import PlainCost
from nas_proxy.rewriting.planted import training_graph
from nas_proxy.rewriting.xrlflow._episode import Episode
from nas_proxy.rewriting.xrlflow._features import Observation, observe
from nas_proxy.rewriting.xrlflow._policy import RewritingPolicy, collate
from nas_proxy.threads import one_thread

__all__ = ["XRLflowTraining", "train"]


@dataclass(frozen=True)
class XRLflowTraining:
    """Hyper-parameters; those of the paper unless said otherwise. Everything random follows from ``seed``."""

    seed: int = 0
    iterations: int = 50
    graphs: int = 12
    """Drawn in each iteration."""
    repeats: int = 4
    """Episodes on each graph, which share what they find out about substitutions."""
    length: int = 25
    """Substitutions in an episode at most."""
    epochs: int = 3
    minibatch: int = 128
    discount: float = 0.99
    smoothing: float = 0.95
    learning_rate: float = 1e-3
    """Twice the paper's, falling to a twentieth: there are fewer steps here."""
    clip: float = 0.2
    entropy: float = 0.01
    target_divergence: float = 0.05
    width: int = 48
    rounds: int = 4
    reward_scale: float = 10.0


@dataclass
class _Step:
    observation: Observation
    action: int
    log_probability: float
    value: float
    reward: float
    advantage: float = 0.0
    target: float = 0.0


@one_thread()
def train(config: XRLflowTraining, report: Callable[[str], None] = print) -> RewritingPolicy:
    """A policy trained from nothing. ``report`` gets a line now and then."""
    torch.manual_seed(config.seed)
    rng = np.random.default_rng(config.seed)
    policy = RewritingPolicy(config.width, config.rounds)
    optimiser = torch.optim.Adam(policy.parameters(), config.learning_rate)
    schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimiser, config.iterations, config.learning_rate / 20)
    started = time.process_time()
    for iteration in range(config.iterations):
        steps, saved = _play(policy, config, rng)
        _improve(policy, optimiser, steps, config, rng)
        schedule.step()
        if (iteration + 1) % 5 == 0 or iteration + 1 == config.iterations:
            spent = time.process_time() - started
            report(f"iteration {iteration + 1}/{config.iterations}: saved {np.mean(saved):.2%} of the cost at best, "
                   f"{len(steps) / len(saved):.1f} steps an episode, {spent:.0f} s CPU")  # fmt: skip
    return policy.eval()


def random_device(rng: np.random.Generator) -> PlainCost:
    """A device that may be slow at moving bytes, at starting operators, at both or at neither."""
    return PlainCost(float(np.exp(rng.uniform(0, 4))), float(np.exp(rng.uniform(3, 12))))


def _play(
    policy: RewritingPolicy, config: XRLflowTraining, rng: np.random.Generator
) -> tuple[list[_Step], list[float]]:
    """Episodes side by side; returns their steps with advantages, and the largest saving in each."""
    episodes: list[Episode] = []
    while len(episodes) < config.graphs * config.repeats:
        first, budget = start(training_graph(rng), random_device(rng)), Budget(10**9)
        if first.candidates:
            episodes += [Episode(first, budget, config.length) for _ in range(config.repeats)]
    records: list[list[_Step]] = [[] for _ in episodes]
    best = [0.0] * len(episodes)
    while playing := [i for i, episode in enumerate(episodes) if not episode.done]:
        observations = [observe(episodes[i]) for i in playing]
        with torch.no_grad():
            log_p, values = policy(collate(observations))
        begin = 0
        for row, i in enumerate(playing):
            count = len(observations[row].rule) + 1
            p = log_p[begin : begin + count].double().exp().numpy()
            action = int(rng.choice(count, p=p / p.sum()))
            reward = episodes[i].step(action) * config.reward_scale
            step = _Step(observations[row], action, float(log_p[begin + action]), float(values[row]), reward)
            records[i].append(step)
            best[i] = max(best[i], 1 - episodes[i].state.total / episodes[i].first.total)
            begin += count
    for record in records:
        advantage, following = 0.0, 0.0
        for step in reversed(record):
            error = step.reward + config.discount * following - step.value
            advantage = error + config.discount * config.smoothing * advantage
            step.advantage, step.target, following = advantage, advantage + step.value, step.value
    return [step for record in records for step in record], best


def _improve(
    policy: RewritingPolicy,
    optimiser: torch.optim.Optimizer,
    steps: list[_Step],
    config: XRLflowTraining,
    rng: np.random.Generator,
) -> None:
    advantages = np.array([step.advantage for step in steps])
    mean, spread = advantages.mean(), advantages.std() + 1e-6
    for _ in range(config.epochs):
        order = rng.permutation(len(steps))
        for chunk in np.array_split(order, max(1, len(steps) // config.minibatch)):
            taken = [steps[i] for i in chunk]
            batch = collate([step.observation for step in taken])
            log_p, values = policy(batch)
            counts = np.array([len(step.observation.rule) + 1 for step in taken])
            place = torch.from_numpy(np.cumsum(counts) - counts + np.array([step.action for step in taken]))
            old = torch.tensor([step.log_probability for step in taken])
            advantage = torch.tensor([(step.advantage - mean) / spread for step in taken], dtype=torch.float32)
            ratio = (log_p[place] - old).exp()
            gain = torch.minimum(ratio * advantage, ratio.clamp(1 - config.clip, 1 + config.clip) * advantage).mean()
            target = torch.tensor([step.target for step in taken], dtype=torch.float32)
            entropy = -(log_p.exp() * log_p).sum() / len(taken)
            loss = -gain + 0.5 * (values - target).square().mean() - config.entropy * entropy
            optimiser.zero_grad()
            loss.backward()
            torch.nn.utils.clip_grad_norm_(policy.parameters(), 0.5)
            optimiser.step()
            if float((old - log_p[place]).detach().mean()) > 1.5 * config.target_divergence:
                return
