"""RESPECT as published, for comparison: an LSTM pointer network that imitates exact stages, repaired afterwards.

Yin et al.: RESPECT: Reinforcement Learning Based Edge Scheduling on Pipelined Coral Edge TPUs, DAC 2023.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import ClassVar

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn

from nas_proxy.errors import InputError
from nas_proxy.scheduling._problem import PipelineProblem, Schedule, evaluate
from nas_proxy.threads import one_thread

__all__ = ["SHIPPED", "PointerNetwork", "PublishedScheduler", "load_published", "published_features", "stages_of_order"]

_PARENTS = 6
#: Made by ``nas-proxy train respect --published`` with its default arguments.
SHIPPED = Path(__file__).with_name("published.safetensors")


def published_features(problem: PipelineProblem) -> NDArray[np.float32]:
    """Per unit in topological order: level, levels and positions of up to six parents, own position, parameter bytes.

    Shape ``(n, 15)``. All but the parameters are divided by ``n``, parameters by their sum; an absent parent is -1.
    """
    n = problem.n
    position = {unit: i for i, unit in enumerate(problem.order)}
    level = np.zeros(n)
    rows = np.full((n, 3 + 2 * _PARENTS), -1.0, np.float32)
    for i, unit in enumerate(problem.order):
        parents = problem.predecessors[unit]
        level[unit] = 1 + max((level[p] for p in parents), default=-1)
        rows[i, 0], rows[i, 1] = level[unit] / n, i / n
        rows[i, 2] = problem.parameter_bytes[unit] / max(problem.parameter_bytes.sum(), 1.0)
        for j, parent in enumerate(parents[:_PARENTS]):
            rows[i, 3 + 2 * j : 5 + 2 * j] = level[parent] / n, position[parent] / n
    return rows


class PointerNetwork(nn.Module):
    """LSTM encoder over units in topological order, LSTM decoder that points at units not chosen yet."""

    def __init__(self, width: int = 64) -> None:
        super().__init__()
        self.embed = nn.Linear(3 + 2 * _PARENTS, width)
        self.encoder = nn.LSTM(width, width, batch_first=True)
        self.decoder = nn.LSTM(width, width, batch_first=True)
        self.start = nn.Embedding.from_pretrained(torch.zeros(1, width), freeze=False)
        self.reference, self.query = nn.Linear(width, width, bias=False), nn.Linear(width, width, bias=False)
        self.score = nn.Linear(width, 1, bias=False)

    def forward(self, features: torch.Tensor, order: torch.Tensor) -> torch.Tensor:
        """Log-probabilities ``(b, n, n)`` of what comes next in orders ``(b, n)``: row ``t`` knows the first ``t``."""
        embedded = self.embed(features)
        encoded, state = self.encoder(embedded)
        start = self.start.weight.expand(order.shape[0], 1, -1)
        placed = torch.gather(embedded, 1, order[:, :-1, None].expand(-1, -1, embedded.shape[-1]))
        chosen = (order[:, :, None] == torch.arange(order.shape[1])).float()
        taken = chosen.cumsum(dim=1) - chosen
        return self._log_p(
            self.reference(encoded), self.decoder(torch.cat([start, placed], dim=1), state)[0], taken > 0
        )

    def decode(
        self, features: torch.Tensor, generator: torch.Generator | None = None
    ) -> tuple[torch.Tensor, torch.Tensor]:
        """Orders ``(b, n)`` of positions and their log-probabilities ``(b,)``; greedy without a generator."""
        embedded = self.embed(features)
        encoded, state = self.encoder(embedded)
        reference = self.reference(encoded)
        batch, n, _ = features.shape
        rows = torch.arange(batch)
        taken = torch.zeros(batch, n, dtype=torch.bool)
        current = self.start.weight.expand(batch, -1)
        orders, total = [], torch.zeros(batch)
        for _ in range(n):
            hidden, state = self.decoder(current[:, None], state)
            log_p = self._log_p(reference, hidden, taken[:, None])[:, 0]
            if generator is None:
                choice = log_p.argmax(dim=-1)
            else:
                choice = torch.multinomial(log_p.exp(), 1, generator=generator)[:, 0]
            total = total + log_p[rows, choice]
            taken = taken.clone()
            taken[rows, choice] = True
            current = embedded[rows, choice]
            orders.append(choice)
        return torch.stack(orders, dim=1), total

    def _log_p(self, reference: torch.Tensor, hidden: torch.Tensor, taken: torch.Tensor) -> torch.Tensor:
        """Of every unit ``(b, t, n)`` after decoder states ``(b, t, width)``; of those taken, nothing."""
        scores = self.score(torch.tanh(reference[:, None] + self.query(hidden)[:, :, None]))[..., 0]
        return torch.log_softmax((10 * torch.tanh(scores)).masked_fill(taken, -1e4), dim=-1)


def stages_of_order(problem: PipelineProblem, positions: NDArray[np.integer]) -> NDArray[np.int64]:
    """Stages of a decoded order: segments of equal parameter bytes, then repaired so that no tensor goes backwards."""
    units = np.array(problem.order)[positions]
    before = np.cumsum(problem.parameter_bytes[units]) - problem.parameter_bytes[units]
    share = max(problem.parameter_bytes.sum(), 1e-9) / problem.stages
    stage_of = np.empty(problem.n, np.int64)
    stage_of[units] = np.minimum((before / share).astype(np.int64), problem.stages - 1)
    for unit in problem.order:
        stage_of[unit] = max([stage_of[unit], *(stage_of[p] for p in problem.predecessors[unit])])
    return stage_of


@dataclass(frozen=True)
class PublishedScheduler:
    """Decodes greedily and repairs. Its parameter-balanced segments know nothing of compute or transfers."""

    weights: Path | None = None
    name: ClassVar[str] = "respect-published"
    never_worse_than_dp: ClassVar[bool] = False

    @one_thread()
    def schedule(self, problem: PipelineProblem) -> Schedule:
        """As :meth:`Scheduler.schedule`: the network's one order, in stages of equal shares of the parameters."""
        network = load_published(self.weights or SHIPPED)
        with torch.no_grad():
            orders, _ = network.decode(torch.from_numpy(published_features(problem))[None])
        return evaluate(problem, stages_of_order(problem, orders[0].numpy()), self.name)


@lru_cache(maxsize=2)
def load_published(path: str | Path) -> PointerNetwork:
    """The network from its weights.

    Raises:
        InputError: the file is absent, or holds something else.
    """
    from safetensors import SafetensorError
    from safetensors.torch import load_file

    if not Path(path).is_file():
        raise InputError(f"{path}: no such file: expected weights from `nas-proxy train respect --published`.")
    try:
        state = load_file(path)
        network = PointerNetwork(state["start.weight"].shape[1])
        network.load_state_dict(state)
    except (SafetensorError, KeyError, RuntimeError) as error:
        raise InputError(f"{path}: not the weights of the published network: {error}") from None
    return network.eval()
