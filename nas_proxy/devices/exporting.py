"""Networks as ONNX files, to be measured on a device that is elsewhere, with the CSV to fill in."""

from __future__ import annotations

import csv
import hashlib
import json
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from nas_proxy import files
from nas_proxy.datasets.csv_rows import csv_lines, csv_text
from nas_proxy.datasets.csv_table import read_archs
from nas_proxy.errors import InputError
from nas_proxy.spaces import SearchSpace, get_space, space_text

__all__ = ["export_onnx"]

CSV_NAME = "latencies.csv"
_UNIT = "latency_ms: median over many runs, in milliseconds, batch {}"


def export_onnx(
    space: SearchSpace | str,
    archs: Sequence[Any],
    folder: str | Path,
    *,
    batch_size: int = 1,
    on_progress: Callable[[int, int], None] | None = None,
) -> Path:
    """Write one ONNX file per architecture, and ``latencies.csv`` with a row for each whose latency is to be filled in.

    A file's name depends on the architecture, the space's parameters and the batch size alone. Files that are there
    are not written again; rows that are there, filled in or not, stay as they are. :func:`nas_proxy.load_latencies`
    reads the CSV, also a half-filled one.

    Returns:
        The path of the CSV.

    Raises:
        InputError: an architecture is not of the space, the folder cannot be written, or it has a CSV of another kind.
    """
    from nas_proxy.graph import from_torch, save_onnx

    space = space if isinstance(space, SearchSpace) else get_space(space)
    folder = Path(folder)
    table = folder / CSV_NAME
    wanted = {space.to_str(arch): arch for arch in archs}
    if not wanted:
        raise InputError("no architectures to export: give at least one.")
    listed = {space.to_str(arch) for arch in read_archs(table, space)} if table.exists() else set()
    try:
        folder.mkdir(parents=True, exist_ok=True)
        for count, (text, arch) in enumerate(wanted.items(), start=1):
            path = folder / _file_name(space, text, batch_size)
            if not path.exists():
                save_onnx(from_torch(space.build(arch), (batch_size, *space.input_shape(arch))), path)
            if on_progress:
                on_progress(count, len(wanted))
        names = {text: _file_name(space, text, batch_size) for text in wanted if text not in listed}
        before = (
            table.read_text(encoding="utf-8")
            if table.exists()
            else csv_text(space_text(space), ("arch", "file", "latency_ms"), (), _UNIT.format(batch_size))
        )
        return files.write_text(table, _with_rows(before, names))
    except OSError as error:
        raise InputError(f"{folder}: cannot be written: {error}. Give another folder, or make room.") from None


def _with_rows(text: str, names: Mapping[str, str]) -> str:
    """The CSV with a row to fill in for each architecture, in the columns it has by now."""
    columns = next(csv.reader(line for line in text.splitlines() if line.strip() and not line.startswith("#")))
    rows = ({"arch": arch, "file": name} for arch, name in names.items())
    return text.rstrip() + "\n" + csv_lines([row.get(column) for column in columns] for row in rows)


def _file_name(space: SearchSpace, arch: str, batch_size: int) -> str:
    key = json.dumps([space.name, space.parameters, arch, batch_size], sort_keys=True)
    return f"{space.name}-{hashlib.sha256(key.encode()).hexdigest()[:12]}.onnx"
