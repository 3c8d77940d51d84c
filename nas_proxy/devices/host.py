"""This machine as a device: networks are executed and timed."""

from __future__ import annotations

import copy
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any, Literal

from pydantic import Field

from nas_proxy import extensions
from nas_proxy.devices._base import Device
from nas_proxy.devices._machine import available_cores, describe_machine
from nas_proxy.devices._runtimes import Runtime
from nas_proxy.devices._timing import Clock, MeasuredLatency, Protocol, take_turns
from nas_proxy.devices.results import LatencyResult, LayerCost, Outcome, plain_outcome
from nas_proxy.errors import InputError
from nas_proxy.schema import Spec, parse

if TYPE_CHECKING:
    import torch

    from nas_proxy.devices.operator_times import MeasuredCost
    from nas_proxy.devices.paired_speedup import PairedSpeedup
    from nas_proxy.graph import TensorGraph
    from nas_proxy.spaces import SearchSpace

__all__ = ["HostDevice", "HostSpec"]


class HostSpec(Spec):
    """A YAML file with ``kind: host``."""

    kind: Literal["host"]
    runtime: str = Field(description="torch, onnxruntime, or another of `nas-proxy list runtimes`")
    threads: int = Field(1, ge=1, description="threads a network runs on")
    precision: Literal["float32", "bfloat16"] = "float32"
    batch_size: int = Field(1, ge=1, description="inputs in the batch whose latency is measured")
    protocol: Protocol = Protocol()  # pyright: ignore[reportCallIssue]


class HostDevice(Device):
    """This machine, running networks under a runtime with a fixed number of threads.

    Raises:
        UnknownNameError: no such runtime; the message names the closest.
        MissingDependencyError: the runtime is not installed.
        InputError: the runtime has no such precision, or the machine not as many cores as threads are asked for.
    """

    Spec = HostSpec
    timed = True
    _cost: MeasuredCost | None = None

    def __init__(self, name: str, spec: HostSpec) -> None:
        super().__init__(name)
        self.spec = spec
        self.batch = spec.protocol.networks_in_turn
        self._runtime: Runtime = extensions.get("runtimes", spec.runtime)
        self._runtime.require(name)
        if spec.precision not in self._runtime.precisions:
            raise InputError(
                f"device {name!r}: runtime {spec.runtime!r} runs in {' or '.join(self._runtime.precisions)}, "
                f"not in {spec.precision}."
            )
        if spec.threads > available_cores():
            raise InputError(
                f"device {name!r}: {spec.threads} threads asked for, but this process may use {available_cores()} "
                "core(s): more threads than cores measure the scheduler, not the network."
            )

    @classmethod
    def from_description(cls, name: str, description: Mapping[str, Any]) -> HostDevice:
        """The device of a YAML file."""
        spec = parse(HostSpec, description, f"device {name!r}")
        extensions.stated("runtimes", spec.runtime)
        return cls(name, spec)

    def describe(self) -> dict[str, Any]:
        """As :meth:`Device.describe`."""
        return {
            "name": self.name,
            **self.spec.model_dump(),
            "clock": Clock(self.spec.threads).name,
            "machine": describe_machine(*self._runtime.packages),
        }

    def latency(self, network: Any, input_shape: Sequence[int] | None = None) -> MeasuredLatency:
        """Measure one torch module, whose input has ``input_shape`` = (channels, height, width).

        Raises:
            InputError: not a module, no input shape, or the module fails on such an input.
        """
        import torch

        if not isinstance(network, torch.nn.Module):
            raise InputError(f"device {self.name!r} runs torch modules; found {type(network).__name__}.")
        if input_shape is None:
            raise InputError(f"device {self.name!r} needs the input shape of the module: latency(module, (3, 32, 32)).")
        [(_, result)] = self._time([self._prepare(copy.deepcopy(network), input_shape)])
        return result

    def latencies(self, space: SearchSpace, archs: Sequence[Any]) -> Iterator[tuple[int, MeasuredLatency]]:
        """Measure architectures, which take turns; see :mod:`nas_proxy.devices._timing` for the protocol."""
        return self._time(self._prepare(space.build(arch), space.input_shape(arch)) for arch in archs)

    def cost(self) -> MeasuredCost | None:
        """Times of single operators on this machine, under ONNX Runtime; other runtimes run modules, not graphs."""
        if self._cost is None and self.spec.runtime == "onnxruntime":
            from nas_proxy.devices.operator_times import MeasuredCost, default_table

            self._cost = MeasuredCost(default_table())
        return self._cost

    def compare(self, before: TensorGraph, after: TensorGraph, *, seconds: float = 20.0) -> PairedSpeedup | None:
        """As :meth:`Device.compare`: in turns on this machine; None where the runtime is not ONNX Runtime."""
        if self.spec.runtime != "onnxruntime":
            return None
        from nas_proxy.devices.paired_speedup import compare_latency

        return compare_latency(before, after, seconds=seconds)

    def optimise(self, graph: TensorGraph, measured: LatencyResult | None = None) -> Outcome:
        """There is nothing to set; ``layers`` are the times of single operators, where :meth:`cost` knows them.

        Raises:
            InputError: ``measured`` is not given, and a graph alone cannot be timed.
        """
        result = measured or self.latency(graph)
        times = cost.price(graph).by_node if (cost := self.cost()) else {}
        operator = {node.name: node.operator for node in graph.nodes}
        layers = tuple(LayerCost(n, operator[n], ms, None, "measured", None) for n, ms in times.items() if ms)
        return plain_outcome(result, layers)

    def _time(self, jobs: Iterable[Callable[[], object]]) -> Iterator[tuple[int, MeasuredLatency]]:
        return take_turns(jobs, self.spec.protocol, self.spec.threads)

    def _prepare(self, module: torch.nn.Module, input_shape: Sequence[int]) -> Callable[[], object]:
        import torch

        batch = torch.randn(self.spec.batch_size, *input_shape, generator=torch.Generator().manual_seed(0))
        batch = batch.to(getattr(torch, self.spec.precision))
        run = self._runtime.prepare(module.eval(), batch, self.spec.threads)
        try:
            run()
        except Exception as error:
            raise InputError(
                f"device {self.name!r}: the network fails on an input of shape {tuple(batch.shape)}: {error}"
            ) from error
        return run
