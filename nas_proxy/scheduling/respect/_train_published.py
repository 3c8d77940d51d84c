"""Training of the published form: REINFORCE, paid for the likeness of its stages to a near-optimal schedule's."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import torch
from numpy.typing import NDArray

from nas_proxy.scheduling._problem import PipelineProblem
from nas_proxy.scheduling.respect._published import PointerNetwork, published_features, stages_of_order
from nas_proxy.scheduling.respect._train import RespectTraining, teach
from nas_proxy.scheduling.synthetic import synthetic_problem
from nas_proxy.threads import one_thread

__all__ = ["train_published"]


@one_thread()
def train_published(config: RespectTraining, report: Callable[[str], None] = print) -> PointerNetwork:
    """The pointer network, trained for ``config.reinforce_steps`` steps; the greedy order's reward is the baseline."""
    torch.manual_seed(config.seed)
    rng = np.random.default_rng(config.seed)
    generator = torch.Generator().manual_seed(config.seed)
    network = PointerNetwork()
    optimiser = torch.optim.Adam(network.parameters(), config.learning_rate / 4)
    pool: list[tuple[list[PipelineProblem], list[NDArray[np.int64]], torch.Tensor]] = []
    seen = []
    for step in range(config.reinforce_steps):
        if step % (4 * config.repeats) == 0:
            problems = [synthetic_problem(config.units, rng) for _ in range(config.problems)]
            features = torch.from_numpy(np.stack([published_features(problem) for problem in problems]))
            pool.append((problems, [teach(problem, rng) for problem in problems], features))
        problems, targets, features = pool[int(rng.integers(len(pool)))]
        orders, log_p = network.decode(features, generator)
        with torch.no_grad():
            greedy, _ = network.decode(features)
        rewards, baseline = (_rewards(problems, targets, o.numpy()) for o in (orders, greedy))
        loss = -(torch.from_numpy(rewards - baseline) * log_p).mean() / config.units
        optimiser.zero_grad()
        loss.backward()
        torch.nn.utils.clip_grad_norm_(network.parameters(), 1.0)
        optimiser.step()
        seen.append(baseline.mean())
        if (step + 1) % 50 == 0:
            report(f"step {step + 1}/{config.reinforce_steps} (likeness of greedy stages): {np.mean(seen):.4f}")
            seen = []
    return network


def _rewards(problems: list[PipelineProblem], targets: list[NDArray], orders: NDArray) -> NDArray[np.float32]:
    """Cosine similarity of stage labels, counted from 1."""
    found = [stages_of_order(problem, order) + 1.0 for problem, order in zip(problems, orders, strict=True)]
    wanted = [target + 1.0 for target in targets]
    pairs = zip(found, wanted, strict=True)
    return np.array([a @ b / np.sqrt((a @ a) * (b @ b)) for a, b in pairs], np.float32)
