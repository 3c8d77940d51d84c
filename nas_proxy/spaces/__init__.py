"""What can be searched: architectures, their features, their networks."""

from __future__ import annotations

from typing import Any

from nas_proxy.registry import Registry
from nas_proxy.spaces._base import FeatureColumn, SearchSpace

__all__ = ["FeatureColumn", "SearchSpace", "get_space", "register_space", "space_names"]

_spaces: Registry[type[SearchSpace]] = Registry(
    "search space",
    {
        "nasbench201": "nas_proxy.spaces.nasbench201:NasBench201",
        "fbnet": "nas_proxy.spaces.fbnet:FBNet",
        "mobilenetv3": "nas_proxy.spaces.mobilenetv3:MobileNetV3",
    },
)


def get_space(name: str, **parameters: Any) -> SearchSpace:
    """The search space called ``name``, with its published parameters or those given (``channels=4``).

    Raises:
        UnknownNameError: no such space, or no such parameter; the message names the closest.
        InputError: a parameter has an impossible value.
    """
    return _spaces.get(name)().with_parameters(**parameters)


def space_names() -> list[str]:
    """Names of all spaces known, sorted."""
    return list(_spaces)


def register_space(name: str, space: type[SearchSpace] | str) -> None:
    """Make a space, given as a class or ``"module:Class"``, known to :func:`get_space` and every command."""
    _spaces.register(name, space)
