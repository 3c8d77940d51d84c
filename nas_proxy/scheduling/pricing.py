"""What graphs cost on Edge TPUs, alone and in a pipeline, for rewriting."""

from __future__ import annotations

from nas_proxy import extensions
from nas_proxy.devices.costs import NodewiseCost, Priced, annotate_known, signature
from nas_proxy.graph import Node, TensorGraph
from nas_proxy.scheduling.chip import EdgeTPUSpec, operator_times
from nas_proxy.scheduling.units import PRECISION, pipeline_problem

__all__ = ["EdgeTPUCost", "PipelineCost"]


class EdgeTPUCost(NodewiseCost):
    """Milliseconds on one Edge TPU, with the streaming of parameters beyond its cache, of inputs and of outputs."""

    unit = "ms"  # pyright: ignore[reportAssignmentType]

    def __init__(self, name: str, chip: EdgeTPUSpec) -> None:
        self._name, self.chip = name, chip
        self._known: dict[tuple, tuple[float, int]] = {}

    @property
    def name(self) -> str:
        """The device's name."""
        return self._name

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
                time_ms = operator_times(self.chip, annotation)[index]
            else:
                chip = self.chip
                time_ms = (cost.input_bytes + cost.output_bytes) / 4 / (chip.vector_gb_s * 1e6) + chip.operator_us / 1e3
            self._known[key] = time_ms, cost.parameter_bytes
        return self._known[key]

    def _sum(self, graph: TensorGraph, by_node: dict[str, float]) -> Priced:
        parameters = sum(self._time_and_parameters(graph, node)[1] for node in graph.nodes)
        chip = self.chip
        moved = sum(graph.values[name].elements for name in (*graph.inputs, *graph.outputs) if name in graph.values)
        streamed = (max(0.0, parameters - chip.cache_bytes) + moved) / chip.link_bytes_per_ms
        return Priced(graph, sum(by_node.values()) + streamed + chip.invoke_ms, by_node)


class PipelineCost(EdgeTPUCost):
    """Milliseconds of the slowest stage of a pipeline of Edge TPUs.

    While searching, the network is cut where dynamic programming over its execution order cuts it.
    """

    def __init__(self, name: str, chip: EdgeTPUSpec, devices: int) -> None:
        super().__init__(name, chip)
        self.devices = devices

    def _sum(self, graph: TensorGraph, by_node: dict[str, float]) -> Priced:
        problem = pipeline_problem(graph, self.chip, self.devices)
        return Priced(graph, extensions.get("schedulers", "dp").schedule(problem).bottleneck_ms, by_node)
