"""Finalists, to be read by a person."""

from __future__ import annotations

from collections import defaultdict

from rich.box import SIMPLE_HEAD
from rich.console import Group
from rich.markup import escape
from rich.table import Table

from nas_proxy.finalists.table import Finalist, FinalistTable, Variant

__all__ = ["show"]

_CAPTION = {
    False: "saved against nothing optimised: latency, energy",
    True: "throughput against nothing optimised",
}


def show(table: FinalistTable) -> Group:
    """A table for each target, the fastest first: figures, what each optimisation saves, what bounds the time."""
    number = {arch: i for i, arch in enumerate(table.archs, start=1)}
    legend = "\n".join(f"{i}  {escape(arch)}" for arch, i in number.items())
    return Group(*(_target(target, table.of(target), number) for target in table.targets), legend)


def _target(target: str, finalists: tuple[Finalist, ...], number: dict[str, int]) -> Table:
    names = [variant.name for variant in finalists[0].variants[1:]]
    pipeline = any(finalist.throughput_per_s is not None for finalist in finalists)
    shown = Table(title=escape(target), box=SIMPLE_HEAD, caption=_CAPTION[pipeline])
    for heading in ("", "ms", "mJ", *(["per s"] if pipeline else []), "used", *names):
        shown.add_column(heading, justify="right")
    shown.add_column("bound by")
    for finalist in sorted(finalists, key=lambda f: f.latency_ms):
        before = finalist.variant("nothing")
        cells = [str(number[finalist.arch]), _number(finalist.latency_ms), _number(finalist.energy_mj)]
        cells += [_number(finalist.throughput_per_s)] if pipeline else []
        cells.append("" if finalist.utilization is None else f"{finalist.utilization:.0%}")
        shown.add_row(*cells, *(_gain(before, finalist.variant(name)) for name in names), _bounds(finalist))
    return shown


def _gain(before: Variant, after: Variant) -> str:
    if before.throughput_per_s is not None and after.throughput_per_s is not None:
        return f"{after.throughput_per_s / before.throughput_per_s - 1:+z.1%}"
    saved = [1 - after.latency_ms / before.latency_ms]
    if before.energy_mj and after.energy_mj is not None:
        saved.append(1 - after.energy_mj / before.energy_mj)
    return ", ".join(f"{share:z.1%}" for share in saved)


def _bounds(finalist: Finalist) -> str:
    """The two largest shares of the time, by what decides it."""
    shares: dict[str, float] = defaultdict(float)
    for layer in finalist.layers:
        shares[layer.bound] += layer.latency_ms
    total = sum(shares.values())
    largest = sorted(shares.items(), key=lambda item: -item[1])[:2]
    return ", ".join(f"{name} {ms / total:.0%}" for name, ms in largest)


def _number(value: float | None) -> str:
    return "" if value is None else f"{value:.4g}"
