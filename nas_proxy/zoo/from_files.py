"""A zoo's measurements from files, its ranking to the terminal and to a file, for the command line."""

from __future__ import annotations

import csv
import io
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from rich import box
from rich.console import Group
from rich.markup import escape
from rich.table import Table

from nas_proxy import files
from nas_proxy.datasets import LatencyTable, load_latencies
from nas_proxy.datasets.timm import is_timm_benchmark, read_timm_weights
from nas_proxy.errors import InputError, listed
from nas_proxy.spaces import SearchSpace
from nas_proxy.spaces._timm_table import SHIPPED, extend_table, read_table
from nas_proxy.spaces.timm_zoo import split
from nas_proxy.zoo.ranking import ZooRanking

__all__ = ["Traced", "networks_in", "read_zoo_latencies", "render", "trace_networks", "write_ranking"]

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


def networks_in(sources: Sequence[str]) -> list[str]:
    """Architectures named by ``"resnet50@224"``, by ``"module:function@224"`` for a network of your own, or by the
    paths of timm's benchmark and results tables; each once.

    Raises:
        InputError: a source is neither, or a table names code to run.
    """
    found: list[str] = []
    for source in sources:
        if Path(source).suffix != ".csv":
            split(source)  # says what is wrong
            found.append(source)
            continue
        if Path(source).is_file() and is_timm_benchmark(source):
            named = list(load_latencies("timm", source).archs)
        else:
            named = [weights.arch for weights in read_timm_weights(source)]
        if own := next((arch for arch in named if ":" in arch), None):
            raise InputError(
                f"{source} names {own!r}, code of your own. A file cannot have code run: name it yourself."
            )
        found += named
    return list(dict.fromkeys(found))


@dataclass(frozen=True)
class Traced:
    """How many networks were added to a table, were in it before, and ship with the package; and why each of the
    others could not be traced."""

    added: int
    there: int
    shipped: int
    failed: dict[str, str]


def trace_networks(
    sources: Sequence[str], path: Path, on_progress: Callable[[int, int], None] = lambda done, total: None
) -> Traced:
    """Add the costs of networks (see :func:`networks_in`) to the table at ``path``, those that ship excepted."""
    wanted = networks_in(sources)
    own = set(wanted) - set(read_table(SHIPPED).index)
    there = own & set(read_table(path).index) if path.exists() else set()
    failed = extend_table(path, [arch for arch in wanted if arch in own], on_progress) if own else {}
    return Traced(len(own) - len(there) - len(failed), len(there), len(wanted) - len(own), failed)


def render(ranking: ZooRanking, rows: int) -> Group:
    """The accuracy-latency front where accuracies are known, else the fastest networks, and how far to trust them."""
    accurate = any(network.top1 is not None for network in ranking.networks)
    shown = [network for network in ranking.networks if network.on_front or not accurate]
    title = "accuracy-latency front" if accurate else "fastest networks"
    table = Table(title=f"{title}: {min(rows, len(shown))} of {len(shown)}", box=box.SIMPLE_HEAD, title_justify="left")
    table.add_column("pretrained weights" if accurate else "network", overflow="fold")
    table.add_column("pixels", justify="right")
    table.add_column("ms per image", justify="right")
    table.add_column("90 % interval", justify="right")
    if accurate:
        table.add_column("top-1 [%]", justify="right")
    for network in shown[:rows]:
        interval = "measured" if network.measured else f"{_short(network.low_ms)} to {_short(network.high_ms)}"
        name, size = split(network.arch)
        cells = [escape(network.name if accurate else name), str(size), _short(network.latency_ms), interval]
        table.add_row(*cells, *([] if network.top1 is None else [f"{network.top1:.2f}"]))
    return Group(table, *_notes(ranking))


def _short(latency_ms: float) -> str:
    return f"{latency_ms:.3g}" if latency_ms < 999.5 else f"{latency_ms:.0f}"


def _notes(ranking: ZooRanking) -> list[str]:
    quality = ranking.monotonicity
    low, high = quality.interval
    notes = [
        f"{len(ranking.networks)} ranked from {quality.n} measurements; Kendall's tau expected: "
        f"{quality.kendall_tau:.2f} (90 % interval {low:.2f} to {high:.2f}; Spearman {quality.spearman:.3f}), "
        f"{quality.verdict}."
    ]
    if ranking.unknown:
        example = ", ".join(ranking.unknown[:3]) + (", ..." if len(ranking.unknown) > 3 else "")
        notes.append(
            f"{len(ranking.unknown)} are in no table of costs ({escape(example)}): nas-proxy zoo-trace makes one."
        )
    return notes


def write_ranking(path: Path, ranking: ZooRanking) -> Path:
    """All networks as CSV, fastest first."""
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(_COLUMNS)
    for network in ranking.networks:
        latencies = (f"{value:.6g}" for value in (network.latency_ms, network.low_ms, network.high_ms))
        top1 = "" if network.top1 is None else network.top1
        writer.writerow([network.name, network.arch, *latencies, network.measured, top1, network.on_front])
    return files.write_text(path, text.getvalue())
