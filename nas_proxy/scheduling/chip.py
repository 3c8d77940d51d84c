"""The physical parameters of an Edge TPU, and the time it takes for each operator of a network."""

from __future__ import annotations

import math

from pydantic import Field

from nas_proxy.graph import Annotation, NodeCost, TensorGraph
from nas_proxy.schema import Spec

__all__ = ["EdgeTPUSpec", "operator_times"]

#: Functions of one tensor that the compiler fuses into the operator before them.
_ACTIVATIONS = {"Clip", "HardSigmoid", "HardSwish", "LeakyRelu", "PRelu", "Relu", "Sigmoid", "Tanh"}


class EdgeTPUSpec(Spec):
    """One device. ``array_efficiency`` to ``stream_mb_s`` and ``invoke_ms`` are fitted to published latencies."""

    clock_mhz: float = Field(gt=0, description="of the array")
    array_rows: int = Field(gt=0, description="lanes over which products are summed")
    array_columns: int = Field(gt=0, description="output channels at a time")
    cache_mb: float = Field(gt=0, description="parameters kept on chip, 10^6 bytes")
    array_efficiency: float = Field(gt=0, le=1, description="share of the peak rate on a layer that fills the array")
    depthwise_efficiency: float = Field(gt=0, le=1, description="share of the peak rate on depthwise layers")
    vector_gb_s: float = Field(gt=0, description="activation traffic of operators without products")
    operator_us: float = Field(ge=0, description="overhead of each operator")
    stream_mb_s: float = Field(gt=0, description="host link: parameters beyond the cache, and activations")
    invoke_ms: float = Field(ge=0, description="overhead of one call of the device")
    active_w: float = Field(gt=0, description="power while busy")

    @property
    def peak_macs_per_ms(self) -> float:
        """Multiply-accumulates a millisecond with the whole array at work."""
        return self.clock_mhz * 1e3 * self.array_rows * self.array_columns

    @property
    def cache_bytes(self) -> float:
        """Size of the parameter cache."""
        return self.cache_mb * 1e6

    @property
    def link_bytes_per_ms(self) -> float:
        """What the link to the host moves in a millisecond."""
        return self.stream_mb_s * 1e3


def operator_times(spec: EdgeTPUSpec, annotation: Annotation) -> list[float]:
    """Milliseconds of every node, its parameters and activations on chip, in the graph's order.

    - Products: MACs at the peak rate times the efficiency and the share of the array that the layer's shape fills.
    - Others: their activation traffic. A concatenation costs only the inputs that others read too; the rest is written
      in place. A batch normalisation that no convolution absorbed runs as a multiplication and an addition.
    - Each operator has an overhead; reshapes and fused activation functions take no time.
    """
    return [_milliseconds(spec, cost, annotation) for cost in annotation.costs]


def _milliseconds(spec: EdgeTPUSpec, cost: NodeCost, annotation: Annotation) -> float:
    graph, operator = annotation.graph, cost.node.operator
    overhead = spec.operator_us / 1e3
    if cost.kind == "view" or (operator in _ACTIVATIONS and _follows_an_operator(cost, graph)):
        return 0.0
    if cost.kind == "depthwise":
        return cost.macs / (spec.peak_macs_per_ms * spec.depthwise_efficiency) + overhead
    if cost.macs:
        return cost.macs / (spec.peak_macs_per_ms * spec.array_efficiency * _filled(spec, cost, graph)) + overhead
    traffic, passes = cost.input_bytes + cost.output_bytes, 1
    if operator == "Concat":
        traffic = 2 * sum(annotation.value_bytes(name) for name in cost.node.reads if len(graph.consumers[name]) > 1)
        passes = 1 if traffic else 0
    elif operator == "BatchNormalization":
        passes = 2
    return passes * (traffic / (spec.vector_gb_s * 1e6) + overhead)


def _follows_an_operator(cost: NodeCost, graph: TensorGraph) -> bool:
    producers = [graph.producers.get(name) for name in cost.node.reads if not graph.values[name].is_constant]
    return len(producers) == 1 and producers[0] is not None


def _filled(spec: EdgeTPUSpec, cost: NodeCost, graph: TensorGraph) -> float:
    """Share of the array's lanes and columns in use: sums and output channels come in whole tiles."""
    output = graph.values[cost.node.makes[0]]
    columns = output.shape[-1] if output.shape else 1
    if cost.kind == "convolution":
        columns = output.shape[1] // cost.node.attribute("group", 1)
    sums = max(1, round(cost.macs / max(output.elements, 1)))
    return _share(sums, spec.array_rows) * _share(columns, spec.array_columns)


def _share(size: int, tile: int) -> float:
    return size / (tile * math.ceil(size / tile))
