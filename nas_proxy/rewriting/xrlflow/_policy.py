"""The policy: messages along the graph's edges, then a score for each candidate and for stopping, and a value.

Scores do not depend on the order of candidates, and graphs of any size are taken as they are, several at a time as
one graph of several parts.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save
from torch import nn

from nas_proxy import files
from nas_proxy.errors import InputError
from nas_proxy.rewriting.xrlflow._features import CANDIDATE_FEATURES, NODE_FEATURES, OPERATORS, Observation

__all__ = ["Batch", "RewritingPolicy", "collate", "load_policy", "save_policy"]

_RULE_SLOTS = 128  # rules have no order: a rule's slot follows from its name


def rule_slot(name: str) -> int:
    """The row of a rule's embedding."""
    return int.from_bytes(hashlib.blake2b(name.encode(), digest_size=4).digest()) % _RULE_SLOTS


@dataclass(frozen=True)
class Batch:
    """Observations as one graph; ``graph_of_*`` say which part a node or a choice belongs to.

    Choices are all candidates of the first graph, its stop, those of the second, and so on; ``is_stop`` marks stops.
    """

    operator: torch.Tensor
    nodes: torch.Tensor
    edges: torch.Tensor
    graph_of_node: torch.Tensor
    rule: torch.Tensor
    anchor: torch.Tensor
    candidates: torch.Tensor
    graph_of_choice: torch.Tensor
    is_stop: torch.Tensor
    progress: torch.Tensor
    size: int


def collate(observations: Sequence[Observation]) -> Batch:
    """Several observations as one batch."""
    offsets = np.cumsum([0, *(len(o.operator) for o in observations)])
    counts = [len(o.rule) for o in observations]
    stop = np.concatenate([[False] * c + [True] for c in counts])
    tensor = torch.from_numpy
    return Batch(
        operator=tensor(np.concatenate([o.operator for o in observations])),
        nodes=tensor(np.concatenate([o.nodes for o in observations])),
        edges=tensor(np.concatenate([o.edges + offset for o, offset in zip(observations, offsets, strict=False)])),
        graph_of_node=tensor(np.repeat(np.arange(len(observations)), np.diff(offsets))),
        rule=torch.tensor([rule_slot(name) for o in observations for name in o.rule], dtype=torch.int64),
        anchor=tensor(np.concatenate([o.anchor + offset for o, offset in zip(observations, offsets, strict=False)])),
        candidates=tensor(np.concatenate([o.candidates for o in observations])),
        graph_of_choice=tensor(np.repeat(np.arange(len(observations)), [c + 1 for c in counts])),
        is_stop=tensor(stop),
        progress=tensor(np.stack([o.progress for o in observations])),
        size=len(observations),
    )


