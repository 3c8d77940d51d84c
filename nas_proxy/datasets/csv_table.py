"""Measurements as CSV, written by ``nas-proxy measure`` or by hand.

::

    # space: nasbench201
    arch,latency_ms,device
    |nor_conv_3x3~0|+|...|,12.3,my-phone

``arch`` (the space's canonical text) and ``latency_ms`` are required; ``device`` allows several devices in one file
(without it, the device is called as the file); further columns are ignored. Lines that start with ``#`` are comments;
``# space: <text>`` says which space the architectures are of, parameters included. A second row may state units, and
must say ``ms``.
Rows whose latency is empty are still to be measured: they are left out, and the log says how many.
"""

from __future__ import annotations

import csv
import logging
import math
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from nas_proxy import extensions
from nas_proxy.datasets._read import require_file
from nas_proxy.datasets.csv_rows import write_csv
from nas_proxy.errors import InputError, did_you_mean, listed, naming
from nas_proxy.spaces import get_space, space_text

if TYPE_CHECKING:
    from nas_proxy.spaces import SearchSpace

__all__ = ["accuracy_rows", "latency_cells", "read_archs", "stated_space", "write_latencies"]

_log = logging.getLogger(__name__)
_SPACE = re.compile(r"#\s*space:\s*(\S+)")


@dataclass(frozen=True)
class _Row:
    line: int
    cells: dict[str, str]


@dataclass(frozen=True)
class _File:
    path: Path
    space: SearchSpace
    columns: tuple[str, ...]
    rows: tuple[_Row, ...]

    def archs(self) -> Iterator[tuple[_Row, object]]:
        """Each row with its architecture."""
        for row in self.rows:
            try:
                yield row, self.space.from_str(row.cells["arch"])
            except InputError as error:
                raise InputError(
                    f"{self.path}, line {row.line}: not an architecture of {self.space.name}: {error}"
                ) from None


def _open(path: str | Path, space: str | SearchSpace | None, required: tuple[str, ...]) -> _File:
    path = require_file(path, "a CSV of measurements")
    data = path.read_bytes()
    text_pickle = data[:1] in b"(]}c" and data.rstrip()[-1:] == b"."
    if data[:1] == b"\x80" or data[:2] == b"PK" or text_pickle:
        raise InputError(
            f"{path}: expected a CSV of measurements, found a pickle or torch file. Pickles can run code and are "
            "never loaded: export the numbers as CSV with the columns " + ", ".join(required) + "."
        )
    try:
        lines = data.decode("utf-8-sig").splitlines(keepends=True)
    except UnicodeDecodeError as error:
        raise InputError(f"{path}: expected a CSV in UTF-8: {error}") from None
    stated = next((match[1] for line in lines if (match := _SPACE.match(line))), None)
    # comments become blank lines, which csv skips while it counts them
    reader = csv.reader("\n" if line.startswith("#") else line for line in lines)
    try:
        rows = [(reader.line_num, [cell.strip() for cell in cells]) for cells in reader if any(map(str.strip, cells))]
    except csv.Error as error:
        raise InputError(f"{path}, line {reader.line_num}: not CSV: {error}") from None
    if not rows:
        raise InputError(f"{path}: expected a header with the columns {', '.join(required)}; the file is empty.")
    columns = tuple(rows[0][1])
    if twice := {name for name in columns if columns.count(name) > 1}:
        raise InputError(f"{path}: the column {min(twice)!r} is there twice: keep one.")
    for name in required:
        if name not in columns:
            raise _missing_column(path, name, columns)
    for line, cells in rows[1:]:
        if len(cells) != len(columns):
            raise InputError(f"{path}, line {line}: expected {len(columns)} cells, found {len(cells)}.")
    parsed = tuple(_Row(line, dict(zip(columns, cells, strict=True))) for line, cells in rows[1:])
    return _File(path, _space_of(path, space, stated), columns, parsed)


def _space_of(path: Path, given: str | SearchSpace | None, stated: str | None) -> SearchSpace:
    if given is None and stated is None:
        raise InputError(
            f"{path}: of which search space are these architectures? Say so, or start the file with a line "
            "'# space: <name>'."
        )
    with naming(path):
        space = get_space(stated or "", trusted=False) if given is None else get_space(given)
    if stated is not None and stated != space_text(space) and not _names(stated, space):
        advice = "Leave the space out: the file states it." if isinstance(given, str) else "Use files of one space."
        raise InputError(f"{path}: holds architectures of {stated!r}, but is read as {space_text(space)!r}. {advice}")
    return space


def _names(stated: str, space: SearchSpace) -> bool:
    """Whether a text means a space that the caller has named: by another of its names, or by its own."""
    try:
        name, parameters = extensions.parse_text(stated)
        if name == space.name and name not in extensions.names("spaces"):
            return space_text(space) == space_text(type(space)().with_parameters(**parameters))
        return space_text(get_space(stated, trusted=False)) == space_text(space)
    except InputError:
        return False


def _missing_column(path: Path, name: str, columns: tuple[str, ...]) -> InputError:
    if name == "latency_ms":
        other = next((column for column in columns if column.lower().startswith("latency")), None)
        if other is not None:
            return InputError(
                f"{path}: expected latencies in milliseconds in a column 'latency_ms', found {other!r}. Convert the "
                "values to milliseconds and rename the column."
            )
    hint = did_you_mean(name, columns)
    rename = f"{hint} Then rename that." if hint else ""
    return InputError(f"{path}: the column {name!r} is missing; found: {listed(columns)}.{rename}")


