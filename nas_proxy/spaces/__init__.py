"""What can be searched: architectures, their features, their networks."""

from __future__ import annotations

from dataclasses import fields, is_dataclass
from typing import Any

from nas_proxy import extensions
from nas_proxy.errors import InputError
from nas_proxy.spaces._base import FeatureColumn, SearchSpace

__all__ = ["FeatureColumn", "SearchSpace", "get_space", "space_text"]


def get_space(name: str | SearchSpace, *, trusted: bool = True, **parameters: Any) -> SearchSpace:
    """A search space by its text; one that is made already comes back as it is.

    Args:
        name: a known name, or your own ``"module:Class"``; parameters may follow, as :func:`space_text` writes them:
            ``"nasbench201(channels=4,cells=2)"``.
        trusted: False for a name that was read from data, which may not be ``"module:Class"``.
        parameters: parameters that differ from the published ones, such as ``channels=4``.

    Raises:
        UnknownNameError: no such space, or no such parameter; the message names the closest.
        InputError: a parameter has an impossible value, ``module:Class`` is no search space, or ``name`` is neither.
    """
    if isinstance(name, SearchSpace):
        return name.with_parameters(**parameters)
    space = extensions.get("spaces", name, trusted=trusted, **parameters)
    entry = extensions.lookup("spaces", extensions.parse_text(name)[0])
    if type(space) is not entry:
        raise InputError(
            f"search space {name}: expected a subclass of SearchSpace, which files can name; found {entry!r}."
        )
    return space


def space_text(space: SearchSpace) -> str:
    """The text that :func:`get_space` makes the same space of, in this process or another; free of blanks."""
    kind = type(space)
    published = {field.name: field.default for field in fields(kind)} if is_dataclass(kind) else {}
    changed = {name: value for name, value in space.parameters.items() if value != published.get(name)}
    return extensions.write_text(extensions.name_of("spaces", kind), changed)
