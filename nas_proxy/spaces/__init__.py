"""What can be searched: architectures, their features, their networks."""

from __future__ import annotations

import re
from dataclasses import fields, is_dataclass
from typing import Any

from nas_proxy.errors import InputError
from nas_proxy.registry import Registry
from nas_proxy.spaces._base import FeatureColumn, SearchSpace

__all__ = ["FeatureColumn", "SearchSpace", "get_space", "register_space", "space_names", "space_text"]

_TEXT = re.compile(r"(?P<base>[^()]+)(\((?P<parameters>[^()]*)\))?")

_spaces: Registry[type[SearchSpace]] = Registry(
    "search space",
    {
        "nasbench201": "nas_proxy.spaces.nasbench201:NasBench201",
        "fbnet": "nas_proxy.spaces.fbnet:FBNet",
        "mobilenetv3": "nas_proxy.spaces.mobilenetv3:MobileNetV3",
        "timm": "nas_proxy.spaces.timm_zoo:TimmZoo",
    },
)


def get_space(name: str | SearchSpace, **parameters: Any) -> SearchSpace:
    """A search space by its text; one that is made already comes back as it is.

    Args:
        name: a registered name, or your own ``"module:Class"``; parameters may follow, as :func:`space_text` writes
            them: ``"nasbench201(channels=4,cells=2)"``.
        parameters: parameters that differ from the published ones, such as ``channels=4``.

    Raises:
        UnknownNameError: no such space, or no such parameter; the message names the closest.
        InputError: a parameter has an impossible value, ``module:Class`` is no search space, or ``name`` is neither.
    """
    if isinstance(name, SearchSpace):
        return name.with_parameters(**parameters)
    if not isinstance(name, str):
        raise InputError(f"expected a search space or the name of one, such as 'nasbench201'; found {name!r}.")
    base, stated = _parsed(name)
    if (module := base.partition(":")[0]) != base and module in _spaces:
        raise InputError(f"search space {base}: parameters are written {module}(channels=4,cells=2).")
    found = _spaces.get(base)
    if not (isinstance(found, type) and issubclass(found, SearchSpace)):
        raise InputError(f"search space {base}: expected a subclass of nas_proxy.spaces.SearchSpace, found {found!r}.")
    return found().with_parameters(**stated | parameters)


def space_text(space: SearchSpace) -> str:
    """The text that :func:`get_space` makes the same space of, in this process or another; free of blanks."""
    kind = type(space)
    own = space.name not in _spaces or _spaces.get(space.name) is not kind
    base = f"{kind.__module__}:{kind.__qualname__}" if own else space.name
    published = {field.name: field.default for field in fields(kind)} if is_dataclass(kind) else {}
    changed = [f"{name}={value}" for name, value in space.parameters.items() if value != published.get(name)]
    return f"{base}({','.join(changed)})" if changed else base


def _parsed(text: str) -> tuple[str, dict[str, int]]:
    match = _TEXT.fullmatch(text)
    if match is None or match["parameters"] is None:
        return text, {}
    parameters = {}
    for part in match["parameters"].split(","):
        name, _, value = part.partition("=")
        if not re.fullmatch("[0-9]+", value.strip()):
            raise InputError(f"{text}: expected parameters such as channels=4, found {part.strip()!r}.")
        parameters[name.strip()] = int(value)
    return match["base"], parameters


def space_names() -> list[str]:
    """Names of all spaces known, sorted."""
    return list(_spaces)


def register_space(name: str, space: type[SearchSpace] | str) -> None:
    """Give a space, a class or ``"module:Class"``, a name in this process. The commands and NNI's trials are other
    processes: there it is known as ``module:Class``."""
    _spaces.register(name, space)
