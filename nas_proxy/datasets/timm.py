"""timm's published tables: inference benchmarks of its models on a device, and their ImageNet accuracy.

``benchmark-infer-<device>.csv`` states throughput at the batch size that fitted; the latency read is the time per
image, step time over batch size. In the results, several sets of pretrained weights (``name.tag``) share one network.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from nas_proxy.datasets._read import latencies, require_file
from nas_proxy.datasets.tables import AccuracyTable, LatencyTable
from nas_proxy.errors import InputError

__all__ = ["PretrainedWeights", "TimmAccuracies", "TimmLatencies", "is_timm_benchmark", "read_timm_weights"]

_PREFIX = "benchmark-infer-"
_BENCHMARK_COLUMNS = ("model", "infer_img_size", "infer_step_time", "infer_batch_size")
_RESULT_COLUMNS = ("model", "img_size", "top1")


@dataclass(frozen=True)
class PretrainedWeights:
    """One set of weights of a network: its full name in timm, the architecture, top-1 in percent."""

    name: str
    arch: str
    top1: float


def is_timm_benchmark(path: str | Path) -> bool:
    """Whether a CSV is one of timm's inference benchmarks, by its header."""
    with Path(path).open(errors="replace") as file:
        header = file.readline().strip().split(",")
    return set(_BENCHMARK_COLUMNS) <= set(header)


class TimmLatencies:
    """Inference benchmarks of timm's models on a device, in one CSV, or on several in a folder of them."""

    def read(self, path: str | Path) -> LatencyTable:
        """Time per image in ms of ``"model@size"`` on the devices of a benchmark CSV, or of all in a folder.

        Devices are named as the files, without ``benchmark-infer-``. Rows without a measurement are left out.

        Raises:
            InputError: no such file, a column is missing, a measurement is not a positive number, or a row is there
                twice.
        """
        path = Path(path)
        if path.is_dir():
            tables = [self.read(file) for file in sorted(path.glob(f"{_PREFIX}*.csv"))]
            if not tables:
                raise InputError(f"{path}: expected timm's benchmark tables, {_PREFIX}*.csv, found none.")
            archs = tuple(dict.fromkeys(arch for table in tables for arch in table.archs))
            values = np.full((len(archs), len(tables)), np.nan)
            row = {arch: i for i, arch in enumerate(archs)}
            for column, table in enumerate(tables):
                values[[row[arch] for arch in table.archs], column] = table.values_ms[:, 0]
            return LatencyTable("timm", archs, tuple(table.devices[0] for table in tables), values)
        rows = _read(path, _BENCHMARK_COLUMNS).dropna(subset=list(_BENCHMARK_COLUMNS))
        per_image = _numbers(path, rows, "infer_step_time") / _numbers(path, rows, "infer_batch_size")
        archs = _archs(path, rows, "infer_img_size")
        return LatencyTable(
            "timm", archs, (path.stem.removeprefix(_PREFIX),), latencies(per_image, len(archs), str(path))[:, None]
        )


def read_timm_weights(path: str | Path) -> list[PretrainedWeights]:
    """Pretrained weights and their top-1 accuracy in percent, in the order of a results CSV.

    Raises:
        InputError: no such file, a column is missing, or an accuracy is not in percent.
    """
    rows = _read(path, _RESULT_COLUMNS)
    top1 = _numbers(path, rows, "top1")
    bad = np.flatnonzero(~((top1 >= 0) & (top1 <= 100)))
    if len(bad):
        raise InputError(f"{path}: top1 must be in percent, 0 to 100; row {bad[0]} is {top1[bad[0]]}.")
    sizes = _numbers(path, rows, "img_size").astype(int)
    return [
        PretrainedWeights(name, f"{name.split('.')[0]}@{size}", float(accuracy))
        for name, size, accuracy in zip(rows["model"], sizes, top1, strict=True)
    ]


class TimmAccuracies:
    """ImageNet top-1 of timm's pretrained models, from its results CSV."""

    def read(self, path: str | Path) -> AccuracyTable:
        """Top-1 accuracy of each network with the best of its pretrained weights.

        Raises:
            InputError: as :func:`read_timm_weights`.
        """
        best: dict[str, float] = {}
        for weights in read_timm_weights(path):
            best[weights.arch] = max(best.get(weights.arch, 0.0), weights.top1)
        return AccuracyTable("timm", tuple(best), np.array(list(best.values())))


def _read(path: str | Path, columns: tuple[str, ...]) -> pd.DataFrame:
    path = require_file(path, f"one of timm's tables, a CSV with the columns {', '.join(columns)}")
    try:
        table = pd.read_csv(path, thousands=",")
    except (ValueError, UnicodeDecodeError) as error:
        raise InputError(f"{path}: expected one of timm's tables as CSV: {error}") from None
    for column in columns:
        if column not in table:
            raise InputError(f"{path}: the column {column!r} is missing; found: {', '.join(map(str, table.columns))}.")
    return table


def _numbers(path: str | Path, table: pd.DataFrame, column: str) -> NDArray[np.float64]:
    values = np.asarray(pd.to_numeric(table[column], errors="coerce"), dtype=np.float64)
    bad = np.flatnonzero(~np.isfinite(values))
    if len(bad):
        raise InputError(f"{path}: {column}: expected a number, found {table[column].iloc[bad[0]]!r}.")
    return values


def _archs(path: Path, table: pd.DataFrame, size_column: str) -> tuple[str, ...]:
    sizes = _numbers(path, table, size_column).astype(int)
    archs = tuple(f"{name}@{size}" for name, size in zip(table["model"], sizes, strict=True))
    if len(set(archs)) < len(archs):
        twice = next(arch for i, arch in enumerate(archs) if arch in archs[:i])
        raise InputError(f"{path}: {twice} is there twice. Keep one of them.")
    return archs
