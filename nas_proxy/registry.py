"""Extension points by name: objects registered as such or as ``"module:attribute"``, imported on first use."""

from __future__ import annotations

import importlib
import operator
from collections.abc import Iterator
from typing import Generic, TypeVar, cast

from nas_proxy.errors import UnknownNameError

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
        """The entry called ``name``.

        Raises:
            UnknownNameError: no such entry; the message names the closest.
        """
        try:
            entry = self._entries[name]
        except (KeyError, TypeError):
            raise UnknownNameError(self.what, name, self) from None
        if isinstance(entry, str):
            module, _, attribute = entry.partition(":")
            entry = cast(T, operator.attrgetter(attribute)(importlib.import_module(module)))
            self._entries[name] = entry
        return entry

    def __iter__(self) -> Iterator[str]:
        return iter(sorted(self._entries))

    def __contains__(self, name: object) -> bool:
        return name in self._entries
