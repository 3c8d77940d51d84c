"""Fleets from CSV files of measurements, for the command line."""

from __future__ import annotations

import os
from pathlib import Path

import numpy as np

from nas_proxy import files
from nas_proxy.datasets import AccuracyTable, LatencyTable
from nas_proxy.datasets.csv_rows import write_csv
from nas_proxy.errors import InputError
from nas_proxy.ranking.fleet import Demand, Fleet, recommend_fleet
from nas_proxy.ranking.from_csv import candidates, fit_one
from nas_proxy.spaces import SearchSpace, space_text

__all__ = ["fleet_csv", "share", "write_fleet"]


def share(text: str) -> float:
    """A share written as ``5%`` or ``0.05``.

    Raises:
        InputError: neither of the two.
    """
    try:
        return float(text.removesuffix("%")) / (100 if text.endswith("%") else 1)
    except ValueError:
        raise InputError(f"expected a share such as 5% or 0.05, found {text!r}.") from None


def fleet_csv(
    fleet: Path,
    proxy: Path,
    accuracy: Path | None = None,
    archs: Path | None = None,
    demand: Demand | None = None,
    space: str | None = None,
) -> tuple[Fleet, SearchSpace]:
    """Recommend networks to the devices of a CSV, from a CSV of one proxy; also the space that both are of.

    Chosen among are the architectures that have an accuracy, or those of ``archs`` (see
    :func:`nas_proxy.ranking.from_csv.candidates`).

    Raises:
        InputError: a file cannot be read, the proxy's holds several devices, both candidates are given, or as
            :func:`nas_proxy.ranking.fleet.recommend_fleet`.
    """
    if archs is not None and accuracy is not None:
        raise InputError(
            "give --archs or --accuracy, not both: the accuracies say which architectures to choose among."
        )
    model = fit_one(proxy, space, why="A fleet is adapted from a CSV of one.")
    table = LatencyTable.from_csv(fleet, model.space)
    jobs = os.cpu_count() or 1
    if accuracy is None:
        return recommend_fleet(model, table, candidates(model.space, archs), None, demand, jobs), model.space
    known = AccuracyTable.from_csv(accuracy, model.space)
    return recommend_fleet(model, table, known.archs, known.accuracy, demand, jobs), model.space


def write_fleet(path: Path, fleet: Fleet, space: SearchSpace) -> Path:
    """Write one row per device, atomically; cells are empty where there is nothing to say.

    Raises:
        InputError: the file exists and holds measurements.
    """
    files.require_free(path)
    text = [space.to_str(arch) for arch in fleet.candidates]
    numbers = ("limit_ms", "predicted_latency_ms", "low_ms", "high_ms", "kendall_tau", "tau_low", "tau_high")
    columns = (fleet.limit_ms, fleet.latency_ms, fleet.low_ms, fleet.high_ms)
    columns = np.column_stack([*columns, fleet.kendall_tau, fleet.tau_low, fleet.tau_high])
    heading = ("device", "arch", "accuracy", *numbers, "measured", "shared_arch", "shared_latency_ms", "doubts")
    rows: list[list[object]] = []
    for i, device in enumerate(fleet.devices):
        best, shared = int(fleet.best[i]), fleet.shared[fleet.group[i]] if fleet.group[i] >= 0 else -1
        rows.append([
            device,
            text[best] if best >= 0 else "",
            f"{fleet.accuracy[best]:g}" if fleet.accuracy is not None and best >= 0 else "",
            *(f"{value:.6g}" if np.isfinite(value) else "" for value in columns[i]),
            fleet.measured[i],
            text[shared] if shared >= 0 else "",
            f"{fleet.shared_latency_ms[i]:.6g}" if shared >= 0 else "",
            "; ".join(fleet.doubts[i]),
        ])  # fmt: skip
    return write_csv(path, space_text(space), heading, rows)
