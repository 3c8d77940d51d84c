"""The policy: a graph encoder, and an attention that points at one of the ready units."""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn

from nas_proxy.scheduling.respect._features import CONTEXT_FEATURES, MOVE_FEATURES, UNIT_FEATURES, Instance
from nas_proxy.threads import one_thread

__all__ = ["Keys", "SchedulingPolicy"]


class Keys(NamedTuple):
    """What decoding needs of the policy, as arrays: per unit its key and its part of the next query, and the scorer."""

    unit: NDArray[np.float32]
    last: NDArray[np.float32]
    move: NDArray[np.float32]
    context: NDArray[np.float32]
    score: NDArray[np.float32]
    move_score: NDArray[np.float32]


class SchedulingPolicy(nn.Module):
    """Additive attention of the state (context, last unit) over ready units.

    Units are encoded once by ``rounds`` of message passing in both directions of the graph, whatever its size; then
    ``score(i) = v . relu(key_i + W_move move_i + W_context context + query_last) + w . move_i``.
    """

    def __init__(self, width: int = 48, rounds: int = 3) -> None:
        super().__init__()
        self.embed = nn.Linear(UNIT_FEATURES, width)
        self.mix = nn.ModuleList(nn.Linear(4 * width, width) for _ in range(rounds))
        self.norms = nn.ModuleList(nn.LayerNorm(width) for _ in range(rounds))
        self.key = nn.Linear(width, width)
        self.last = nn.Linear(width, width, bias=False)
        self.move = nn.Linear(MOVE_FEATURES, width, bias=False)
        self.context = nn.Linear(CONTEXT_FEATURES, width, bias=False)
        self.score = nn.Linear(width, 1, bias=False)
        self.move_score = nn.Linear(MOVE_FEATURES, 1, bias=False)

    def encode(self, units: torch.Tensor, before: torch.Tensor, after: torch.Tensor) -> torch.Tensor:
        """Embeddings ``(b, n, width)`` of units ``(b, n, f)`` joined by ``(b, n, n)`` averaging matrices."""
        h = torch.relu(self.embed(units))
        for mix, norm in zip(self.mix, self.norms, strict=True):
            everything = h.mean(dim=1, keepdim=True).expand_as(h)
            h = h + torch.relu(mix(torch.cat([norm(h), before @ h, after @ h, everything], dim=-1)))
        return h

    def logits(self, h: torch.Tensor, pairs: Pairs) -> torch.Tensor:
        """Scores of ready units at recorded steps, shape ``(p,)``."""
        hidden = self.key(h)[pairs.instance, pairs.unit] + self.move(pairs.move) + self.context(pairs.context)
        hidden = hidden + self.last(h)[pairs.instance, pairs.last.clamp(min=0)] * (pairs.last >= 0)[:, None]
        return (self.score(torch.relu(hidden)) + self.move_score(pairs.move))[:, 0]

    def key_tensors(self, units: torch.Tensor, before: torch.Tensor, after: torch.Tensor) -> tuple[torch.Tensor, ...]:
        """The fields of :class:`Keys`, the first two ``(b, n, width)``; arguments as of :meth:`encode`."""
        h = self.encode(units, before, after)
        weights = (self.move.weight.T, self.context.weight.T, self.score.weight[0], self.move_score.weight[0])
        return self.key(h), self.last(h), *weights

    @one_thread()
    @torch.no_grad()
    def keys(self, instance: Instance) -> Keys:
        """Arrays for decoding one problem."""
        inputs = (torch.from_numpy(array)[None] for array in (instance.units, instance.before, instance.after))
        key, last, *weights = self.key_tensors(*inputs)
        return Keys(*(tensor.contiguous().numpy() for tensor in (key[0], last[0], *weights)))


@dataclass(frozen=True)
class Pairs:
    """Ready units at recorded steps, flattened: ``p`` of them."""

    instance: torch.Tensor
    unit: torch.Tensor
    last: torch.Tensor
    move: torch.Tensor
    context: torch.Tensor
