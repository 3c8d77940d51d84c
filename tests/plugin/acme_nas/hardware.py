"""A device kind, a runtime and a cost."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import torch
from pydantic import Field

from nas_proxy.devices import Device, LatencyResult, Runtime
from nas_proxy.devices.costs import NodewiseCost
from nas_proxy.errors import InputError
from nas_proxy.graph import TensorGraph, annotate
from nas_proxy.schema import Spec


class ChipSpec(Spec):
    """A YAML file with ``kind: acme-chip``."""

    kind: Literal["acme-chip"]
    macs_per_ms: float = Field(1e6, gt=0, description="multiply-accumulates in a millisecond")
    overhead_ms: float = Field(0.1, ge=0, description="what any network takes")


class AcmeChip(Device):
    """A chip that takes a time for each multiply-accumulate, and an overhead."""

    Spec = ChipSpec

    def latency(self, network):
        if not isinstance(network, TensorGraph):
            raise InputError(f"{self.name} runs a TensorGraph, found {type(network).__name__}.")
        return LatencyResult(self.spec.overhead_ms + annotate(network).macs / self.spec.macs_per_ms)


class AcmeRuntime(Runtime):
    """PyTorch, without gradients."""

    packages = ("torch",)

    def prepare(self, module, batch, threads):
        def run():
            with torch.no_grad():
                return module(batch)

        return run


@dataclass(frozen=True)
class NodeCount(NodewiseCost):
    """How many operators a network has.

    Attributes:
        weight: of each.
    """

    weight: float = 1.0

    name, unit = "acme-nodes", "operators"

    def node_cost(self, graph, node):
        return self.weight
