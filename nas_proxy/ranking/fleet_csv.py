"""Fleets from CSV files of measurements, for the command line."""

from __future__ import annotations

import csv
import io
import os
from pathlib import Path

import numpy as np
from rich.box import SIMPLE_HEAD
from rich.console import Group
from rich.markup import escape
from rich.table import Table

from nas_proxy import files
from nas_proxy.datasets import AccuracyTable, LatencyTable
from nas_proxy.errors import InputError
from nas_proxy.ranking.fleet import Demand, Fleet, recommend_fleet
from nas_proxy.ranking.from_csv import candidates, fit_one
from nas_proxy.spaces import SearchSpace, space_text

__all__ = ["fleet_csv", "fleet_table", "share", "write_fleet"]

_SHOWN = 10


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
    out = io.StringIO()
    out.write(f"# space: {space_text(space)}\n")
    writer = csv.writer(out, lineterminator="\n")
    heading = ("device", "arch", "accuracy", *numbers, "measured", "shared_arch", "shared_latency_ms", "doubts")
    writer.writerow(heading)
    for i, device in enumerate(fleet.devices):
        best, shared = int(fleet.best[i]), fleet.shared[fleet.group[i]] if fleet.group[i] >= 0 else -1
        writer.writerow([
            device,
            text[best] if best >= 0 else "",
            f"{fleet.accuracy[best]:g}" if fleet.accuracy is not None and best >= 0 else "",
            *(f"{value:.6g}" if np.isfinite(value) else "" for value in columns[i]),
            fleet.measured[i],
            text[shared] if shared >= 0 else "",
            f"{fleet.shared_latency_ms[i]:.6g}" if shared >= 0 else "",
            "; ".join(fleet.doubts[i]),
        ])  # fmt: skip
    return files.write_text(path, out.getvalue())


def fleet_table(fleet: Fleet, space: SearchSpace, within: float) -> Group:
    """The networks that serve the fleet, and the doubtful devices, to print."""
    served, doubtful = np.bincount(fleet.group[fleet.group >= 0], minlength=len(fleet.shared)), fleet.doubts
    order = np.argsort(-served, kind="stable")[:_SHOWN]
    few, doubts = len(fleet.shared), sum(map(bool, doubtful))
    title = f"{_counted(few, 'network serves', 'networks serve')} {served.sum()} of {len(fleet.devices)} devices"
    if not few:
        title = f"no network serves any of {_counted(len(fleet.devices), 'device', 'devices')}"
    table = Table(title=f"{title}, within {100 * within:g} % of each one's best", box=SIMPLE_HEAD)
    for heading in ("devices", *(["accuracy [%]"] if fleet.accuracy is not None else []), "architecture"):
        table.add_column(escape(heading), overflow="fold")
    for i in order:
        network = fleet.shared[i]
        percent = [f"{fleet.accuracy[network]:.2f}"] if fleet.accuracy is not None else []
        table.add_row(str(served[i]), *percent, escape(space.to_str(fleet.candidates[network])))
    tau = fleet.kendall_tau[np.isfinite(fleet.kendall_tau)]
    lines = [f"and {_counted(few - _SHOWN, 'network', 'networks')} more"] if few > _SHOWN else []
    if few > 1:
        lines.append(f"fewer than {_counted(fleet.fewest, 'network', 'networks')} cannot serve them")
        lines[-1] += f"; that {few} do is an upper bound" if fleet.fewest < few else ""
    lines += [
        f"Kendall's tau expected: median {np.median(tau):.3f}, of one in ten below {np.quantile(tau, 0.1):.3f}",
        _counted(doubts, "device is doubtful", "devices are doubtful") + (":" if doubts else ""),
    ]
    shown = [i for i, reasons in enumerate(doubtful) if reasons][:_SHOWN]
    lines += [f"  [bold]{escape(fleet.devices[i])}[/]: {escape('; '.join(doubtful[i]))}" for i in shown]
    lines += [f"  and {doubts - _SHOWN} more"] if doubts > _SHOWN else []
    return Group(table, *lines)


def _counted(n: int, one: str, several: str) -> str:
    return f"{n} {one if n == 1 else several}"
