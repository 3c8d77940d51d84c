"""Networks on a spatial accelerator: the best mapping of each layer that a search finds, and what the layers take."""

from __future__ import annotations

import zlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from nas_proxy.devices.results import LatencyResult
from nas_proxy.errors import UnknownNameError
from nas_proxy.mapping.accelerator import Accelerator
from nas_proxy.mapping.cache import MappingCache
from nas_proxy.mapping.layer import Layer
from nas_proxy.mapping.mappers import map_problem
from nas_proxy.mapping.network import Operator
from nas_proxy.mapping.problem import OBJECTIVES, Objective, Problem, SearchResult

__all__ = ["FoundMappings", "OperatorCost", "SpatialResult", "run"]


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


class FoundMappings:
    """The mappings of layers to one accelerator, each searched for when it is first asked for.

    The seed of a search depends on the layer alone, so results do not depend on the order in which layers come.

    Args:
        accelerator: the array and its memories.
        mapper, evaluations, objective: how each layer is mapped, see :func:`nas_proxy.mapping.mappers.map_problem`.
        seed: of all searches.
        workers: processes that map distinct layers side by side.
        cache: a folder of mappings found before, shared by processes and runs.

    Attributes:
        spent: evaluations of mappings so far; what came from the cache cost none.

    Raises:
        UnknownNameError: no such objective; the message names the closest.
    """

    def __init__(
        self,
        accelerator: Accelerator,
        mapper: str,
        evaluations: int,
        objective: Objective,
        *,
        seed: int = 0,
        workers: int = 1,
        cache: Path | None = None,
    ) -> None:
        if objective not in OBJECTIVES:
            raise UnknownNameError("objective", objective, OBJECTIVES)
        self.accelerator, self.mapper, self.evaluations = accelerator, mapper, evaluations
        self.objective: Objective = objective
        self.seed, self.workers = seed, workers
        self.spent = 0
        self._known = None if cache is None else MappingCache(cache, accelerator)
        self._found: dict[Layer, SearchResult] = {}

    def of(self, layers: Sequence[Layer]) -> Mapping[Layer, SearchResult]:
        """The mappings of these layers, among others that are known."""
        wanted = [layer for layer in dict.fromkeys(layers) if layer not in self._found]
        if self.workers > 1 and len(wanted) > 1:
            from joblib import Parallel, delayed

            found: list[Any] = list(Parallel(n_jobs=self.workers)(delayed(self._search)(layer) for layer in wanted))
        else:
            found = [self._search(layer) for layer in wanted]
        for layer, (result, spent) in zip(wanted, found, strict=True):
            self._found[layer] = result
            self.spent += spent
        return self._found

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


def run(accelerator: Accelerator, operators: Sequence[Operator], mapped: Mapping[Layer, SearchResult]) -> SpatialResult:
    """What operators take one after the other, each layer as it is mapped; what is no layer passes through DRAM."""
    costs = tuple(_cost(accelerator, operator, mapped) for operator in operators)
    cycles, energy_pj = sum(c.cycles for c in costs), sum(c.energy_pj for c in costs)
    macs = sum(operator.layer.macs for operator in operators if operator.layer is not None)
    return SpatialResult(
        latency_ms=cycles / accelerator.clock_mhz / 1e3,
        energy_mj=energy_pj * 1e-9,
        utilization=macs / (cycles * accelerator.num_pes) if cycles else 0.0,
        operators=costs,
    )


def _cost(accelerator: Accelerator, operator: Operator, mapped: Mapping[Layer, SearchResult]) -> OperatorCost:
    if operator.layer is not None:
        costs = mapped[operator.layer].costs
        cost = float(costs.cycles[0]), float(costs.energy_pj[0]), float(costs.utilization[0])
        return OperatorCost(operator.name, operator.layer, *cost, costs.bound[0])
    dram = accelerator.levels.DRAM
    read, written = operator.read_words, operator.written_words
    energy = read * dram.read_energy_pj + written * dram.write_energy_pj
    if dram.shared_port:
        read, written = read + written, 0
    sides = ((read, dram.read_words_per_cycle), (written, dram.write_words_per_cycle))
    cycles = max(float(np.ceil(words / bandwidth)) if bandwidth else 0.0 for words, bandwidth in sides)
    energy += cycles * accelerator.leakage_pj_per_cycle
    return OperatorCost(operator.name, None, cycles, energy, 0.0, "DRAM")
