"""A network as Edge TPUs run it: operators joined to units, and units to be cut into the stages of a pipeline."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from nas_proxy.graph import Node, TensorGraph, annotate
from nas_proxy.scheduling._problem import HOST, PipelineProblem, Tensor
from nas_proxy.scheduling.chip import EdgeTPUSpec, operator_times

__all__ = ["PRECISION", "Unit", "pipeline_problem", "units_of"]

PRECISION = "int8"


@dataclass(frozen=True)
class Unit:
    """Operators that run as one: an operator with what is fused into it."""

    nodes: tuple[Node, ...]
    time_ms: float
    parameter_bytes: int


def units_of(graph: TensorGraph, chip: EdgeTPUSpec) -> list[Unit]:
    """The network as the chip runs it; nodes that take no time join the one whose result they read.

    Raises:
        InputError: an operator without cost formula (see :func:`nas_proxy.graph.annotate`).
    """
    annotation = annotate(graph, PRECISION)
    members: list[list[int]] = []
    unit_of: dict[str, int] = {}
    times = operator_times(chip, annotation)
    for i, cost in enumerate(annotation.costs):
        before = {unit_of[name] for name in cost.node.reads if name in unit_of}
        joined = before.pop() if times[i] == 0 and len(before) == 1 else len(members)
        if joined == len(members):
            members.append([])
        members[joined].append(i)
        unit_of.update(dict.fromkeys(cost.node.makes, joined))
    return [
        Unit(
            nodes=tuple(graph.nodes[i] for i in group),
            time_ms=sum(times[i] for i in group),
            parameter_bytes=sum(annotation.costs[i].parameter_bytes for i in group),
        )
        for group in members
    ]


def pipeline_problem(graph: TensorGraph, chip: EdgeTPUSpec, stages: int) -> PipelineProblem:
    """The problem of running a network on a chain of ``stages`` such chips.

    Raises:
        InputError: an operator without cost formula, or a graph that cannot be cut.
    """
    units = units_of(graph, chip)
    unit_of = {name: i for i, unit in enumerate(units) for node in unit.nodes for name in node.makes}
    precise = annotate(graph, PRECISION).value_bytes
    readers: dict[str, set[int]] = {}
    for i, unit in enumerate(units):
        for name in {name for node in unit.nodes for name in node.reads}:
            if unit_of.get(name, HOST) != i and not graph.values[name].is_constant:
                readers.setdefault(name, set()).add(i)
    outputs = set(graph.outputs)
    tensors = [
        Tensor(unit_of.get(name, HOST), tuple(sorted(readers.get(name, ()))), precise(name), name in outputs)
        for name in (*graph.inputs, *unit_of)
        if name in readers or name in outputs
    ]
    return PipelineProblem(
        time_ms=np.array([unit.time_ms for unit in units]),
        parameter_bytes=np.array([unit.parameter_bytes for unit in units]),
        tensors=tuple(tensors),
        stages=stages,
        cache_bytes=chip.cache_bytes,
        stream_bytes_per_ms=chip.link_bytes_per_ms,
        link_bytes_per_ms=chip.link_bytes_per_ms,
        stage_ms=chip.invoke_ms,
        names=tuple(f"node {unit.nodes[0].name!r}" for unit in units),
    )
