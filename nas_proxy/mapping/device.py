"""Simulated spatial accelerators: each layer runs as the best mapping that a search has found for it."""

from __future__ import annotations

import zlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from pydantic import Field

from nas_proxy import extensions
from nas_proxy.devices._base import Device, LatencyResult, get_device
from nas_proxy.errors import InputError, whole_number
from nas_proxy.graph import TensorGraph
from nas_proxy.mapping.accelerator import Accelerator
from nas_proxy.mapping.cache import MappingCache
from nas_proxy.mapping.layer import Layer, parse_layer
from nas_proxy.mapping.mappers import map_problem
from nas_proxy.mapping.network import Operator, operators_of
from nas_proxy.mapping.problem import Objective, Problem, SearchResult
from nas_proxy.schema import parse

__all__ = ["OperatorCost", "SpatialDevice", "SpatialResult", "map_to_device"]


@dataclass(frozen=True)
class OperatorCost:
    """What one operator of a network takes. ``layer`` is None, and ``utilization`` 0, where the array has no part.

    ``bound`` is what decides its time: ``compute``, or the level of memory (RF, GLB, DRAM).
    """

    name: str
    layer: Layer | None
    cycles: float
    energy_pj: float
    utilization: float
    bound: str


@dataclass(frozen=True)
class SpatialResult(LatencyResult):
    """Latency and energy of a network whose layers run one after the other.

    ``utilization`` is that of the whole run: MACs over cycles times PEs; ``operators`` is the table by layer.
    """

    utilization: float = 0.0
    operators: tuple[OperatorCost, ...] = ()


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
    ``cache``; the seed of a search depends on the layer alone, so results do not depend on the order in which networks
    come.

    Args:
        name: for messages.
        accelerator: the array and its memories.
        mapper, evaluations, objective: how each layer is mapped, see :func:`nas_proxy.mapping.mappers.map_problem`.
        seed: of all searches.
        workers: processes that map distinct layers side by side.
        cache: a folder of mappings found before, shared by processes and runs.

    Attributes:
        spent: evaluations of mappings so far; what came from the cache cost none.

    Raises:
        UnknownNameError: no such mapper.
        InputError: ``evaluations`` are fewer than the mapper starts with.
    """

    Spec = _Description

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
        self.spent = 0
        self._known = None if cache is None else MappingCache(cache, accelerator)
        self._mapped: dict[Layer, SearchResult] = {}

    @classmethod
    def from_description(cls, name: str, description: Mapping[str, Any]) -> SpatialDevice:
        """From the fields of its YAML file.

        Raises:
            InputError: a field is missing, unknown or out of range; names it and the closest.
        """
        parsed = parse(_Description, description, f"device {name}")
        extensions.stated("mappers", parsed.mapper)
        return cls(name, parsed, mapper=parsed.mapper, evaluations=parsed.evaluations, objective=parsed.objective)

    def describe(self) -> dict[str, Any]:
        """As :meth:`Device.describe`: the accelerator, and how its layers are mapped."""
        accelerator = self.accelerator.model_dump(mode="json", include=set(Accelerator.model_fields))
        search = {"mapper": self.mapper, "evaluations": self.evaluations, "objective": self.objective}
        return {"name": self.name, **search, "seed": self.seed, **accelerator}

    def modules(self) -> tuple[str, ...]:
        """As :meth:`Device.modules`: this package, and the mapper's module."""
        return "nas_proxy.mapping", type(extensions.get("mappers", self.mapper)).__module__

    def replaced(self, **changes: Any) -> SpatialDevice:
        """The same accelerator with some arguments changed; it has mapped nothing yet."""
        names = ("mapper", "evaluations", "objective", "seed", "workers", "cache")
        return SpatialDevice(self.name, self.accelerator, **{name: getattr(self, name) for name in names} | changes)

    def cached(self, folder: Path) -> SpatialDevice:
        """As :meth:`Device.cached`: mappings are kept in ``folder``, unless the device has a cache already."""
        return self if self.cache is not None else self.replaced(cache=folder)

    def latency(self, network: TensorGraph | Sequence[Layer]) -> SpatialResult:
        """Map every layer and run them in sequence; what is not mapped passes through DRAM.

        Args:
            network: a ``TensorGraph`` or a list of layers.

        Raises:
            InputError: neither of the two, or a layer that this accelerator cannot run.
        """
        operators = self.operators(network)
        self._map([operator.layer for operator in operators if operator.layer is not None])
        return self.run(operators, self._mapped)

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
        for operator in operators:
            if operator.layer is not None:
                self.accelerator.check(operator.layer)
        return operators

    def run(self, operators: Sequence[Operator], mapped: Mapping[Layer, SearchResult]) -> SpatialResult:
        """What operators take one after the other, each layer as it is mapped."""
        costs = tuple(self._cost(operator, mapped) for operator in operators)
        cycles, energy_pj = sum(c.cycles for c in costs), sum(c.energy_pj for c in costs)
        macs = sum(operator.layer.macs for operator in operators if operator.layer is not None)
        return SpatialResult(
            latency_ms=cycles / self.accelerator.clock_mhz / 1e3,
            energy_mj=energy_pj * 1e-9,
            utilization=macs / (cycles * self.accelerator.num_pes) if cycles else 0.0,
            operators=costs,
        )

    def mapping(self, layer: Layer) -> SearchResult:
        """The mapping of one layer."""
        self._map([layer])
        return self._mapped[layer]

    def _map(self, layers: Sequence[Layer]) -> None:
        """Search for the layers not mapped yet."""
        wanted = [layer for layer in dict.fromkeys(layers) if layer not in self._mapped]
        if self.workers > 1 and len(wanted) > 1:
            from joblib import Parallel, delayed

            found: list[Any] = list(Parallel(n_jobs=self.workers)(delayed(self._search)(layer) for layer in wanted))
        else:
            found = [self._search(layer) for layer in wanted]
        for layer, (result, spent) in zip(wanted, found, strict=True):
            self._mapped[layer] = result
            self.spent += spent

    def _search(self, layer: Layer) -> tuple[SearchResult, int]:
        """One layer's search, and evaluations spent; its seed depends on the layer, not on the order of searches."""
        problem = Problem(layer, self.accelerator, self.objective, budget=self.evaluations, pad=True)
        shape = repr((layer.kind, *layer.bounds.tolist(), layer.stride, layer.dilation)).encode()
        seed = self.seed + zlib.crc32(shape)
        if self._known is not None and (before := self._known.get(problem, self.mapper, seed)) is not None:
            return before, 0
        result = map_problem(problem, self.mapper, seed)
        if self._known is not None:
            self._known.put(problem, self.mapper, seed, result)
        return result, result.evaluations

    def _cost(self, operator: Operator, mapped: Mapping[Layer, SearchResult]) -> OperatorCost:
        if operator.layer is not None:
            costs = mapped[operator.layer].costs
            cost = float(costs.cycles[0]), float(costs.energy_pj[0]), float(costs.utilization[0])
            return OperatorCost(operator.name, operator.layer, *cost, costs.bound[0])
        dram = self.accelerator.levels.DRAM
        read, written = operator.read_words, operator.written_words
        energy = read * dram.read_energy_pj + written * dram.write_energy_pj
        if dram.shared_port:
            read, written = read + written, 0
        sides = ((read, dram.read_words_per_cycle), (written, dram.write_words_per_cycle))
        cycles = max(float(np.ceil(words / bandwidth)) if bandwidth else 0.0 for words, bandwidth in sides)
        energy += cycles * self.accelerator.leakage_pj_per_cycle
        return OperatorCost(operator.name, None, cycles, energy, 0.0, "DRAM")


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
        InputError: the device is not a spatial accelerator, or layer, budget or limit cannot be (says why).
    """
    layer = parse_layer(layer) if isinstance(layer, str) else layer
    found = get_device(device)
    if not isinstance(found, SpatialDevice):
        raise InputError(f"{device} is not a spatial accelerator: layers are mapped to devices of kind 'spatial' only.")
    problem = Problem(layer, found.accelerator, objective, budget=budget, max_cycles=max_cycles, pad=True)
    return layer, found.accelerator, map_problem(problem, mapper, seed)
