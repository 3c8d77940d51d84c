"""Finalists on their targets: figures, what each optimisation gains, what bounds the time."""

from __future__ import annotations

from collections import defaultdict
from typing import Any

from nas_proxy.finalists.table import Finalist, FinalistTable, Variant
from nas_proxy.terminal.tables import Column, Page, Table

__all__ = ["finalists_page"]

_CAPTION = {
    False: "percentages: latency, and energy where it is known, saved against the network with nothing optimised",
    True: "percentages: throughput gained over the network with nothing optimised",
}


def finalists_page(table: FinalistTable) -> Page:
    """A table for each target, the fastest first, and the architectures behind the numbers in it."""
    number = {arch: i for i, arch in enumerate(table.archs, start=1)}
    legend = "\n".join(f"{i}  {arch}" for arch, i in number.items())
    return Page([*(_target(target, table.of(target), number) for target in table.targets), legend])


def _target(target: str, finalists: tuple[Finalist, ...], number: dict[str, int]) -> Table:
    names = [variant.name for variant in finalists[0].variants[1:]]
    pipeline = any(finalist.throughput_per_s is not None for finalist in finalists)

    def known(name: str, heading: str) -> str | None:  # a column without figures is not shown
        return heading if any(getattr(finalist, name) for finalist in finalists) else None

    columns = [
        Column("target", None),
        Column("arch", None),
        Column("number", ""),
        Column("latency_ms", "ms", ".4g"),
        Column("energy_mj", known("energy_mj", "mJ"), ".4g"),
        Column("throughput_per_s", known("throughput_per_s", "per s"), ".4g"),
        Column("utilization", known("utilization", "used"), ".0%"),
        *(Column(name, name, _gains) for name in names),
        Column(
            "bounds",
            known("layers", "bound by"),
            lambda shares: ", ".join(f"{name} {share:.0%}" for name, share in shares.items()),
        ),
    ]
    rows = []
    for finalist in sorted(finalists, key=lambda f: f.latency_ms):
        before, arch = finalist.variant("nothing"), finalist.arch
        figures = [finalist.latency_ms, finalist.energy_mj, finalist.throughput_per_s, finalist.utilization]
        gains = (_gain(before, finalist.variant(name)) for name in names)
        rows.append([target, arch, number[arch], *figures, *gains, _bounds(finalist)])
    return Table("finalists", columns, rows, target, _CAPTION[pipeline])


def _gain(before: Variant, after: Variant) -> dict[str, float]:
    if before.throughput_per_s is not None and after.throughput_per_s is not None:
        return {"throughput_gained": after.throughput_per_s / before.throughput_per_s - 1}
    saved = {"latency_saved": 1 - after.latency_ms / before.latency_ms}
    if before.energy_mj and after.energy_mj is not None:
        saved["energy_saved"] = 1 - after.energy_mj / before.energy_mj
    return saved


def _gains(gain: dict[str, float]) -> str:
    return ", ".join(f"{share:{'+' if 'throughput' in what else ''}z.1%}" for what, share in gain.items())


def _shares(shares: dict[str, float]) -> str:
    return ", ".join(f"{name} {share:.0%}" for name, share in shares.items())


def _bounds(finalist: Finalist) -> dict[str, Any]:
    """The two largest shares of the time, by what decides it."""
    shares: dict[str, float] = defaultdict(float)
    for layer in finalist.layers:
        shares[layer.bound] += layer.latency_ms
    total = sum(shares.values())
    largest = sorted(shares.items(), key=lambda item: -item[1])[:2]
    return {name: ms / total for name, ms in largest}
