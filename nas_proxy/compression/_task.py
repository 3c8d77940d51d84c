"""A policy with all that compressing it takes, and those that are known by name."""

from __future__ import annotations

import importlib
import operator
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol

import torch
from torch import nn

from nas_proxy.compression._returns import Evaluate
from nas_proxy.errors import InputError
from nas_proxy.registry import Registry

__all__ = ["PolicyNetwork", "Task", "get_task", "register_task", "tasks"]


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


_known: Registry[Callable[[], Task]] = Registry(
    "policy",
    {
        "respect": "nas_proxy.compression.policies.respect:task",
        "respect-published": "nas_proxy.compression.policies.published:task",
        "rewriter": "nas_proxy.compression.policies.rewriter:task",
    },
)


def register_task(name: str, entry: Callable[[], Task] | str) -> None:
    """Make a policy known by name: a function without arguments, or ``"module:function"``."""
    _known.register(name, entry)


def tasks() -> list[str]:
    """Names of all policies that are known."""
    return list(_known)


def get_task(name: str) -> Task:
    """A policy by name, or by ``"module:function"``, a function without arguments that gives a :class:`Task`.

    Raises:
        UnknownNameError: no policy has the name.
        InputError: there is no such module or function, or it gives something else.
    """
    module, separator, attribute = name.partition(":")
    if not separator:
        return _known.get(name)()
    try:
        made = operator.attrgetter(attribute)(importlib.import_module(module))()
    except (ImportError, AttributeError) as error:
        raise InputError(f"{name}: {error}. Give module:function, importable from this folder.") from None
    if not isinstance(made, Task):
        raise InputError(f"{name} gives {type(made).__name__}: expected a nas_proxy.compression.Task.")
    return made
