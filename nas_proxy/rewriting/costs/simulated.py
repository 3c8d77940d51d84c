"""Costs on the simulated accelerators."""

from __future__ import annotations

from nas_proxy import extensions
from nas_proxy.graph import Node, TensorGraph
from nas_proxy.mapping.device import SpatialDevice
from nas_proxy.mapping.network import operators_of
from nas_proxy.rewriting.costs._base import NodewiseCost, Priced, annotate_known, signature
from nas_proxy.scheduling import PipelineProblem
from nas_proxy.scheduling.chip import operator_times
from nas_proxy.scheduling.device import PRECISION, EdgeTPUDevice

__all__ = ["EdgeTPUCost", "PipelineCost", "SpatialCost"]

_SEARCH_EVALUATIONS = 100  # of mappings, while a search asks for thousands of layers


class SpatialCost(NodewiseCost):
    """Milliseconds of each layer under a mapping found for it; other operators as the device takes them."""

    reach = 3  # an activation may be applied on the way out of the layer before the normalisation before it
    unit = "ms"  # pyright: ignore[reportAssignmentType]

    def __init__(self, device: SpatialDevice, evaluations: int = _SEARCH_EVALUATIONS) -> None:
        self._name = device.name
        self._device = device.replaced(evaluations=evaluations, objective="latency")
        self._known: dict[tuple, float] = {}

    @property
    def name(self) -> str:
        """The device's name."""
        return self._name

    @property
    def spent(self) -> int:
        """Evaluations of mappings so far."""
        return self._device.spent

    def node_cost(self, graph: TensorGraph, node: Node) -> float:
        """As :meth:`NodewiseCost.node_cost`: its layer mapped, or its words moved through DRAM."""
        annotation, cost = annotate_known(graph, node, "float32", around=3 if not _has_products(node) else 0)
        if len(annotation.costs) == 1 and not annotation.graph.nodes:
            return 0.0
        bits = self._device.accelerator.word_bits
        try:
            operator = next(o for o in operators_of(annotation.graph, bits) if o.name == node.name)
        except ValueError:  # an operator without a formula: its traffic
            moved = (cost.input_bytes + cost.output_bytes) * bits / 32 / 8
            return moved / (self._device.accelerator.levels.DRAM.read_words_per_cycle or 1.0) / self._clock
        key = (operator.layer, operator.read_words, operator.written_words)
        if key not in self._known:
            mapped = {operator.layer: self._device.mapping(operator.layer)} if operator.layer is not None else {}
            self._known[key] = self._device.run([operator], mapped).latency_ms
        return self._known[key]

    @property
    def _clock(self) -> float:
        return self._device.accelerator.clock_mhz * 1e3


def _has_products(node: Node) -> bool:
    return node.operator in ("Conv", "MatMul", "Gemm")


class EdgeTPUCost(NodewiseCost):
    """Milliseconds on one Edge TPU, with the streaming of parameters beyond its cache, of inputs and of outputs."""

    unit = "ms"  # pyright: ignore[reportAssignmentType]

    def __init__(self, device: EdgeTPUDevice) -> None:
        self.device = device
        self._known: dict[tuple, tuple[float, int]] = {}

    @property
    def name(self) -> str:
        """The device's name."""
        return self.device.name

    def node_cost(self, graph: TensorGraph, node: Node) -> float:
        """As :meth:`NodewiseCost.node_cost`: its time in ms on one device, parameters in the cache."""
        return self._time_and_parameters(graph, node)[0]

    def _time_and_parameters(self, graph: TensorGraph, node: Node) -> tuple[float, int]:
        around = tuple(
            (name in graph.outputs, len(graph.consumers.get(name, ())), name in graph.producers)
            for name in (*node.reads, *node.makes)
        )
        key = (signature(graph, node), around)
        if key not in self._known:
            annotation, cost = annotate_known(graph, node, PRECISION, around=1)
            if len(annotation.costs) == len(annotation.graph.nodes):
                index = next(i for i, c in enumerate(annotation.costs) if c is cost)
                time_ms = operator_times(self.device.chip, annotation)[index]
            else:
                chip = self.device.chip
                time_ms = (cost.input_bytes + cost.output_bytes) / 4 / (chip.vector_gb_s * 1e6) + chip.operator_us / 1e3
            self._known[key] = time_ms, cost.parameter_bytes
        return self._known[key]

    def _sum(self, graph: TensorGraph, by_node: dict[str, float]) -> Priced:
        parameters = sum(self._time_and_parameters(graph, node)[1] for node in graph.nodes)
        chip = self.device.chip
        moved = sum(graph.values[name].elements for name in (*graph.inputs, *graph.outputs) if name in graph.values)
        streamed = (max(0.0, parameters - chip.cache_bytes) + moved) / chip.link_bytes_per_ms
        return Priced(graph, sum(by_node.values()) + streamed + chip.invoke_ms, by_node)


class PipelineCost(EdgeTPUCost):
    """Milliseconds of the slowest stage of a pipeline of Edge TPUs.

    While searching, the network is cut where dynamic programming over its execution order cuts it.
    """

    def _sum(self, graph: TensorGraph, by_node: dict[str, float]) -> Priced:
        problem = PipelineProblem.from_graph(graph, self.device, self.device.devices)
        return Priced(graph, extensions.get("schedulers", "dp").schedule(problem).bottleneck_ms, by_node)
