"""A network on a target with nothing, each optimisation alone, and all of them: one function a kind of device."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from nas_proxy.devices._timing import MeasuredLatency
from nas_proxy.finalists.rewritten import Cheaper
from nas_proxy.finalists.table import LayerCost, PipelineStage, Variant
from nas_proxy.graph import TensorGraph, annotate
from nas_proxy.mapping.dataflows import default_mapping
from nas_proxy.mapping.device import SpatialDevice, SpatialResult
from nas_proxy.mapping.layer import Layer
from nas_proxy.mapping.problem import SearchResult
from nas_proxy.scheduling.chip import operator_times
from nas_proxy.scheduling.device import PRECISION, EdgeTPUDevice, PipelineResult

__all__ = ["Outcome", "on_edge_tpu", "on_host", "on_spatial"]


@dataclass(frozen=True)
class Outcome:
    """The best variant's figures and all variants; fields as those of :class:`~nas_proxy.finalists.Finalist`."""

    variants: tuple[Variant, ...]
    rewritten: bool
    layers: tuple[LayerCost, ...] = ()
    stages: tuple[PipelineStage, ...] = ()
    utilization: float | None = None
    interval_ms: tuple[float, float] | None = None


# -- spatial accelerators ----------------------------------------------------------------------------------------------


def on_spatial(device: SpatialDevice, graph: TensorGraph, cheaper: Cheaper | None) -> Outcome:
    """Layers as fixed dataflows (``nothing``) or as the device's mapper finds, of each the better for every layer."""
    graphs = {"nothing": graph} | ({"rewriting": cheaper.graph} if cheaper else {})
    results: dict[str, tuple[SpatialResult, TensorGraph]] = {}
    for name, network in graphs.items():
        operators = device.operators(network)
        fixed, searched = _mapped(device, [o.layer for o in operators if o.layer is not None])
        results[name] = device.run(operators, fixed), network
        results["mapping" if name == "nothing" else "rewriting and mapping"] = device.run(operators, searched), network
    best, network = min(results.values(), key=lambda pair: _objective(device, pair[0]))
    shown = [name for name in ("nothing", "rewriting", "mapping") if name in results]
    return Outcome(
        variants=(*(_variant(name, results[name][0]) for name in shown), _variant("all", best)),
        rewritten=network is not graph,
        layers=_spatial_layers(device, best, network),
        utilization=best.utilization,
    )


def _mapped(device: SpatialDevice, layers: Sequence[Layer]) -> tuple[dict[Layer, SearchResult], ...]:
    """Layers by fixed dataflows, and by the better of these and the search."""
    fixed = {layer: default_mapping(layer, device.accelerator, device.objective) for layer in dict.fromkeys(layers)}
    both = ((layer, device.mapping(layer)) for layer in fixed)
    return fixed, {layer: min(fixed[layer], found, key=lambda result: result.value) for layer, found in both}


def _objective(device: SpatialDevice, result: SpatialResult) -> float:
    energy_mj = result.energy_mj or 0.0
    by_name = {"latency": result.latency_ms, "energy": energy_mj, "edp": result.latency_ms * energy_mj}
    return by_name[device.objective]


def _spatial_layers(device: SpatialDevice, result: SpatialResult, graph: TensorGraph) -> tuple[LayerCost, ...]:
    operator = {node.name: node.operator for node in graph.nodes}
    clock_khz = device.accelerator.clock_mhz * 1e3
    return tuple(
        LayerCost(o.name, operator[o.name], o.cycles / clock_khz, o.energy_pj * 1e-9, o.bound, o.utilization)
        for o in result.operators
        if o.cycles
    )


def _variant(name: str, result: Any) -> Variant:
    return Variant(name, result.latency_ms, result.energy_mj, getattr(result, "throughput_per_s", None))


# -- Edge TPUs, alone and in a pipeline --------------------------------------------------------------------------------


def on_edge_tpu(device: EdgeTPUDevice, graph: TensorGraph, cheaper: Cheaper | None) -> Outcome:
    """Stages of equal parameters, the compiler's cut (``nothing``), or as the device's scheduler cuts.

    The best is the one of the highest throughput. A single device has no schedule.
    """
    schedulers = {"nothing": "compiler", "scheduling": device.scheduler} if device.devices > 1 else {"nothing": "dp"}
    results: dict[str, tuple[PipelineResult, TensorGraph]] = {}
    for name, scheduler in schedulers.items():
        cut = EdgeTPUDevice(device.name, device.chip, devices=device.devices, scheduler=scheduler)
        results[name] = cut.latency(graph), graph
        if cheaper:
            both = "rewriting" if name == "nothing" else "rewriting and scheduling"
            results[both] = cut.latency(cheaper.graph), cheaper.graph
    best, network = min(results.values(), key=lambda pair: (pair[0].bottleneck_ms, pair[0].latency_ms))
    shown = [name for name in ("nothing", "rewriting", "scheduling") if name in results]
    macs = annotate(network, PRECISION).macs
    return Outcome(
        variants=(*(_variant(name, results[name][0]) for name in shown), _variant("all", best)),
        rewritten=network is not graph,
        layers=_edge_tpu_layers(device, best, network),
        stages=tuple(PipelineStage(ms, nodes) for ms, nodes in zip(best.stage_ms, best.stage_nodes, strict=True)),
        utilization=macs / (device.chip.peak_macs_per_ms * best.bottleneck_ms * device.devices),
    )


def _edge_tpu_layers(device: EdgeTPUDevice, result: PipelineResult, graph: TensorGraph) -> tuple[LayerCost, ...]:
    """Operators stage by stage, then what the stage takes besides: parameters, transfers, the call itself."""
    chip, annotation = device.chip, annotate(graph, PRECISION)
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


# -- this machine ------------------------------------------------------------------------------------------------------


def on_host(
    result: MeasuredLatency,
    graph: TensorGraph | None,
    cheaper: Cheaper | None,
    price: Callable[[TensorGraph], Mapping[str, float]],
    seconds: float,
) -> Outcome:
    """``nothing`` is measured by the device's protocol; the rewritten graph against it in pairs, under ONNX Runtime.

    A rewritten graph is taken only where it is surely faster: where the interval of the ratio is above 1.

    Args:
        result: what the network itself takes.
        graph, cheaper: before and after rewriting; None where nothing is rewritten.
        price: milliseconds of each operator of a graph by itself.
        seconds: for the pairs.
    """
    variants, interval_ms = [Variant("nothing", result.latency_ms, None, None)], (result.low_ms, result.high_ms)
    layers: tuple[LayerCost, ...] = ()
    taken = False
    if graph is not None and cheaper is not None:
        ratio = 1.0
        if cheaper.substitutions:
            from nas_proxy.rewriting.paired_speedup import compare_latency

            pair = compare_latency(graph, cheaper.graph, seconds=seconds)
            ratio, taken = pair.ratio, pair.low > 1.0
            if taken:
                interval_ms = result.low_ms / pair.high, result.high_ms / pair.low
        variants.append(Variant("rewriting", result.latency_ms / ratio, None, None))
        network = cheaper.graph if taken else graph
        operator = {node.name: node.operator for node in network.nodes}
        layers = tuple(LayerCost(n, operator[n], ms, None, "measured", None) for n, ms in price(network).items() if ms)
    best = variants[-1] if taken else variants[0]
    return Outcome(
        variants=(*variants, Variant("all", best.latency_ms, None, None)),
        rewritten=taken,
        layers=layers,
        interval_ms=interval_ms,
    )
