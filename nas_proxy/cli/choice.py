"""Which architectures a command is about, from its options."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from nas_proxy.datasets.csv_table import read_archs, stated_space
from nas_proxy.errors import InputError
from nas_proxy.spaces import SearchSpace, get_space

__all__ = ["Choice", "choose"]


@dataclass(frozen=True)
class Choice:
    """Architectures of a space."""

    space: SearchSpace
    archs: list[Any]


def choose(space: str | None, parameters: Sequence[str], n: int | None, seed: int, csv: Path | None) -> Choice:
    """``n`` random architectures, or those in a CSV, of a space with some parameters given as ``NAME=VALUE``.

    A CSV may state the space by itself.

    Raises:
        InputError: both or neither of ``n`` and ``csv`` are given, a parameter is not NAME=VALUE, or what the space and
            the CSV raise.
    """
    if n is not None and csv is not None:
        raise InputError("give -n or --archs, not both: the CSV says which architectures.")
    if n is None and csv is None:
        raise InputError(
            "which architectures? Give -n for random ones, or --archs with a CSV that has a column 'arch'."
        )
    if space is None and csv is None:
        raise InputError("of which search space? Give --space.")
    values = {}
    for parameter in parameters:
        name, _, value = parameter.partition("=")
        if not re.fullmatch("[0-9]+", value.strip()):
            raise InputError(f"--parameter: expected NAME=VALUE with a positive whole number, found {parameter!r}.")
        values[name.strip()] = int(value)
    found = (stated_space(csv or "") if space is None else get_space(space)).with_parameters(**values)
    return Choice(found, found.sample(n, seed) if n is not None else read_archs(csv or "", found))
