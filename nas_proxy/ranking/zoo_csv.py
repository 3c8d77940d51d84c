"""A zoo's measurements from files, its ranking to a file, for the command line."""

from __future__ import annotations

from pathlib import Path

from nas_proxy.datasets import LatencyTable, load_latencies
from nas_proxy.datasets.csv_rows import write_csv
from nas_proxy.datasets.timm import is_timm_benchmark
from nas_proxy.errors import InputError, listed
from nas_proxy.ranking.zoo import ZooRanking
from nas_proxy.spaces import SearchSpace

__all__ = ["read_zoo_latencies", "write_zoo"]

_COLUMNS = ("name", "arch", "ms_per_image", "low_ms", "high_ms", "measured", "top1", "on_front")


def read_zoo_latencies(path: Path, space: SearchSpace) -> LatencyTable:
    """Latencies of timm networks on one device, from a CSV of measurements or one of timm's benchmark tables.

    Networks of a benchmark table that the zoo lacks are left out.

    Raises:
        InputError: the file cannot be read, or holds several devices.
    """
    if path.is_file() and is_timm_benchmark(path):
        table = load_latencies("timm", path)
        options = set(space.choices["network"])
        rows = [row for row, arch in enumerate(table.archs) if arch in options]
        return LatencyTable(table.space, tuple(table.archs[row] for row in rows), table.devices, table.values_ms[rows])
    table = load_latencies("csv", path, space=space)
    if len(table.devices) > 1:
        raise InputError(f"{path} holds the devices {listed(table.devices)}: keep the rows of one of them.")
    return table


def write_zoo(path: Path, ranking: ZooRanking) -> Path:
    """All networks as CSV, fastest first."""
    rows: list[list[object]] = []
    for network in ranking.networks:
        latencies = (f"{value:.6g}" for value in (network.latency_ms, network.low_ms, network.high_ms))
        top1 = "" if network.top1 is None else network.top1
        rows.append([network.name, network.arch, *latencies, network.measured, top1, network.on_front])
    return write_csv(path, None, _COLUMNS, rows)
