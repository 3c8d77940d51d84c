"""What is known by name, kind by kind, and what each of it is: from the registries and the shipped files."""

from __future__ import annotations

import functools
import inspect
import re
import sys
from pathlib import Path
from typing import Any

from rich.box import SIMPLE_HEAD
from rich.markup import escape
from rich.table import Table

from nas_proxy import resources
from nas_proxy.errors import UnknownNameError
from nas_proxy.registry import Registry
from nas_proxy.schema import load_yaml

__all__ = ["describe", "kinds", "names", "render"]

_registries: Registry[Registry[Any]] = Registry(
    "kind",
    {
        "mappers": "nas_proxy.mapping.mappers:mappers",
        "methods": "nas_proxy.ranking.target:_methods",
        "policies": "nas_proxy.compression._task:_known",
        "rewriters": "nas_proxy.rewriting.rewriters:rewriters",
        "schedulers": "nas_proxy.scheduling._base:_known",
        "spaces": "nas_proxy.spaces:_spaces",
    },
)
_FILES: tuple[resources.Kind, ...] = ("configs", "devices")
_SENTENCE = re.compile(r".*?[.?!](?=\s+[A-Z]|$)")


def kinds() -> list[str]:
    """The kinds of things that have names, sorted."""
    return sorted([*_FILES, *_registries])


def names(kind: str) -> list[str]:
    """What there is of a kind, sorted, with what was registered in this process.

    Raises:
        UnknownNameError: no such kind; the message names the closest.
    """
    source = _source(kind)
    return resources.names(source) if isinstance(source, str) else list(source)


def describe(kind: str, name: str) -> str:
    """A sentence on one of them, empty where it has none: of a file its ``description`` or its first comment, of what
    is made in Python its docstring, of a function that makes it its module's.

    Raises:
        UnknownNameError: no such kind, or nothing of that name; the message names the closest.
    """
    source = _source(kind)
    if isinstance(source, str):
        return _of_file(resources.find(source, name))
    try:
        return _of_object(source.get(name))
    except ImportError as error:  # of an extra
        return f"not installed: {error}"


def _source(kind: str) -> resources.Kind | Registry[Any]:
    for files in _FILES:
        if kind == files:
            return files
    if kind not in _registries:
        raise UnknownNameError("kind", kind, kinds())
    return _registries.get(kind)


def render(kind: str | None = None) -> Table:
    """The names of all kinds, or those of one with what each is, to print."""
    table = Table(box=SIMPLE_HEAD)
    table.add_column("kind" if kind is None else "name", no_wrap=True)
    table.add_column("names" if kind is None else "what it is")
    for name in kinds() if kind is None else names(kind):
        table.add_row(escape(name), escape(", ".join(names(name)) if kind is None else describe(kind, name)))
    return table


def _of_file(path: Path) -> str:
    if isinstance(description := load_yaml(path).get("description"), str):
        return description
    comment = re.match(r"(?:# ?\S.*\n)*", path.read_text(encoding="utf-8"))
    return _sentence(comment[0].replace("#", "")) if comment else ""


def _of_object(entry: Any) -> str:
    if isinstance(entry, functools.partial):
        settings = ", ".join(f"{name}={getattr(value, 'stem', value)}" for name, value in entry.keywords.items())
        return f"{_of_object(entry.func)} With {settings}."
    of_module = sys.modules[entry.__module__].__doc__ if inspect.isfunction(entry) else None
    return _sentence(of_module or inspect.getdoc(entry) or "")


def _sentence(text: str) -> str:
    """The first sentence, on one line and without markup."""
    paragraph = " ".join(text.strip().split("\n\n")[0].split()).replace("``", "")
    found = _SENTENCE.match(paragraph)
    return found[0] if found else paragraph
