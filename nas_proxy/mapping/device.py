"""Simulated spatial accelerators as devices: each layer runs as the best mapping that a search has found for it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Protocol, runtime_checkable

from pydantic import Field

from nas_proxy import extensions
from nas_proxy.devices import Device, LayerCost, Outcome, Variant, get_device
from nas_proxy.devices.results import LatencyResult
from nas_proxy.errors import InputError, whole_number
from nas_proxy.graph import TensorGraph
from nas_proxy.mapping.accelerator import Accelerator
from nas_proxy.mapping.cache import CODE
from nas_proxy.mapping.dataflows import default_mapping
from nas_proxy.mapping.layer import Layer, parse_layer
from nas_proxy.mapping.mappers import map_problem
from nas_proxy.mapping.network import Operator, operators_of
from nas_proxy.mapping.pricing import SpatialCost
from nas_proxy.mapping.problem import Objective, Problem, SearchResult
from nas_proxy.mapping.running import FoundMappings, SpatialResult, run
from nas_proxy.schema import parse

__all__ = ["MapsLayers", "SpatialDevice", "map_to_device"]


class _Description(Accelerator):
    """``devices/*.yaml`` of kind ``spatial``: the accelerator, and how its layers are mapped."""

    mapper: str = "marl-without-critic"
    evaluations: int = Field(default=1000, ge=1)
    objective: Objective = "edp"
    simplified: str = ""
    sources: Mapping[str, str] = Field(default_factory=dict)


class SpatialDevice(Device):
    """A spatial accelerator and the way its mappings are found.

    Mappings are found once for each distinct layer and kept for the life of the device, or longer where there is a
    ``cache``.

    Args:
        name: for messages.
        accelerator: the array and its memories.
        mapper, evaluations, objective, seed, workers, cache: see :class:`nas_proxy.mapping.running.FoundMappings`.

    Raises:
        UnknownNameError: no such mapper or objective.
        InputError: ``evaluations`` are fewer than the mapper starts with.
    """

    Spec = _Description
    simulated = True
    options = ("mapper", "evaluations", "objective", "seed", "workers", "cache")

    def __init__(
        self,
        name: str,
        accelerator: Accelerator,
        *,
        mapper: str = "marl-without-critic",
        evaluations: int = 1000,
        objective: Objective = "edp",
        seed: int = 0,
        workers: int = 1,
        cache: Path | None = None,
    ) -> None:
        super().__init__(name)
        least = extensions.get("mappers", mapper).initial  # what is wrong is an error now, not after the first layers
        if whole_number(evaluations, f"device {name}: evaluations", least=1) < least:
            raise InputError(
                f"device {name}: mapper {mapper!r} starts with {least} evaluations, found evaluations: {evaluations}."
            )
        self.accelerator, self.mapper, self.evaluations = accelerator, mapper, evaluations
        self.objective: Objective = objective
        self.seed, self.workers, self.cache = seed, workers, cache
        self.picky = set(accelerator.layer_kinds) != set(Accelerator.model_fields["layer_kinds"].default)
        self._found = self._searching(objective, evaluations)

    @classmethod
    def from_description(cls, name: str, description: Mapping[str, Any]) -> SpatialDevice:
        """From the fields of its YAML file.

        Raises:
            InputError: a field is missing, unknown or out of range; names it and the closest.
        """
        parsed = parse(_Description, description, f"device {name}")
        extensions.stated("mappers", parsed.mapper)
        return cls(name, parsed, mapper=parsed.mapper, evaluations=parsed.evaluations, objective=parsed.objective)

    def configured(self, **options: Any) -> SpatialDevice:
        """The same accelerator with some options changed; it has mapped nothing yet."""
        changed = super().configured(**options)
        return SpatialDevice(self.name, self.accelerator, **changed.settings())

    def describe(self) -> dict[str, Any]:
        """As :meth:`Device.describe`: the accelerator, and how its layers are mapped."""
        accelerator = self.accelerator.model_dump(mode="json", include=set(Accelerator.model_fields))
        search = {"mapper": self.mapper, "evaluations": self.evaluations, "objective": self.objective}
        return {"name": self.name, **search, "seed": self.seed, **accelerator}

    def modules(self) -> tuple[str, ...]:
        """As :meth:`Device.modules`: what mappings come from, and the mapper's modules."""
        return *CODE, *extensions.modules("mappers", self.mapper)

    @property
    def spent(self) -> int:
        """Evaluations of mappings so far; what came from the cache cost none."""
        return self._found.spent

    def latency(self, network: TensorGraph | Sequence[Layer]) -> SpatialResult:
        """Map every layer and run them in sequence; what is not mapped passes through DRAM.

        Args:
            network: a ``TensorGraph`` or a list of layers.

        Raises:
            InputError: neither of the two, or a layer that this accelerator cannot run.
        """
        operators = self.operators(network)
        return run(self.accelerator, operators, self._found.of(_layers(operators)))

    def operators(self, network: TensorGraph | Sequence[Layer]) -> list[Operator]:
        """The network as this accelerator runs it.

        Raises:
            InputError: neither a ``TensorGraph`` nor layers, or a layer that this accelerator cannot run.
        """
        if isinstance(network, TensorGraph):
            operators = operators_of(network, self.accelerator.word_bits)
        elif isinstance(network, Sequence) and all(isinstance(layer, Layer) for layer in network):
            operators = [Operator(str(layer), layer) for layer in network]
        else:
            raise InputError(
                f"{self.name} runs a TensorGraph or a list of layers, found {type(network).__name__}: give it "
                "nas_proxy.graph.from_torch(module, shapes) or from_onnx(path)."
            )
        for layer in _layers(operators):
            self.accelerator.check(layer)
        return operators

    def check(self, graph: TensorGraph) -> None:
        """As :meth:`Device.check`: every layer is of a kind that this accelerator runs."""
        self.operators(graph)

    def mapping(self, layer: Layer) -> SearchResult:
        """The mapping of one layer."""
        return self._found.of([layer])[layer]

    def map_layer(
        self,
        layer: Layer,
        objective: Objective,
        *,
        budget: int,
        max_cycles: float | None,
        mapper: str,
        seed: int,
    ) -> SearchResult:
        """Search for the mapping of one layer alone, apart from what this device has found so far.

        Raises:
            UnknownNameError: no such mapper or objective; the message names the closest.
            InputError: a layer that this accelerator cannot run, or a budget or limit that cannot be.
        """
        problem = Problem(layer, self.accelerator, objective, budget=budget, max_cycles=max_cycles, pad=True)
        return map_problem(problem, mapper, seed)

    def cost(self) -> SpatialCost:
        """As :meth:`Device.cost`: milliseconds, under mappings that are found with few evaluations each."""
        return SpatialCost(self.name, self._searching("latency", SpatialCost.evaluations))

    def optimise(self, graph: TensorGraph, measured: LatencyResult | None = None) -> Outcome:
        """Layers as fixed dataflows (``nothing``), or as the mapper finds where that is better (``mapping``)."""
        operators, before = self.operators(graph), self.spent
        layers = dict.fromkeys(_layers(operators))
        fixed = {layer: default_mapping(layer, self.accelerator, self.objective) for layer in layers}
        found = self._found.of(list(fixed))
        better = {layer: min(fixed[layer], found[layer], key=lambda result: result.value) for layer in fixed}
        results = {
            "nothing": run(self.accelerator, operators, fixed),
            "mapping": run(self.accelerator, operators, better),
        }
        best = min(results.values(), key=self._value)
        return Outcome(
            variants=(*(Variant.of(name, result) for name, result in results.items()), Variant.of("all", best)),
            value=(self._value(best),),
            layers=self._layer_costs(best, graph),
            utilization=best.utilization,
            evaluations=self.spent - before,
        )

    def _searching(self, objective: Objective, evaluations: int) -> FoundMappings:
        how = {"seed": self.seed, "workers": self.workers, "cache": self.cache}
        return FoundMappings(self.accelerator, self.mapper, evaluations, objective, **how)

    def _value(self, result: SpatialResult) -> float:
        energy_mj = result.energy_mj or 0.0
        by_name = {"latency": result.latency_ms, "energy": energy_mj, "edp": result.latency_ms * energy_mj}
        return by_name[self.objective]

    def _layer_costs(self, result: SpatialResult, graph: TensorGraph) -> tuple[LayerCost, ...]:
        operator = {node.name: node.operator for node in graph.nodes}
        clock_khz = self.accelerator.clock_mhz * 1e3
        return tuple(
            LayerCost(o.name, operator[o.name], o.cycles / clock_khz, o.energy_pj * 1e-9, o.bound, o.utilization)
            for o in result.operators
            if o.cycles
        )


def _layers(operators: Sequence[Operator]) -> list[Layer]:
    return [operator.layer for operator in operators if operator.layer is not None]


@runtime_checkable
class MapsLayers(Protocol):
    """A device that layers can be mapped to: what ``nas-proxy map`` asks of it."""

    @property
    def accelerator(self) -> Accelerator:
        """The array and its memories."""
        ...

    def map_layer(
        self,
        layer: Layer,
        objective: Objective,
        *,
        budget: int,
        max_cycles: float | None,
        mapper: str,
        seed: int,
    ) -> SearchResult:
        """As :meth:`SpatialDevice.map_layer`."""
        ...


def map_to_device(
    layer: str | Layer,
    device: str | Path,
    objective: Objective = "edp",
    *,
    budget: int = 1000,
    max_cycles: float | None = None,
    mapper: str = "marl",
    seed: int = 0,
) -> tuple[Layer, Accelerator, SearchResult]:
    """Map one layer to a device by name or path: the layer, the accelerator and what was found.

    Raises:
        UnknownNameError: no such device, mapper, objective or kind of layer; the message names the closest.
        InputError: layers cannot be mapped to the device, or layer, budget or limit cannot be (says why).
    """
    layer = parse_layer(layer) if isinstance(layer, str) else layer
    found = get_device(device)
    if not isinstance(found, MapsLayers):
        raise InputError(
            f"{device} is not a spatial accelerator: layers are mapped to devices that have a method map_layer, such "
            "as eyeriss."
        )
    result = found.map_layer(layer, objective, budget=budget, max_cycles=max_cycles, mapper=mapper, seed=seed)
    return layer, found.accelerator, result
