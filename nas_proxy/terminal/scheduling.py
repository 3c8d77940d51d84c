"""A schedule, to be read by a person."""

from __future__ import annotations

import math
from dataclasses import replace
from pathlib import Path

from rich.box import SIMPLE_HEAD
from rich.console import Group
from rich.markup import escape
from rich.table import Table

from nas_proxy import extensions
from nas_proxy.graph import TensorGraph, annotate
from nas_proxy.scheduling.device import PipelineResult, pipeline_device
from nas_proxy.scheduling.units import PRECISION

__all__ = ["schedule_on"]

_BAR = 20


def schedule_on(graph: TensorGraph, device: str | Path, scheduler: str | None = None) -> Group:
    """A network cut into the stages of a pipeline of Edge TPUs: what each runs and how long, and what that gains.

    Args:
        graph: the network.
        device: a pipeline's name or YAML file.
        scheduler: instead of the one that the device's file names.

    Raises:
        InputError: the device is no pipeline, or the network cannot be scheduled (names the node).
        UnknownNameError: no such device or scheduler.
    """
    pipeline = pipeline_device(device, scheduler)
    result = pipeline.latency(graph)
    costs = {cost.node.name: cost for cost in annotate(graph, PRECISION).costs}
    title = f"{graph.name} on {pipeline.name}" + (f", by {result.scheduler}" if pipeline.devices > 1 else "")
    table = Table(title=escape(title), box=SIMPLE_HEAD)
    for heading in ("stage", "operators", "M MACs", "parameters MB", "ms", ""):
        table.add_column(heading, justify="left" if not heading else "right")
    for stage, (ms, names) in enumerate(zip(result.stage_ms, result.stage_nodes, strict=True), start=1):
        macs = sum(costs[name].macs for name in names) / 1e6
        megabytes = sum(costs[name].parameter_bytes for name in names) / 1e6
        bar = "█" * round(_BAR * ms / result.bottleneck_ms)
        table.add_row(str(stage), str(len(names)), f"{macs:,.1f}", f"{megabytes:.2f}", f"{ms:.2f}", bar)
    lines = [
        f"{result.throughput_per_s:,.0f} inputs a second; one input takes {result.latency_ms:.2f} ms "
        f"and {result.energy_mj:.2f} mJ"
    ]
    if pipeline.devices > 1:
        lines.append(f"slowest stage: {result.bottleneck_ms:.2f} ms, {_proven(result)}")
        problem = pipeline.problem(graph)
        compiler = extensions.get("schedulers", "compiler").schedule(problem).bottleneck_ms
        alone = extensions.get("schedulers", "dp").schedule(replace(problem, stages=1)).bottleneck_ms
        lines.append(
            f"throughput: {compiler / result.bottleneck_ms:.2f} x the compiler's (equal shares of parameters), "
            f"{alone / result.bottleneck_ms:.2f} x one device"
        )
    return Group(table, *lines)


def _proven(result: PipelineResult) -> str:
    """What the scheduler knows of how far its slowest stage is from the optimum."""
    if result.optimal:
        return "optimal"
    if not result.bound_ms:
        return f"{result.scheduler} proves no bound"
    percent = math.ceil(1e3 * (result.bottleneck_ms / result.bound_ms - 1)) / 10
    return f"{result.scheduler} gave up: at most {percent:.1f} % above the optimum (at least {result.bound_ms:.2f} ms)"
