"""A network cut into the stages of a pipeline, beside what the compiler's cuts and one device alone would give."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path

from nas_proxy import extensions
from nas_proxy.graph import TensorGraph, annotate
from nas_proxy.scheduling.device import PipelineResult, pipeline_device
from nas_proxy.scheduling.units import PRECISION

__all__ = ["Scheduled", "schedule_on"]


@dataclass(frozen=True)
class Scheduled:
    """A network on a pipeline.

    Attributes:
        stage_macs, stage_parameter_bytes: of each stage, as the device stores them.
        compiler_ms: the slowest stage's time when every stage has an equal share of the parameters.
        alone_ms: what the network takes on one device of the pipeline.
    """

    network: str
    device: str
    result: PipelineResult
    stage_macs: tuple[int, ...]
    stage_parameter_bytes: tuple[int, ...]
    compiler_ms: float
    alone_ms: float


def schedule_on(graph: TensorGraph, device: str | Path, scheduler: str | None = None) -> Scheduled:
    """Cut a network into the stages of a pipeline of Edge TPUs.

    Args:
        graph: the network.
        device: a pipeline's name or YAML file.
        scheduler: instead of the one that the device's file names.

    Raises:
        InputError: the device is no pipeline of Edge TPUs, or the network cannot be scheduled (names the node).
        UnknownNameError: no such device or scheduler.
    """
    pipeline = pipeline_device(device, scheduler)
    result = pipeline.latency(graph)
    costs = {cost.node.name: cost for cost in annotate(graph, PRECISION).costs}
    problem = pipeline.problem(graph)
    return Scheduled(
        network=graph.name,
        device=pipeline.name,
        result=result,
        stage_macs=tuple(sum(costs[name].macs for name in names) for names in result.stage_nodes),
        stage_parameter_bytes=tuple(sum(costs[name].parameter_bytes for name in names) for names in result.stage_nodes),
        compiler_ms=extensions.get("schedulers", "compiler").schedule(problem).bottleneck_ms,
        alone_ms=extensions.get("schedulers", "dp").schedule(replace(problem, stages=1)).bottleneck_ms,
    )
