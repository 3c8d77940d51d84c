"""What is known by name: extension points with their entries and options, and the files that ship."""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path

from nas_proxy import extensions, resources
from nas_proxy.errors import NasProxyError, UnknownNameError, listed
from nas_proxy.terminal.tables import Column, Page, Table

__all__ = ["describe", "kinds", "listing_page", "names", "options"]

_FILES: dict[resources.Kind, str] = {
    "configs": "experiments that ship, for `nas-proxy run`",
    "devices": "devices that ship, each a YAML file; your own is named by its path",
}


def kinds() -> list[str]:
    """The kinds of things that have names, sorted."""
    return sorted([*_FILES, *extensions.POINTS])


def names(kind: str) -> list[str]:
    """What there is of a kind, sorted, plug-ins included.

    Raises:
        UnknownNameError: no such kind; the message names the closest.
    """
    files = _files(kind)
    return resources.names(files) if files else extensions.names(kind)


def describe(kind: str, name: str) -> str:
    """A sentence on one of them, empty where it has none: of a file its ``description`` or its first comment.

    Raises:
        UnknownNameError: no such kind, or nothing of that name; the message names the closest.
    """
    files = _files(kind)
    if files:
        return _of_file(resources.find(files, name))
    origin = extensions.source(kind, name) if name in extensions.names(kind) else ""
    return extensions.describe(kind, name) + (f" (from {origin})" if origin else "")


def options(kind: str, name: str) -> list[str]:
    """The options of one of them with their defaults, as they are written; none of a file or of what is broken."""
    try:
        return [] if _files(kind) else [str(option) for option in extensions.options(kind, name)]
    except (ImportError, NasProxyError):
        return []


def _files(kind: str) -> resources.Kind | None:
    if kind not in kinds():
        raise UnknownNameError("kind", kind, kinds())
    return next((files for files in _FILES if files == kind), None)


def listing_page(kind: str | None = None, name: str | None = None) -> Page:
    """All kinds, the names of one with what each is and its options, or the options of one name.

    Raises:
        UnknownNameError: no such kind, or nothing of that name; the message names the closest.
    """
    if kind is None:
        columns = [Column("kind", "kind"), Column("description", "what it is"), Column("names", "names", _several)]
        return Page([Table("kinds", columns, [[known, _says(known), names(known)] for known in kinds()])])
    if name is not None:
        return _options_page(kind, name)
    columns = [Column("name", "name"), Column("description", "what it is")]
    rows = [[known, describe(kind, known)] for known in names(kind)]
    if _files(kind) is None:
        columns.append(Column("options", "options with their defaults", " ".join))
        rows = [[*row, options(kind, row[0])] for row in rows]
    return Page([Table(kind, columns, rows)])


def _several(found: Sequence[str]) -> str:
    return listed(found, most=12)


def _says(kind: str) -> str:
    files = _files(kind)
    return _FILES[files] if files else extensions.POINTS[kind].says


def _options_page(kind: str, name: str) -> Page:
    headings = ("option", "option"), ("default", "default"), ("type", "type"), ("description", "what it is")
    title = f"{name}: {describe(kind, name)}"
    if _files(kind):  # a file has no options
        return Page([title])
    rows = []
    for option in extensions.options(kind, name):
        default = "needed" if option.default is extensions.REQUIRED else str(option).partition("=")[2]
        rows.append([option.name, default, option.kind, option.help])
    return Page([Table("options", [Column(*heading) for heading in headings], rows, title)])


def _of_file(path: Path) -> str:
    from nas_proxy.schema import load_yaml

    if isinstance(description := load_yaml(path).get("description"), str):
        return description
    comment = re.match(r"(?:# ?\S.*\n)*", path.read_text(encoding="utf-8"))
    return extensions.first_sentence(comment[0].replace("#", "")) if comment else ""