class RewritingPolicy(nn.Module):
    """``rounds`` of messages in both directions over nodes of ``width`` features."""

    def __init__(self, width: int = 48, rounds: int = 4) -> None:
        super().__init__()
        self.width, self.rounds = width, rounds
        self.operator = nn.Embedding(len(OPERATORS), width)
        self.embed = nn.Linear(NODE_FEATURES, width)
        self.mix = nn.ModuleList(nn.Linear(3 * width, width) for _ in range(rounds))
        self.norms = nn.ModuleList(nn.LayerNorm(width) for _ in range(rounds))
        self.rule = nn.Embedding(_RULE_SLOTS, width)
        self.context = nn.Linear(width + 2, width)
        self.candidate = nn.Sequential(
            nn.Linear(3 * width + CANDIDATE_FEATURES, width),
            nn.ReLU(),
            nn.Linear(width, width),
            nn.ReLU(),
            nn.Linear(width, 1),
        )
        self.stop = nn.Sequential(nn.Linear(width + 3, width), nn.ReLU(), nn.Linear(width, 1))
        self.value = nn.Sequential(nn.Linear(2 * width + 2, width), nn.ReLU(), nn.Linear(width, 1))

    def forward(self, batch: Batch) -> tuple[torch.Tensor, torch.Tensor]:
        """Logits of all choices ``(choices,)``, normalised in each graph, and values ``(graphs,)``."""
        h = self.embed(batch.nodes) + self.operator(batch.operator)
        from_before, from_after = _averaging(batch.edges.flip(1), len(h)), _averaging(batch.edges, len(h))
        for mix, norm in zip(self.mix, self.norms, strict=True):
            z = norm(h)
            before, after = torch.sparse.mm(from_before, z), torch.sparse.mm(from_after, z)
            h = h + torch.relu(mix(torch.cat([z, before, after], dim=-1)))
        pooled = _mean(h, batch.graph_of_node, batch.size)
        context = torch.cat([pooled, batch.progress], dim=-1)
        of_candidate = batch.graph_of_choice[~batch.is_stop]
        inputs = [self.rule(batch.rule), h[batch.anchor], self.context(context)[of_candidate], batch.candidates]
        scores = self.candidate(torch.cat(inputs, dim=-1))[:, 0]
        best = _amax(batch.candidates[:, 1], of_candidate, batch.size)
        logits = torch.empty(len(batch.is_stop))
        logits[~batch.is_stop] = scores
        logits[batch.is_stop] = self.stop(torch.cat([context, best[:, None]], dim=-1))[:, 0]
        chosen = _mean(self.rule(batch.rule), of_candidate, batch.size)
        values = self.value(torch.cat([context, chosen], dim=-1))[:, 0]
        return log_softmax(logits, batch.graph_of_choice, batch.size), values


def _averaging(edges: torch.Tensor, n: int) -> torch.Tensor:
    """The sparse ``(n, n)`` matrix that averages, for each first end of edges ``(e, 2)``, over their second ends."""
    count = torch.zeros(n).index_add_(0, edges[:, 0], torch.ones(len(edges)))
    return torch.sparse_coo_tensor(edges.T, 1 / count[edges[:, 0]], (n, n), check_invariants=False).coalesce()


def log_softmax(logits: torch.Tensor, group: torch.Tensor, size: int) -> torch.Tensor:
    """Log-probabilities within groups."""
    shifted = logits - _amax(logits.detach(), group, size)[group]
    total = torch.zeros(size).index_add(0, group, shifted.exp())
    return shifted - total.log()[group]


def _amax(values: torch.Tensor, group: torch.Tensor, size: int) -> torch.Tensor:
    return torch.full((size,), -5.0).scatter_reduce(0, group, values, "amax")


def _mean(values: torch.Tensor, group: torch.Tensor, size: int) -> torch.Tensor:
    members = torch.stack([group, torch.arange(len(group))], dim=1)
    count = torch.zeros(size).index_add_(0, group, torch.ones(len(group))).clamp(min=1)
    sums = torch.sparse_coo_tensor(members.T, 1 / count[group], (size, len(group)), check_invariants=False)
    return torch.sparse.mm(sums, values)


def save_policy(policy: RewritingPolicy, path: str | Path, made_by: str) -> Path:
    """Write the weights, with the command that made them."""
    metadata = {"made_by": made_by, "width": str(policy.width), "rounds": str(policy.rounds)}
    return files.write_bytes(path, save(policy.state_dict(), metadata))


def load_policy(path: str | Path) -> RewritingPolicy:
    """A policy from its file.

    Raises:
        InputError: no such file, or not a policy's weights.
    """
    try:
        with safe_open(path, "pt") as file:
            metadata = file.metadata() or {}
            policy = RewritingPolicy(int(metadata["width"]), int(metadata["rounds"]))
            policy.load_state_dict({key: file.get_tensor(key) for key in file.keys()})  # noqa: SIM118
    except FileNotFoundError:
        raise InputError(f"{path}: no such file: expected a rewriting policy (nas-proxy train rewriter).") from None
    except (SafetensorError, KeyError, RuntimeError, ValueError) as error:
        raise InputError(f"{path} does not hold a rewriting policy: {str(error).splitlines()[0]}") from None
    return policy.eval()
