"""The one way in which CSV files of architectures are written; :mod:`nas_proxy.datasets.csv_table` reads them."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

from nas_proxy import files

__all__ = ["csv_lines", "csv_text", "write_csv"]


def csv_text(space: str | None, columns: Sequence[str], rows: Iterable[Sequence[Any]], *comments: str) -> str:
    """A CSV that states its space (see :func:`nas_proxy.spaces.space_text`), then comments, columns and rows.

    ``space`` is None where the rows are of no search space. None is an empty cell; numbers are in full precision.
    """
    lines = [f"# {comment}\n" for comment in ([] if space is None else [f"space: {space}"]) + list(comments)]
    return "".join(lines) + csv_lines([columns, *rows])


def csv_lines(rows: Iterable[Sequence[Any]]) -> str:
    """Rows alone, to be added to a CSV."""
    out = io.StringIO()
    csv.writer(out, lineterminator="\n").writerows(rows)
    return out.getvalue()


def write_csv(path: str | Path, space: str | None, columns: Sequence[str], rows: Iterable[Sequence[Any]]) -> Path:
    """Write :func:`csv_text` to a file, atomically.

    Raises:
        OSError: the folder cannot be created or written to; the old file is untouched.
    """
    return files.write_text(path, csv_text(space, columns, rows))
