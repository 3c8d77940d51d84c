"""Errors of input; every message says what was expected, what was found and what to do."""

from __future__ import annotations

import difflib
import importlib.metadata
import operator
import re
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any

__all__ = [
    "InputError",
    "MissingDependencyError",
    "NasProxyError",
    "UnknownNameError",
    "did_you_mean",
    "extra_for",
    "from_extra",
    "listed",
    "naming",
    "whole_number",
]


class NasProxyError(Exception):
    """Base of every error this package raises on purpose; the command line prints its message without a traceback."""

    exit_code = 2  # of the command line: input was wrong; a subclass may say otherwise


class InputError(NasProxyError, ValueError):
    """Input from outside (argument, file, configuration) is not what was expected."""


class UnknownNameError(InputError):
    """A name is not among the known ones; the message names the closest."""

    def __init__(self, what: str, name: object, known: Iterable[str], hint: str = "") -> None:
        known = sorted(map(str, known))
        message = f"unknown {what} {str(name)!r}.{did_you_mean(name, known)} Known: {listed(known) or 'none'}."
        message += f" {hint}" if hint else ""
        super().__init__(message)


def did_you_mean(name: object, known: Iterable[str]) -> str:
    """`` Did you mean 'x'?`` with the known name that is closest, small and capital letters alike; empty where none is
    close, and for code (``module:attribute``), which no name replaces."""
    if ":" in str(name):
        return ""
    by_lower = {each.lower(): each for each in known}
    close = difflib.get_close_matches(str(name).lower(), by_lower, n=1, cutoff=0.5)
    return f" Did you mean {by_lower[close[0]]!r}?" if close else ""


@contextmanager
def naming(place: object) -> Iterator[None]:
    """Inside, an InputError's message begins with the place of what is wrong: a file, a field, a device in a file."""
    try:
        yield
    except InputError as error:
        error.args = (f"{place}: {error}",)
        raise


def listed(names: Sequence[str], most: int = 40) -> str:
    """Names for a message, at most so many of them."""
    return ", ".join(names) if len(names) <= most else ", ".join(names[:most]) + f", ... ({len(names)} in all)"


class MissingDependencyError(NasProxyError, ImportError):
    """An optional library is not installed; the message names the extra to install."""


@contextmanager
def from_extra(extra: str, what: str) -> Iterator[None]:
    """Inside, an import that fails says which extra of this package to install for ``what``.

    Raises:
        MissingDependencyError: a library of the extra is not installed.
    """
    try:
        yield
    except ImportError as error:
        raise MissingDependencyError(f"{what} needs `pip install 'nas-proxy[{extra}]'`: {error}.") from None


def extra_for(error: ModuleNotFoundError) -> MissingDependencyError | None:
    """What to install after an import that failed, None where no extra of this package has the library."""
    library = (error.name or "").partition(".")[0]
    extras = [
        extra[1]
        for requirement in importlib.metadata.requires("nas-proxy") or ()
        if re.split(r"[^\w-]", requirement)[0].replace("-", "_") == library
        and (extra := re.search(r"extra == ['\"]([\w-]+)", requirement))
    ]
    if not extras:
        return None
    smallest = library if library in extras else extras[0]
    return MissingDependencyError(f"this needs `pip install 'nas-proxy[{smallest}]'`: {error}.")


def whole_number(value: Any, what: str, least: int = 0) -> int:
    """``value`` as an int, numpy's among them.

    Raises:
        InputError: it is no integer, or below ``least``. ``what`` names it in the message.
    """
    try:
        if not isinstance(value, bool) and (number := operator.index(value)) >= least:
            return number
    except TypeError:
        pass
    raise InputError(f"{what} must be an integer of at least {least}, found {value!r}.")
