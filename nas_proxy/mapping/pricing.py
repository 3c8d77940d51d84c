"""What graphs cost on a spatial accelerator, for rewriting."""

from __future__ import annotations

from typing import ClassVar

from nas_proxy.devices.costs import NodewiseCost, annotate_known
from nas_proxy.graph import Node, TensorGraph
from nas_proxy.mapping.network import operators_of
from nas_proxy.mapping.running import FoundMappings, run

__all__ = ["SpatialCost"]


class SpatialCost(NodewiseCost):
    """Milliseconds of each layer under a mapping found for it; other operators as the device takes them.

    Args:
        name: of the device.
        found: searches for mappings of the least latency, with few ``evaluations`` each.
    """

    reach = 3  # an activation may be applied on the way out of the layer before the normalisation before it
    unit = "ms"  # pyright: ignore[reportAssignmentType]
    evaluations: ClassVar[int] = 100  # of mappings, while a search asks for thousands of layers

    def __init__(self, name: str, found: FoundMappings) -> None:
        self._name, self._found = name, found
        self._known: dict[tuple, float] = {}

    @property
    def name(self) -> str:
        """The device's name."""
        return self._name

    @property
    def spent(self) -> int:
        """Evaluations of mappings so far."""
        return self._found.spent

    def node_cost(self, graph: TensorGraph, node: Node) -> float:
        """As :meth:`NodewiseCost.node_cost`: its layer mapped, or its words moved through DRAM."""
        annotation, cost = annotate_known(graph, node, "float32", around=3 if not _has_products(node) else 0)
        if len(annotation.costs) == 1 and not annotation.graph.nodes:
            return 0.0
        accelerator = self._found.accelerator
        try:
            operator = next(o for o in operators_of(annotation.graph, accelerator.word_bits) if o.name == node.name)
        except ValueError:  # an operator without a formula: its traffic
            moved = (cost.input_bytes + cost.output_bytes) * accelerator.word_bits / 32 / 8
            return moved / (accelerator.levels.DRAM.read_words_per_cycle or 1.0) / (accelerator.clock_mhz * 1e3)
        key = (operator.layer, operator.read_words, operator.written_words)
        if key not in self._known:
            mapped = self._found.of([operator.layer] if operator.layer is not None else [])
            self._known[key] = run(accelerator, [operator], mapped).latency_ms
        return self._known[key]


def _has_products(node: Node) -> bool:
    return node.operator in ("Conv", "MatMul", "Gemm")
