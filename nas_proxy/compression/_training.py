"""Distillation, plain and with int8 rounding in the loop: a student learns to act as its teacher does."""

from __future__ import annotations

import copy
from collections.abc import Iterator
from contextlib import contextmanager

import numpy as np
import torch
from torch import nn

from nas_proxy.compression._network import distance
from nas_proxy.compression._observations import Observations, tensors

__all__ = ["distil", "train_rounded"]

_BATCH, _STEPS = 64, 25
_LAYERS = (nn.Linear, nn.Conv1d, nn.Conv2d, nn.Conv3d)


def distil(
    student: nn.Module, teacher: nn.Module, observations: Observations, epochs: int, seed: int, rate: float = 1e-3
) -> nn.Module:
    """A copy of the student after ``epochs`` of Adam on the distance to the teacher's outputs (Hinton et al., 2015)."""
    student, rng = copy.deepcopy(student), np.random.default_rng(seed)
    with torch.enable_grad():
        _fit(student, teacher, observations, epochs, rng, rate)
    return student.eval()


def train_rounded(
    network: nn.Module, teacher: nn.Module, observations: Observations, epochs: int, seed: int
) -> nn.Module:
    """Quantization-aware training: distillation while weights and activations are rounded as int8 will round them.

    After Jacob et al., "Quantization and Training of Neural Networks for Efficient Integer-Arithmetic-Only Inference"
    (CVPR 2018). Ranges of activations are those on the observations; gradients pass straight through the rounding.
    """
    network, rng = copy.deepcopy(network), np.random.default_rng(seed)
    with _rounding(network, _ranges(network, observations)), torch.enable_grad():
        _fit(network, teacher, observations, epochs, rng, 3e-4)
    return network.eval()


def _fit(
    student: nn.Module, teacher: nn.Module, observations: Observations, epochs: int, rng: np.random.Generator,
    rate: float,
) -> None:  # fmt: skip
    trained = [parameter for parameter in student.parameters() if parameter.requires_grad]
    optimiser = torch.optim.Adam(trained, rate)
    schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimiser, epochs, rate / 20)
    size = max(8, min(_BATCH, observations.n // _STEPS))  # few observations still make many steps
    for _ in range(epochs):
        for batch in observations.batches(size, rng):
            inputs = tensors(batch)
            with torch.no_grad():
                target = teacher(*inputs)
            loss = distance(student, student(*inputs), target)
            optimiser.zero_grad()
            loss.backward()
            torch.nn.utils.clip_grad_norm_(trained, 1.0)
            optimiser.step()
        schedule.step()
    for parameter in trained:
        parameter.grad = None


def _layers(network: nn.Module) -> list[nn.Module]:
    return [module for module in network.modules() if isinstance(module, _LAYERS)]


@torch.no_grad()
def _ranges(network: nn.Module, observations: Observations) -> dict[nn.Module, list[float]]:
    """The least and largest input of each layer, 0 included."""
    seen: dict[nn.Module, list[float]] = {module: [0.0, 0.0] for module in _layers(network)}

    def look(module: nn.Module, inputs: tuple[torch.Tensor, ...]) -> None:
        low, high = seen[module]
        seen[module] = [min(low, float(inputs[0].min())), max(high, float(inputs[0].max()))]

    handles = [module.register_forward_pre_hook(look) for module in seen]
    for batch in observations.batches(256):
        network(*tensors(batch))
    for handle in handles:
        handle.remove()
    return seen


def _rounded(values: torch.Tensor, low: float, high: float) -> torch.Tensor:
    """As unsigned 8 bits between two bounds leave them; 0 stays 0."""
    scale = (high - low) / 255 or 1.0
    zero = int(np.clip(round(-low / scale), 0, 255))
    return torch.fake_quantize_per_tensor_affine(values, scale, zero, 0, 255)


class _RoundedWeight(nn.Module):
    def forward(self, weight: torch.Tensor) -> torch.Tensor:
        return _rounded(weight, min(0.0, float(weight.detach().min())), max(0.0, float(weight.detach().max())))


@contextmanager
def _rounding(network: nn.Module, ranges: dict[nn.Module, list[float]]) -> Iterator[None]:
    """While it lasts, layers see rounded inputs and have rounded weights; the weights themselves stay float."""
    handles = []
    for module, (low, high) in ranges.items():

        def round_input(_: nn.Module, inputs: tuple, low: float = low, high: float = high) -> tuple:
            return (_rounded(inputs[0], low, high), *inputs[1:])

        handles.append(module.register_forward_pre_hook(round_input))
        torch.nn.utils.parametrize.register_parametrization(module, "weight", _RoundedWeight())
    try:
        yield
    finally:
        for handle in handles:
            handle.remove()
        for module in ranges:
            torch.nn.utils.parametrize.remove_parametrizations(module, "weight", leave_parametrized=False)
