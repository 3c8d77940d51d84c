"""Multiply-accumulates and bytes: what any device must do, whatever it is good at."""

from __future__ import annotations

from nas_proxy.graph import Node, TensorGraph
from nas_proxy.rewriting.costs._base import NodewiseCost, annotate_known, signature

__all__ = ["PlainCost"]


class PlainCost(NodewiseCost):
    """Operations of a device that moves a byte in the time of ``macs_per_byte`` multiply-accumulates.

    Each operator costs ``macs_per_operator`` more; views cost nothing.
    """

    name, unit = "macs+bytes", "MACs"  # pyright: ignore[reportAssignmentType]

    def __init__(self, macs_per_byte: float = 4.0, macs_per_operator: float = 2000.0) -> None:
        self.macs_per_byte, self.macs_per_operator = macs_per_byte, macs_per_operator
        self._known: dict[tuple, float] = {}

    def node_cost(self, graph: TensorGraph, node: Node) -> float:
        """As :meth:`NodewiseCost.node_cost`."""
        key = signature(graph, node)
        if key not in self._known:
            self._known[key] = self._compute(graph, node)
        return self._known[key]

    def _compute(self, graph: TensorGraph, node: Node) -> float:
        _, cost = annotate_known(graph, node, "float32")
        if cost.kind == "view":
            return 0.0
        moved = cost.input_bytes + cost.output_bytes + cost.parameter_bytes
        if node.operator in ("Slice", "Gather", "Split"):
            moved = 2 * cost.output_bytes  # what is not picked is not read
        return cost.macs + self.macs_per_byte * moved + self.macs_per_operator
