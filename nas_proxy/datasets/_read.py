"""Reading files of numbers that others wrote: nothing in them is ever executed."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from numpy.typing import ArrayLike, NDArray

from nas_proxy.errors import InputError

__all__ = ["latencies", "require_file"]


def require_file(path: str | Path, what: str) -> Path:
    """``path`` if it is a file.

    Raises:
        InputError: it is not; ``what`` says what was expected there.
    """
    path = Path(path)
    if not path.is_file():
        found = "a folder" if path.is_dir() else "nothing"
        raise InputError(f"{path}: expected {what}, found {found}.")
    return path


def latencies(values: ArrayLike, n: int, source: str) -> NDArray[np.float64]:
    """``values`` as ``(n,)`` latencies.

    Raises:
        InputError: another length, something that is no number, or a value that is not positive and finite (names the
            first such row, counted from 0).
    """
    try:
        result = np.asarray(values, dtype=np.float64)
    except (TypeError, ValueError):
        raise InputError(f"{source}: expected {n} numbers (latencies in ms), found {type(values).__name__}.") from None
    if result.shape != (n,):
        raise InputError(f"{source}: expected {n} latencies, one per architecture, found shape {result.shape}.")
    bad = np.flatnonzero(~(np.isfinite(result) & (result > 0)))
    if len(bad):
        raise InputError(
            f"{source}: a latency must be a positive number of ms; row {bad[0]} is {result[bad[0]]}"
            + (f", and {len(bad) - 1} more rows are wrong." if len(bad) > 1 else ".")
        )
    return result
