"""A zoo's ranking, to be read by a person."""

from __future__ import annotations

from rich import box
from rich.console import Group
from rich.markup import escape
from rich.table import Table

from nas_proxy.ranking.zoo import ZooRanking
from nas_proxy.spaces.timm_zoo import split

__all__ = ["zoo_table"]


def zoo_table(ranking: ZooRanking, rows: int) -> Group:
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
