"""Train a candidate on scikit-learn's digits: 1,797 real 8x8 images, seconds on a CPU."""

from __future__ import annotations

import torch
from sklearn.datasets import load_digits
from torch import nn
from torch.nn.functional import cross_entropy, interpolate

from nas_proxy.nni_plugin.candidate import Candidate

__all__ = ["train_digits"]

_TRAINING = 1_200  # the other 597 images validate
_BATCH = 64
_LEARNING_RATE = 0.1


def train_digits(candidate: Candidate, *, epochs: int, seed: int) -> float:
    """Validation accuracy in percent of the candidate's network after ``epochs`` of SGD with a one-cycle schedule.

    The images are scaled to the space's image size. The split is always the same; ``seed`` is that of weights and
    batches. One thread, so that the result does not depend on the machine's cores.
    """
    torch.set_num_threads(1)
    images, labels = _digits(candidate)
    torch.manual_seed(seed)
    network = candidate.build(classes=10)
    steps = epochs * (_TRAINING // _BATCH)
    optimizer = torch.optim.SGD(network.parameters(), lr=_LEARNING_RATE, momentum=0.9, nesterov=True, weight_decay=5e-4)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, max_lr=_LEARNING_RATE, total_steps=steps)
    network.train()
    for _ in range(epochs):
        for batch in torch.randperm(_TRAINING)[: _TRAINING // _BATCH * _BATCH].split(_BATCH):
            optimizer.zero_grad()
            cross_entropy(network(images[batch]), labels[batch]).backward()
            optimizer.step()
            schedule.step()
    return _accuracy(network, images[_TRAINING:], labels[_TRAINING:])


def _digits(candidate: Candidate) -> tuple[torch.Tensor, torch.Tensor]:
    """Images of shape ``(1797, channels, height, width)`` as the network takes them, and labels, in a fixed order."""
    space = candidate.make_space()
    channels, height, width = space.input_shape(space.from_str(candidate.arch))
    pixels, labels = load_digits(return_X_y=True)
    order = torch.randperm(len(labels), generator=torch.Generator().manual_seed(0))
    images = torch.tensor(pixels, dtype=torch.float32)[order].reshape(-1, 1, 8, 8) / 16
    if (height, width) != (8, 8):
        images = interpolate(images, (height, width), mode="bilinear")
    return images.expand(-1, channels, -1, -1).contiguous(), torch.tensor(labels)[order]


def _accuracy(network: nn.Module, images: torch.Tensor, labels: torch.Tensor) -> float:
    network.eval()
    with torch.no_grad():
        return (network(images).argmax(dim=1) == labels).float().mean().item() * 100
