"""A network cut into the stages of a pipeline."""

from __future__ import annotations

import math

from nas_proxy.scheduling.device import PipelineResult
from nas_proxy.scheduling.scheduled import Scheduled
from nas_proxy.terminal.tables import Column, Page, Table

__all__ = ["scheduled_page"]

_BAR = 20


def scheduled_page(scheduled: Scheduled) -> Page:
    """What each stage runs and how long it takes, and what that gains over the compiler and over one device."""
    result, several = scheduled.result, len(scheduled.result.stage_ms) > 1
    columns = [
        Column("stage", "stage"),
        Column("operators", "operators"),
        Column("macs", "M MACs", lambda macs: f"{macs / 1e6:,.1f}"),
        Column("parameter_bytes", "parameters MB", lambda size: f"{size / 1e6:.2f}"),
        Column("ms", "ms", ".2f"),
        Column("share_of_slowest", "", lambda share: "█" * round(_BAR * share), right=False),
        Column("nodes", None),
    ]
    stages = zip(
        result.stage_nodes, scheduled.stage_macs, scheduled.stage_parameter_bytes, result.stage_ms, strict=True
    )
    rows = [
        [number, len(nodes), macs, size, ms, ms / result.bottleneck_ms, list(nodes)]
        for number, (nodes, macs, size, ms) in enumerate(stages, start=1)
    ]
    title = f"{scheduled.network} on {scheduled.device}" + (f", by {result.scheduler}" if several else "")
    notes = [
        f"{result.throughput_per_s:,.0f} inputs a second; one input takes {result.latency_ms:.2f} ms "
        f"and {result.energy_mj:.2f} mJ"
    ]
    facts = {"throughput_per_s": result.throughput_per_s, "latency_ms": result.latency_ms}
    facts |= {"energy_mj": result.energy_mj, "scheduler": result.scheduler}
    if several:
        compiler, alone = scheduled.compiler_ms / result.bottleneck_ms, scheduled.alone_ms / result.bottleneck_ms
        notes += [
            f"slowest stage: {result.bottleneck_ms:.2f} ms, {_proven(result)}",
            f"throughput: {compiler:.2f} x the compiler's (equal shares of parameters), {alone:.2f} x one device",
        ]
        facts |= {"optimal": result.optimal, "bound_ms": result.bound_ms}
        facts |= {"throughput_over_compiler": compiler, "throughput_over_one_device": alone}
    return Page([Table("stages", columns, rows, title), *notes], facts)


def _proven(result: PipelineResult) -> str:
    """What the scheduler knows of how far its slowest stage is from the optimum."""
    if result.optimal:
        return "optimal"
    if not result.bound_ms:
        return f"{result.scheduler} proves no bound"
    percent = math.ceil(1e3 * (result.bottleneck_ms / result.bound_ms - 1)) / 10
    return f"{result.scheduler} gave up: at most {percent:.1f} % above the optimum (at least {result.bound_ms:.2f} ms)"
