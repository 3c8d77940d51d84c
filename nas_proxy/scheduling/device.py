"""The simulated Edge TPU as a device, alone and as a pipeline of several."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol, runtime_checkable

from pydantic import Field

from nas_proxy import extensions
from nas_proxy.devices import Device, LayerCost, Outcome, PipelineStage, Variant, get_device
from nas_proxy.devices.results import LatencyResult
from nas_proxy.errors import InputError
from nas_proxy.graph import TensorGraph, annotate
from nas_proxy.scheduling._problem import PipelineProblem
from nas_proxy.scheduling.chip import EdgeTPUSpec, operator_times
from nas_proxy.scheduling.pricing import EdgeTPUCost, PipelineCost
from nas_proxy.scheduling.units import PRECISION, Unit, pipeline_problem, units_of
from nas_proxy.schema import Spec, parse

__all__ = ["EdgeTPUDevice", "PipelineResult", "Schedules", "pipeline_device"]

_log = logging.getLogger(__name__)


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
    simulated = True
    options = ("scheduler",)

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

    def configured(self, **options: Any) -> EdgeTPUDevice:
        """As :meth:`Device.configured`: the same chips under another scheduler."""
        changed = super().configured(**options)
        extensions.get("schedulers", changed.scheduler)  # says which there are
        return changed

    def describe(self) -> dict[str, Any]:
        """As :meth:`Device.describe`: the chip, how many there are, and the scheduler."""
        return {
            "name": self.name,
            "devices": self.devices,
            "scheduler": self.scheduler if self.devices > 1 else None,
            **self.chip.model_dump(),
        }

    def modules(self) -> tuple[str, ...]:
        """As :meth:`Device.modules`: this package, and the scheduler's modules."""
        return "nas_proxy.scheduling", *extensions.modules("schedulers", self.scheduler)

    def latency(self, network: TensorGraph) -> PipelineResult:
        """Schedules the network on the device's pipeline and says what that takes.

        Raises:
            InputError: not a ``TensorGraph``, an operator without cost formula, or a graph that cannot be scheduled.
        """
        if not isinstance(network, TensorGraph):
            raise InputError(
                f"{self.name} runs a TensorGraph, found {type(network).__name__}: give it "
                "nas_proxy.graph.from_torch(module, shapes) or from_onnx(path)."
            )
        scheduler = extensions.get("schedulers", self.scheduler if self.devices > 1 else "dp")
        schedule = scheduler.schedule(self.problem(network))
        said = "%s scheduled on %s by %s: %d units, %d stages"
        _log.info(said, network.name, self.name, schedule.scheduler, len(schedule.stage_of), self.devices)
        stages: list[list[str]] = [[] for _ in range(self.devices)]
        for unit, stage in zip(self.units(network), schedule.stage_of, strict=True):
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
        """The network as the device runs it, see :func:`nas_proxy.scheduling.units.units_of`."""
        return units_of(graph, self.chip)

    def problem(self, graph: TensorGraph, stages: int | None = None) -> PipelineProblem:
        """The problem of running a network on ``stages`` of the devices, by default on all.

        Raises:
            InputError: more stages than devices, an operator without cost formula, or a graph that cannot be cut.
        """
        stages = self.devices if stages is None else stages
        if stages > self.devices:
            raise InputError(f"{stages} stages on {self.name}, which has {self.devices} device(s): at most one each.")
        return pipeline_problem(graph, self.chip, stages)

    def cost(self) -> EdgeTPUCost:
        """The time on one device, or of the slowest stage of several."""
        if self.devices == 1:
            return EdgeTPUCost(self.name, self.chip)
        return PipelineCost(self.name, self.chip, self.devices)

    def optimise(self, graph: TensorGraph, measured: LatencyResult | None = None) -> Outcome:
        """Stages of equal parameters, the compiler's cut (``nothing``), or as the scheduler cuts (``scheduling``).

        The best is the one of the highest throughput. A single device has no schedule.
        """
        schedulers = {"nothing": "compiler", "scheduling": self.scheduler} if self.devices > 1 else {"nothing": "dp"}
        results = {name: self.configured(scheduler=how).latency(graph) for name, how in schedulers.items()}
        best = min(results.values(), key=_value)
        return Outcome(
            variants=(*(Variant.of(name, result) for name, result in results.items()), Variant.of("all", best)),
            value=_value(best),
            layers=self._layer_costs(best, graph),
            stages=tuple(PipelineStage(ms, nodes) for ms, nodes in zip(best.stage_ms, best.stage_nodes, strict=True)),
            utilization=annotate(graph, PRECISION).macs
            / (self.chip.peak_macs_per_ms * best.bottleneck_ms * self.devices),
        )

    def _layer_costs(self, result: PipelineResult, graph: TensorGraph) -> tuple[LayerCost, ...]:
        """Operators stage by stage, then what the stage takes besides: parameters, transfers, the call itself."""
        chip, annotation = self.chip, annotate(graph, PRECISION)
        costs = {cost.node.name: cost for cost in annotation.costs}
        times = dict(zip(costs, operator_times(chip, annotation), strict=True))
        layers = []
        for number, (stage_ms, nodes) in enumerate(zip(result.stage_ms, result.stage_nodes, strict=True), start=1):
            for name in nodes:
                if not times[name]:
                    continue
                overhead = chip.operator_us / 1e3 > times[name] / 2
                bound = "overhead" if overhead else "compute" if costs[name].macs else "activations"
                share = costs[name].macs / (chip.peak_macs_per_ms * times[name])
                operator = costs[name].node.operator
                layers.append(LayerCost(name, operator, times[name], chip.active_w * times[name], bound, share))
            excess = max(0.0, sum(costs[name].parameter_bytes for name in nodes) - chip.cache_bytes)
            streaming = excess / chip.link_bytes_per_ms
            moving = stage_ms - sum(times[name] for name in nodes) - streaming - chip.invoke_ms
            rest = (("parameters", streaming, "parameters"), ("transfers", moving, "link"))
            for operator, ms, bound in (*rest, ("call", chip.invoke_ms, "overhead")):
                if ms > 1e-9:
                    layers.append(LayerCost(f"stage {number}", operator, ms, chip.active_w * ms, bound, None))
        return tuple(layers)


def _value(result: PipelineResult) -> tuple[float, float]:
    return result.bottleneck_ms, result.latency_ms


@runtime_checkable
class Schedules(Protocol):
    """A device that cuts networks into stages: what ``nas-proxy schedule`` asks of it."""

    @property
    def name(self) -> str:
        """For messages."""
        ...

    @property
    def devices(self) -> int:
        """How many stages there can be."""
        ...

    def latency(self, network: Any) -> PipelineResult:
        """As :meth:`EdgeTPUDevice.latency`."""
        ...

    def problem(self, graph: TensorGraph, stages: int | None = None) -> PipelineProblem:
        """As :meth:`EdgeTPUDevice.problem`."""
        ...


def pipeline_device(device: str | Path, scheduler: str | None = None) -> Schedules:
    """A pipeline by name or path, with another scheduler where one is given.

    Raises:
        InputError: the device cuts no networks into stages.
        UnknownNameError: no such device or scheduler.
    """
    found = get_device(device)
    if not isinstance(found, Schedules):
        raise InputError(
            f"{found.name} is no pipeline: networks are cut into stages for devices that have the methods of "
            "nas_proxy.scheduling.device.Schedules, such as edge-tpu-x4."
        )
    return found if scheduler is None else found.configured(scheduler=scheduler)
