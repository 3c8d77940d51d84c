"""Extension points by name: objects registered as such or as ``"module:attribute"``, imported on first use.

What is not registered is known everywhere, in commands, YAML and other processes, as ``module:attribute``.
"""

from __future__ import annotations

import importlib
import operator
from collections.abc import Iterator
from typing import Generic, TypeVar, cast

from nas_proxy.errors import InputError, UnknownNameError

__all__ = ["Registry"]

T = TypeVar("T")


class Registry(Generic[T]):
    """Names to entries.

    ``what`` is the word used in messages (``"search space"``). An entry given as ``"module:attribute"`` is imported
    when it is first asked for, so that listing names costs nothing.
    """

    def __init__(self, what: str, entries: dict[str, T | str] | None = None) -> None:
        self.what = what
        self._entries: dict[str, T | str] = dict(entries or {})

    def register(self, name: str, entry: T | str) -> None:
        """Add ``entry`` under ``name``; a later registration replaces an earlier one."""
        self._entries[name] = entry

    def get(self, name: str) -> T:
        """The entry called ``name``, or what ``module:attribute`` names.

        Raises:
            UnknownNameError: no such entry; the message names the closest.
            InputError: ``module:attribute`` cannot be imported.
        """
        try:
            entry = self._entries[name]
        except (KeyError, TypeError):
            if isinstance(name, str) and ":" in name:
                return self._imported(name)
            raise UnknownNameError(self.what, name, self) from None
        if isinstance(entry, str):
            entry = self._entries[name] = cast(T, _imported(entry))
        return entry

    def _imported(self, text: str) -> T:
        try:
            return cast(T, _imported(text))
        except (ImportError, AttributeError, ValueError) as error:
            raise InputError(
                f"{self.what} {text}: expected a known name or an importable module:attribute; found: {error}."
            ) from error

    def __iter__(self) -> Iterator[str]:
        return iter(sorted(self._entries))

    def __contains__(self, name: object) -> bool:
        return name in self._entries


def _imported(text: str) -> object:
    module, _, attribute = text.partition(":")
    return operator.attrgetter(attribute)(importlib.import_module(module))
