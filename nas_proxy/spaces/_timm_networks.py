"""timm's networks and one's own, by name and image size."""

# What a caller hands in is checked, whatever its annotation says.
# pyright: reportUnnecessaryIsInstance=false

from __future__ import annotations

import importlib
import operator
from typing import TYPE_CHECKING, Any

from nas_proxy.errors import InputError, UnknownNameError, from_extra

if TYPE_CHECKING:
    import torch

__all__ = ["create_network", "create_own_network", "split"]


def split(arch: str) -> tuple[str, int]:
    """``"resnet50@224"`` as name and image size.

    Raises:
        InputError: it is not a name with an image size.
    """
    name, _, size = arch.rpartition("@") if isinstance(arch, str) else ("", "", "")
    if not name or not size.isdecimal() or int(size) < 1:
        raise InputError(f"timm: expected a network's name and image size such as 'resnet50@224', found {arch!r}.")
    return name, int(size)


def create_network(arch: str, **parameters: Any) -> torch.nn.Module:
    """timm's network of a name and image size, which need not be in any table.

    Raises:
        MissingDependencyError: timm is not installed.
        UnknownNameError: timm has no such network; the message names the closest.
    """
    with from_extra("timm", "a network of timm"):
        import timm
    name, size = split(arch)
    if ":" in name:
        raise InputError(f"{name} is a network of your own: build it yourself.")
    if not timm.is_model(name):
        raise UnknownNameError("timm network", name, timm.list_models())
    try:
        return timm.create_model(name, img_size=size, **parameters)
    except TypeError:  # convolutional networks take images of any size
        return timm.create_model(name, **parameters)


def create_own_network(arch: str) -> torch.nn.Module:
    """The network that a function of your own makes, ``"module:function@224"``. Runs that code.

    Raises:
        InputError: there is no such function, or it does not give a network.
    """
    import torch

    name, _ = split(arch)
    module, _, function = name.partition(":")
    try:
        make = operator.attrgetter(function)(importlib.import_module(module))
    except (ImportError, AttributeError, ValueError) as error:
        raise InputError(f"{arch}: expected an importable module:function; found: {error}.") from error
    network = make()
    if not isinstance(network, torch.nn.Module):
        raise InputError(f"{arch}: expected {function}() to give a torch.nn.Module, found {type(network).__name__}.")
    return network
