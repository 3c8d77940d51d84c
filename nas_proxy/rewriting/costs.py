"""What rewriting makes less of: the cost of a device, or multiply-accumulates and bytes, which any device must do."""

from __future__ import annotations

from pathlib import Path

from nas_proxy import extensions
from nas_proxy.devices import Device, get_device
from nas_proxy.devices.costs import GraphCost, NodewiseCost, annotate_known, signature
from nas_proxy.errors import InputError
from nas_proxy.graph import Node, TensorGraph

__all__ = ["PlainCost", "cost_for", "is_cost"]


def is_cost(target: str) -> bool:
    """Whether a text names a cost by itself, of no device."""
    name = target.partition("(")[0].strip()
    if ":" not in name or Path(target).exists():
        return name in extensions.names("costs")
    entry = extensions.lookup("costs", name)
    made_by = getattr(entry, "__self__", entry)  # the class, where the entry is a method of one
    return not (isinstance(made_by, type) and issubclass(made_by, Device))


def cost_for(target: str | Path | Device) -> GraphCost:
    """What graphs cost on a device, itself or its name or YAML file; or a cost of no device, such as ``macs+bytes``.

    Raises:
        UnknownNameError: no such device; the message names the closest.
        InputError: the device has no cost, see :meth:`nas_proxy.devices.Device.cost`.
    """
    if isinstance(target, str) and is_cost(target):
        return extensions.get("costs", target)
    device = target if isinstance(target, Device) else get_device(target)
    if (cost := device.cost()) is None:
        raise InputError(
            f"a graph cannot be priced on {device.name}: expected host-onnxruntime, a simulated accelerator (eyeriss, "
            "edge-tpu-x4, ...) or macs+bytes."
        )
    return cost


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
