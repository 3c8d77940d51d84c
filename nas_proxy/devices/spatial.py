"""Simulated spatial accelerators: each layer runs as the best mapping that a search has found for it."""

from __future__ import annotations

import zlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from pydantic import Field

from nas_proxy.devices._base import Device, LatencyResult
from nas_proxy.errors import InputError
from nas_proxy.graph import TensorGraph
from nas_proxy.mapping.accelerator import Accelerator
from nas_proxy.mapping.layer import Layer
from nas_proxy.mapping.mappers import get_mapper, map_problem
from nas_proxy.mapping.network import Operator, operators_of
from nas_proxy.mapping.problem import Objective, Problem, SearchResult
from nas_proxy.schema import parse

__all__ = ["OperatorCost", "SpatialDevice", "SpatialResult"]


@dataclass(frozen=True)
class OperatorCost:
    """What one operator of a network takes. ``layer`` is None, and ``utilization`` 0, where the array has no part."""

    name: str
    layer: Layer | None
    cycles: float
    energy_pj: float
    utilization: float


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

    Mappings are found once for each distinct layer and kept for the life of the device; the seed of a search depends
    on the layer alone, so results do not depend on the order in which networks come.

    Args:
        name: for messages.
        accelerator: the array and its memories.
        mapper, evaluations, objective: how each layer is mapped, see :func:`nas_proxy.mapping.mappers.map_problem`.
        seed: of all searches.
        workers: processes that map distinct layers side by side.
    """

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
    ) -> None:
        super().__init__(name)
        get_mapper(mapper)  # an unknown name is an error now, not after the first layers
        self.accelerator, self.mapper, self.evaluations = accelerator, mapper, evaluations
        self.objective: Objective = objective
        self.seed, self.workers = seed, workers
        self._mapped: dict[Layer, SearchResult] = {}

    @classmethod
    def from_description(cls, name: str, description: Mapping[str, Any]) -> SpatialDevice:
        """From the fields of its YAML file.

        Raises:
            InputError: a field is missing, unknown or out of range; names it and the closest.
        """
        parsed = parse(_Description, description, f"device {name}")
        return cls(name, parsed, mapper=parsed.mapper, evaluations=parsed.evaluations, objective=parsed.objective)

    def describe(self) -> dict[str, Any]:
        accelerator = self.accelerator.model_dump(mode="json", include=set(Accelerator.model_fields))
        search = {"mapper": self.mapper, "evaluations": self.evaluations, "objective": self.objective}
        return {"name": self.name, **search, "seed": self.seed, **accelerator}

    def latency(self, network: TensorGraph | Sequence[Layer]) -> SpatialResult:
        """Map every layer and run them in sequence; what is not mapped passes through DRAM.

        Args:
            network: a ``TensorGraph`` or a list of layers.

        Raises:
            InputError: neither of the two, or a layer that this accelerator cannot run.
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
        layers = [operator.layer for operator in operators if operator.layer is not None]
        for layer in layers:
            self.accelerator.check(layer)
        self._map(layers)
        costs = tuple(self._cost(operator) for operator in operators)
        cycles, energy_pj = sum(c.cycles for c in costs), sum(c.energy_pj for c in costs)
        macs = sum(layer.macs for layer in layers)
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
        for layer, result in zip(wanted, found, strict=True):
            self._mapped[layer] = result

    def _search(self, layer: Layer) -> SearchResult:
        """One layer's search; its seed depends on the layer, not on the order of searches."""
        problem = Problem(layer, self.accelerator, self.objective, budget=self.evaluations, pad=True)
        shape = repr((layer.kind, *layer.bounds.tolist(), layer.stride, layer.dilation)).encode()
        return map_problem(problem, self.mapper, self.seed + zlib.crc32(shape))

    def _cost(self, operator: Operator) -> OperatorCost:
        if operator.layer is not None:
            costs = self._mapped[operator.layer].costs
            cost = float(costs.cycles[0]), float(costs.energy_pj[0]), float(costs.utilization[0])
            return OperatorCost(operator.name, operator.layer, *cost)
        dram = self.accelerator.levels.DRAM
        read, written = operator.read_words, operator.written_words
        energy = read * dram.read_energy_pj + written * dram.write_energy_pj
        if dram.shared_port:
            read, written = read + written, 0
        sides = ((read, dram.read_words_per_cycle), (written, dram.write_words_per_cycle))
        cycles = max(float(np.ceil(words / bandwidth)) if bandwidth else 0.0 for words, bandwidth in sides)
        return OperatorCost(operator.name, None, cycles, energy + cycles * self.accelerator.leakage_pj_per_cycle, 0.0)
