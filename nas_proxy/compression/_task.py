"""A policy with all that compressing it takes."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol

import torch
from torch import nn

from nas_proxy.compression._returns import Evaluate

__all__ = ["PolicyNetwork", "Task"]


class PolicyNetwork(Protocol):
    """What a network may have beyond ``forward``, where the policy acts on more than its outputs.

    ``forward(*observation)`` gives the outputs that a smaller network learns to give; they keep their shape.
    """

    def deployed(self) -> nn.Module:
        """What acts: takes the first inputs of ``forward``, as its own ``forward`` names them. By default itself."""
        ...

    def pruned(self, norm: int, ratio: float) -> nn.Module:
        """A network without ``ratio`` of the channels of every layer. By default torch-pruning finds them."""
        ...

    def distance(self, student: torch.Tensor, teacher: torch.Tensor) -> torch.Tensor:
        """How far outputs are from the teacher's, a scalar. By default the mean squared error."""
        ...


@dataclass(frozen=True)
class Task:
    """A policy, what it sees, and how good it is at its work; arguments of :func:`nas_proxy.compression.compress`.

    Attributes:
        seeds: of the episodes that methods are chosen by; ``fresh_seeds`` confirm the choice.
        methods: those that :func:`nas_proxy.compression.sweep` tries; its own grid where empty.
        save: writes a network that was pruned and distilled as the policy's own kind of file, where it has one.
    """

    policy: Any
    evaluate: Evaluate
    observations: Any
    seeds: range = range(30)
    fresh_seeds: range = range(1000, 1060)
    floor: float = 0.0
    methods: tuple[str, ...] = ()
    save: Callable[[nn.Module, Path, str], Path] | None = field(default=None, repr=False)
