"""Shipped data files by name (devices, search spaces, configurations), from a checkout or an installed wheel."""

from __future__ import annotations

from pathlib import Path
from typing import Literal

from nas_proxy.errors import InputError, UnknownNameError

__all__ = ["find", "names"]

Kind = Literal["devices", "search_spaces", "configs"]
_SUFFIX: dict[str, str] = {"devices": ".yaml", "search_spaces": ".json", "configs": ".yml"}
_WHAT: dict[str, str] = {"devices": "device", "search_spaces": "search space file", "configs": "configuration"}


def _folder(kind: Kind) -> Path:
    package = Path(__file__).parent
    shipped = package / "_shipped" / kind  # inside an installed wheel
    return shipped if shipped.is_dir() else package.parent / kind


def names(kind: Kind) -> list[str]:
    """Names of all shipped files of a kind, sorted, without their suffix."""
    return sorted(path.stem for path in _folder(kind).glob(f"*{_SUFFIX[kind]}"))


def find(kind: Kind, name: str | Path) -> Path:
    """The path of a shipped file by name (``find("devices", "eyeriss")``), or of the user's own file by path.

    Anything with a suffix or a folder in it is taken as a path.

    Raises:
        InputError: the path does not exist, or is none.
        UnknownNameError: no shipped file has the name; the message names the closest.
    """
    if not isinstance(name, str | Path):
        raise InputError(f"expected the name or path of a {_WHAT[kind]}, found {name!r}.")
    given = Path(name)
    if given.suffix in {".yaml", ".yml", ".json"} or len(given.parts) > 1:
        if given.is_file():
            return given
        known = ", ".join(names(kind))
        raise InputError(f"no file {str(given)!r}: expected the path of a {_WHAT[kind]}, or one of: {known}.")
    path = _folder(kind) / f"{name}{_SUFFIX[kind]}"
    if path.is_file():
        return path
    raise UnknownNameError(_WHAT[kind], name, names(kind), hint=f"Or give the path of your own {_SUFFIX[kind]} file.")
