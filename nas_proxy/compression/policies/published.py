"""The published scheduler as a task: the share of a random order's bottleneck that its greedy order saves."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn

from nas_proxy.compression._method import GRID
from nas_proxy.compression._task import Task
from nas_proxy.compression.policies.respect import random_problem
from nas_proxy.scheduling import PipelineProblem
from nas_proxy.scheduling._problem import evaluate
from nas_proxy.scheduling.respect._published import (
    SHIPPED,
    PointerNetwork,
    load_published,
    published_features,
    stages_of_order,
)
from nas_proxy.scheduling.respect._scheduler import save_weights

__all__ = ["PublishedNetwork", "save", "saved_share", "task"]

_SEED = 600_000
_LSTMS = ("encoder", "decoder")
#: Parameters and the axis on which each has one block for every channel: those of embeddings, of the recurrent state
#: (which the encoder hands to the decoder), and of the attention. The four gates of an LSTM lie one after the other.
_CHANNELS: tuple[tuple[tuple[str, int], ...], ...] = (
    (("embed.weight", 0), ("embed.bias", 0), ("start.weight", 1), *((f"{lstm}.weight_ih_l0", 1) for lstm in _LSTMS)),
    (
        *((f"{lstm}.{name}_l0", 0) for lstm in _LSTMS for name in ("weight_ih", "weight_hh", "bias_ih", "bias_hh")),
        *((f"{lstm}.weight_hh_l0", 1) for lstm in _LSTMS), ("reference.weight", 1), ("query.weight", 1),
    ),
    (("reference.weight", 0), ("query.weight", 0), ("score.weight", 1)),
)  # fmt: skip


class PublishedNetwork(PointerNetwork):
    """The pointer network, which says itself how it is pruned: torch-pruning does not follow recurrent states.

    It acts by ``n`` passes over orders that grow; see :meth:`PointerNetwork.forward` for inputs and output.
    """

    def distance(self, student: torch.Tensor, teacher: torch.Tensor) -> torch.Tensor:
        """The Kullback-Leibler divergence of the choices."""
        return (teacher.exp() * (teacher - student)).sum(dim=-1).mean()

    @torch.no_grad()
    def pruned(self, norm: int, ratio: float) -> PublishedNetwork:
        """A smaller network, of the channels of largest norm.

        After Wen et al., "Learning Intrinsic Sparse Structures within Long Short-Term Memory" (ICLR 2018): with a
        channel of the state go its rows in all gates and its columns in all that reads it.
        """
        width = self.start.embedding_dim
        keep = max(1, int(width * (1 - ratio)))
        weights = dict(self.state_dict())
        for channels in _CHANNELS:
            blocks = [_by_channel(weights[name], axis, width) for name, axis in channels]
            size = sum(block.abs().pow(norm).sum(dim=1) for block in blocks)
            assert isinstance(size, torch.Tensor)
            kept = size.argsort(descending=True, stable=True)[:keep].sort().values
            for name, axis in channels:
                rows = torch.arange(weights[name].shape[axis]).reshape(-1, width)[:, kept].flatten()
                weights[name] = weights[name].index_select(axis, rows)
        return _network(keep, weights)


def _by_channel(weight: torch.Tensor, axis: int, width: int) -> torch.Tensor:
    """All that belongs to a channel as a row ``(width, ...)``."""
    return weight.movedim(axis, 0).reshape(-1, width, weight.numel() // weight.shape[axis]).movedim(1, 0).flatten(1)


def _network(width: int, weights: dict[str, torch.Tensor]) -> PublishedNetwork:
    network = PublishedNetwork(width)
    network.load_state_dict(weights)
    return network.eval()


def task() -> Task:
    """The published scheduler, on synthetic networks that are in no other use.

    There is no static quantization, nor training for it: onnxruntime has static LSTMs in float32 only.
    """
    policy = load_published(SHIPPED)
    return Task(
        policy=_network(policy.start.embedding_dim, policy.state_dict()),
        evaluate=saved_share,
        observations=list(_observations()),
        seeds=range(_SEED, _SEED + 400),
        fresh_seeds=range(_SEED + 1000, _SEED + 1800),
        methods=tuple(method for method in GRID if method not in {"PTSQ", "QAT"}),
        save=save,
    )


def saved_share(actor: Any, seed: int) -> float:
    """1 less the bottleneck of the policy's order over the mean of random ones', all cut and repaired as published."""
    rng = np.random.default_rng(seed)
    problem = random_problem(rng)
    features, order = published_features(problem)[None], np.zeros((1, problem.n), np.int64)
    for step in range(problem.n):
        order[0, step] = actor(features, order)[0, step].argmax()
    chance = np.mean([_bottleneck_ms(problem, rng.permutation(problem.n)) for _ in range(16)])
    return float(1 - _bottleneck_ms(problem, order[0]) / chance)


def _bottleneck_ms(problem: PipelineProblem, positions: NDArray[np.int64]) -> float:
    return evaluate(problem, stages_of_order(problem, positions), "").bottleneck_ms


@torch.no_grad()
def _observations(count: int = 480) -> Iterator[tuple[NDArray, ...]]:
    """Problems with orders that the policy drew."""
    policy, rng = load_published(SHIPPED), np.random.default_rng(_SEED - 1)
    generator = torch.Generator().manual_seed(_SEED - 1)
    for _ in range(count):
        features = published_features(random_problem(rng))
        orders, _ = policy.decode(torch.from_numpy(features)[None], generator)
        yield features, orders[0].numpy()


def save(network: nn.Module, path: Path, made_by: str) -> Path:
    """The policy's own file, which ``respect-published`` takes as ``weights``."""
    return save_weights(network, path, made_by=made_by)
