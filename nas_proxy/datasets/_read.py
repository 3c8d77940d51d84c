"""Reading files of numbers that others wrote: nothing in them is ever executed."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from nas_proxy.errors import InputError

__all__ = ["latencies", "load_pt", "require_file"]


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


def load_pt(path: str | Path, what: str) -> Any:
    """The numbers, texts, lists and dicts in a file written by ``torch.save``; anything else in it is refused.

    Raises:
        InputError: the file is missing, truncated, or holds more than plain values (it is then not loaded).
    """
    import pickle

    import torch

    path = require_file(path, what)
    try:
        return torch.load(path, map_location="cpu", weights_only=True)
    except pickle.UnpicklingError as error:
        reason = str(error).splitlines()[0] if str(error) else "not a torch file"
        raise InputError(
            f"{path}: expected {what}, saved by torch.save as plain numbers, lists and texts; the file holds something "
            f"else, which could run code, and was not loaded ({reason})."
        ) from None
    except OSError as error:
        raise InputError(f"{path}: cannot be read: {error}") from None
    except Exception as error:  # a damaged archive fails in many ways inside torch
        raise InputError(
            f"{path}: expected {what}; the file is truncated or not a torch file ({type(error).__name__}: {error}). "
            "Fetch it again."
        ) from None


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
