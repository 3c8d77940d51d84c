"""What is known by name: extension points with their entries and options, and the files that ship."""

from __future__ import annotations

import re
from pathlib import Path

from rich.box import SIMPLE_HEAD
from rich.markup import escape
from rich.table import Table

from nas_proxy import extensions, resources
from nas_proxy.errors import NasProxyError, UnknownNameError, listed

__all__ = ["describe", "kinds", "names", "options", "render"]

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


def render(kind: str | None = None, name: str | None = None) -> Table:
    """All kinds, the names of one with what each is and its options, or the options of one name, to print."""
    if kind is not None and name is not None:
        return _options_table(kind, name)
    table = Table(box=SIMPLE_HEAD)
    table.add_column("kind" if kind is None else "name", no_wrap=True)
    table.add_column("what it is")
    if kind is None:
        table.add_column("names")
        for known in kinds():
            says = _FILES.get(known) or extensions.POINTS[known].says  # pyright: ignore[reportArgumentType, reportCallIssue]
            table.add_row(escape(known), escape(says), escape(listed(names(known), most=12)))
        return table
    if _files(kind) is None:
        table.add_column("options with their defaults")
    for known in names(kind):
        row = [known, describe(kind, known), " ".join(options(kind, known))]
        table.add_row(*map(escape, row[: len(table.columns)]))
    return table


def _options_table(kind: str, name: str) -> Table:
    table = Table(box=SIMPLE_HEAD, title=escape(f"{name}: {describe(kind, name)}"), title_justify="left")
    for heading in ("option", "default", "type", "what it is"):
        table.add_column(heading)
    for option in () if _files(kind) else extensions.options(kind, name):
        default = "needed" if option.default is extensions.REQUIRED else str(option).partition("=")[2]
        table.add_row(*map(escape, (option.name, default, option.kind, option.help)))
    return table


def _of_file(path: Path) -> str:
    from nas_proxy.schema import load_yaml

    if isinstance(description := load_yaml(path).get("description"), str):
        return description
    comment = re.match(r"(?:# ?\S.*\n)*", path.read_text(encoding="utf-8"))
    return extensions.first_sentence(comment[0].replace("#", "")) if comment else ""