def _number(file: _File, row: _Row, column: str) -> float:
    text = row.cells[column]
    try:
        return float(text)
    except ValueError:
        raise InputError(f"{file.path}, line {row.line}: {column}: expected a number, found {text!r}.") from None


def _without_units(file: _File, column: str, unit: str) -> _File:
    """The file without its row of units, if it has one."""
    if not file.rows:
        return file
    stated = file.rows[0].cells[column].strip("[]() ")
    if stated == unit:
        return _File(file.path, file.space, file.columns, file.rows[1:])
    if re.fullmatch(r"[a-zA-Zµμ%]+", stated) and stated.lower() not in {"nan", "inf", "infinity"}:
        raise InputError(
            f"{file.path}, line {file.rows[0].line}: {column} is given in {stated!r}; expected {unit!r}. Convert the "
            "values."
        )
    return file


def stated_space(path: str | Path) -> SearchSpace:
    """The search space that a CSV of architectures states.

    Raises:
        InputError: the file cannot be read, lacks the column ``arch``, or states none, or a space of your own.
    """
    return _open(path, None, ("arch",)).space


def read_archs(path: str | Path, space: str | SearchSpace | None = None) -> list[Any]:
    """The architectures in the column ``arch`` of a CSV, whatever its other columns.

    Raises:
        InputError: the file cannot be read, lacks the column, or a line holds no architecture of the space.
    """
    file = _open(path, space, ("arch",))
    if "latency_ms" in file.columns:
        file = _without_units(file, "latency_ms", "ms")
    return list({file.space.to_str(arch): arch for _, arch in file.archs()}.values())


def latency_cells(
    path: str | Path, space: str | SearchSpace | None = None
) -> tuple[str, tuple[Any, ...], tuple[str, ...], NDArray[np.float64]]:
    """Latencies in ms: text of the space, ``n`` architectures, ``d`` devices, and ``(n, d)`` values, NaN where none is.

    Args:
        path: the CSV, in this module's format.
        space: the search space or its name; by default the one the file states.

    Raises:
        InputError: a column is missing or in another unit, a latency is not a positive number, an architecture is not
            of the space or is there twice (each with its line), or no row has a latency.
    """
    file = _without_units(_open(path, space, ("arch", "latency_ms")), "latency_ms", "ms")
    found: dict[tuple[str, str], tuple[int, float]] = {}
    archs: dict[str, object] = {}
    unfilled = 0
    for row, arch in file.archs():
        if not row.cells["latency_ms"]:
            unfilled += 1
            continue
        value = _number(file, row, "latency_ms")
        if not (math.isfinite(value) and value > 0):
            raise InputError(f"{file.path}, line {row.line}: latency_ms must be positive and finite, found {value}.")
        text, device = file.space.to_str(arch), row.cells.get("device") or file.path.stem
        if (text, device) in found:
            raise InputError(
                f"{file.path}, line {row.line}: {text} on {device!r} was already given in line "
                f"{found[text, device][0]}. Keep one of them, or their median."
            )
        found[text, device] = (row.line, value)
        archs[text] = arch
    if not found:
        raise InputError(f"{file.path}: no row has a latency_ms yet ({unfilled} rows to fill in).")
    _log.info("%s: %d latencies read", path, len(found))
    if unfilled:
        _log.warning("%s: %d of %d rows have no latency_ms yet and are left out", path, unfilled, len(file.rows))
    devices = tuple(dict.fromkeys(device for _, device in found))
    row_of, column_of = ({name: i for i, name in enumerate(names)} for names in (archs, devices))
    values = np.full((len(archs), len(devices)), np.nan)
    for (text, device), (_, value) in found.items():
        values[row_of[text], column_of[device]] = value
    return space_text(file.space), tuple(archs.values()), devices, values


def write_latencies(
    path: str | Path, space_name: str, archs: Sequence[Any], devices: Sequence[str], values_ms: NDArray[np.float64]
) -> Path:
    """Write latencies as CSV, atomically: one row per measurement, numbers in full precision."""
    space = get_space(space_name)
    rows = []
    for arch, row in zip(archs, values_ms, strict=True):
        text = space.to_str(arch)
        rows += ([text, float(v), d] for d, v in zip(devices, row, strict=True) if np.isfinite(v))
    return write_csv(path, space_name, ["arch", "latency_ms", "device"], rows)


def accuracy_rows(
    path: str | Path, space: str | SearchSpace | None = None
) -> tuple[str, tuple[Any, ...], NDArray[np.float64]]:
    """Accuracies from the columns ``arch`` and ``accuracy`` (percent): text of the space, architectures, values.

    Raises:
        InputError: as :func:`latency_cells`, for accuracies in 0..100.
    """
    file = _without_units(_open(path, space, ("arch", "accuracy")), "accuracy", "%")
    archs: dict[str, object] = {}
    accuracy: list[float] = []
    for row, arch in file.archs():
        value = _number(file, row, "accuracy")
        if not 0 <= value <= 100:
            raise InputError(f"{file.path}, line {row.line}: accuracy must be in percent, 0 to 100, found {value}.")
        text = file.space.to_str(arch)
        if text in archs:
            raise InputError(f"{file.path}, line {row.line}: {text} is there twice.")
        archs[text] = arch
        accuracy.append(value)
    return space_text(file.space), tuple(archs.values()), np.array(accuracy)
