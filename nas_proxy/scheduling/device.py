"""The simulated Edge TPU, alone and as a pipeline of several."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from pydantic import Field

from nas_proxy import extensions
from nas_proxy.devices._base import Device, LatencyResult
from nas_proxy.errors import InputError
from nas_proxy.graph import Node, TensorGraph, annotate
from nas_proxy.scheduling.chip import EdgeTPUSpec, operator_times
from nas_proxy.schema import Spec, parse

__all__ = ["EdgeTPUDevice", "PipelineResult", "Unit"]

PRECISION = "int8"


@dataclass(frozen=True)
class PipelineResult(LatencyResult):
    """``latency_ms`` is that of one input through all stages; the slowest stage decides the throughput.

    ``stage_nodes`` is the schedule: the names of the graph's nodes that each stage runs, in order.
    ``bound_ms`` is a proven lower bound of the slowest stage's time, where the scheduler has one; ``optimal`` says that
    it is met.
    """

    throughput_per_s: float = 0.0
    stage_ms: tuple[float, ...] = ()
    stage_nodes: tuple[tuple[str, ...], ...] = ()
    scheduler: str = ""
    bound_ms: float | None = None
    optimal: bool = False

    @property
    def bottleneck_ms(self) -> float:
        """The time of the slowest stage."""
        return max(self.stage_ms)


@dataclass(frozen=True)
class Unit:
    """Operators that run as one: an operator with what is fused into it."""

    nodes: tuple[Node, ...]
    time_ms: float
    parameter_bytes: int


class _EdgeTPUDescription(Spec):
    """``devices/edge-tpu*.yaml``."""

    kind: str
    description: str = ""
    devices: int = Field(default=1, ge=1, description="Edge TPUs in the pipeline")
    scheduler: str = Field(default="respect", description="how a network is cut into stages")
    chip: EdgeTPUSpec
    sources: Mapping[str, str] = Field(default_factory=dict, description="where each number comes from")


class EdgeTPUDevice(Device):
    """``devices`` Edge TPUs in a chain, one image at a time, int8. See :class:`EdgeTPUSpec` for the model of time.

    Energy is active power times busy time: the array's, the stream's and the link's. Devices that wait for others are
    charged nothing.
    """

    Spec = _EdgeTPUDescription

    def __init__(self, name: str, chip: EdgeTPUSpec, *, devices: int = 1, scheduler: str = "respect") -> None:
        super().__init__(name)
        self.chip, self.devices, self.scheduler = chip, devices, scheduler

    @classmethod
    def from_description(cls, name: str, description: Mapping[str, Any]) -> EdgeTPUDevice:
        """From the fields of its YAML file.

        Raises:
            InputError: a field is missing, unknown or out of range; names it.
        """
        parsed = parse(_EdgeTPUDescription, description, f"device {name}")
        extensions.stated("schedulers", parsed.scheduler)
        return cls(name, parsed.chip, devices=parsed.devices, scheduler=parsed.scheduler)

    def describe(self) -> dict[str, Any]:
        """As :meth:`Device.describe`: the chip, how many there are, and the scheduler."""
        return {
            "name": self.name,
            "devices": self.devices,
            "scheduler": self.scheduler if self.devices > 1 else None,
            **self.chip.model_dump(),
        }

    def modules(self) -> tuple[str, ...]:
        """As :meth:`Device.modules`: this package, and the scheduler's module."""
        return "nas_proxy.scheduling", type(extensions.get("schedulers", self.scheduler)).__module__

    def latency(self, network: TensorGraph) -> PipelineResult:
        """Schedules the network on the device's pipeline and says what that takes.

        Raises:
            InputError: not a ``TensorGraph``, an operator without cost formula, or a graph that cannot be scheduled.
        """
        from nas_proxy.scheduling import PipelineProblem

        if not isinstance(network, TensorGraph):
            raise InputError(
                f"{self.name} runs a TensorGraph, found {type(network).__name__}: give it "
                "nas_proxy.graph.from_torch(module, shapes) or from_onnx(path)."
            )
        units = self.units(network)
        problem = PipelineProblem.from_graph(network, self, self.devices)
        schedule = extensions.get("schedulers", self.scheduler if self.devices > 1 else "dp").schedule(problem)
        stages: list[list[str]] = [[] for _ in range(self.devices)]
        for unit, stage in zip(units, schedule.stage_of, strict=True):
            stages[stage] += [node.name for node in unit.nodes]
        return PipelineResult(
            latency_ms=schedule.latency_ms,
            energy_mj=self.chip.active_w * schedule.latency_ms,  # every millisecond of a stage keeps one device busy
            throughput_per_s=schedule.throughput_per_s,
            stage_ms=schedule.stage_ms,
            stage_nodes=tuple(map(tuple, stages)),
            scheduler=schedule.scheduler,
            bound_ms=schedule.bound_ms,
            optimal=schedule.optimal,
        )

    def units(self, graph: TensorGraph) -> list[Unit]:
        """The network as the device runs it; nodes that take no time join the one whose result they read.

        Raises:
            InputError: an operator without cost formula (see :func:`nas_proxy.graph.annotate`).
        """
        annotation = annotate(graph, PRECISION)
        members: list[list[int]] = []
        unit_of: dict[str, int] = {}
        times = operator_times(self.chip, annotation)
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
