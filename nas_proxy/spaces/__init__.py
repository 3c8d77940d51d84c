"""What can be searched: architectures, their features, their networks."""

from __future__ import annotations

from nas_proxy.registry import Registry
from nas_proxy.spaces._base import SearchSpace

__all__ = ["SearchSpace", "get_space", "register_space"]

_spaces: Registry[type[SearchSpace]] = Registry(
    "search space",
    {
        "nasbench201": "nas_proxy.spaces.nasbench201:NasBench201",
        "fbnet": "nas_proxy.spaces.fbnet:FBNet",
    },
)


def get_space(name: str) -> SearchSpace:
    """The search space called ``name``.

    Raises:
        UnknownNameError: no such space; the message names the closest.
    """
    return _spaces.get(name)()


def register_space(name: str, space: type[SearchSpace] | str) -> None:
    """Make a space, given as a class or ``"module:Class"``, known to :func:`get_space` and every command."""
    _spaces.register(name, space)
