"""The physical parameters of an Edge TPU, and the time its array takes for each operator."""

from __future__ import annotations

import math

from pydantic import Field

from nas_proxy.graph import NodeCost, TensorGraph
from nas_proxy.schema import Spec

__all__ = ["EdgeTPUSpec", "operator_ms"]


class EdgeTPUSpec(Spec):
    """One device. Published figures stay fixed; ``FITTED`` ones come from ``nas_proxy.devices.fit_edge_tpu``.

    An operator takes the longer of its arithmetic and its activation traffic, plus an overhead; activation functions
    that follow another operator are fused into it; reshapes cost nothing.
    """

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
    active_w: float = Field(gt=0, description="power while computing")
    idle_w: float = Field(ge=0, description="power while waiting for others in a pipeline")

    @property
    def peak_macs_per_ms(self) -> float:
        return self.clock_mhz * 1e3 * self.array_rows * self.array_columns

    @property
    def cache_bytes(self) -> float:
        return self.cache_mb * 1e6

    @property
    def link_bytes_per_ms(self) -> float:
        return self.stream_mb_s * 1e3


def operator_ms(spec: EdgeTPUSpec, cost: NodeCost, graph: TensorGraph, *, fused: bool) -> float:
    """Time of one operator whose parameters are on chip, its input and output in on-chip memory."""
    if cost.kind == "view" or fused:
        return 0.0
    overhead = spec.operator_us / 1e3
    traffic = (cost.input_bytes + cost.output_bytes) / (spec.vector_gb_s * 1e6)
    if cost.kind == "depthwise":
        return cost.macs / (spec.peak_macs_per_ms * spec.depthwise_efficiency) + overhead
    if cost.macs:
        filled = spec.array_efficiency * _filled(spec, cost, graph)
        return cost.macs / (spec.peak_macs_per_ms * filled) + overhead
    return traffic + overhead


def _filled(spec: EdgeTPUSpec, cost: NodeCost, graph: TensorGraph) -> float:
    """Share of the array's lanes and columns in use: sums and output channels come in whole tiles."""
    output = graph.values[cost.node.makes[0]]
    if cost.kind == "convolution" and cost.node.operator != "ConvTranspose":
        columns = output.shape[1] // cost.node.attribute("group", 1)
    else:
        columns = output.shape[-1] if output.shape else 1
    sums = max(1, round(cost.macs / max(output.elements, 1)))
    return _share(sums, spec.array_rows) * _share(columns, spec.array_columns)


def _share(size: int, tile: int) -> float:
    return size / (tile * math.ceil(size / tile))
