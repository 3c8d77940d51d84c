"""A search for a mapping: the objective, the budget, and the count of every evaluation."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from nas_proxy.errors import InputError, UnknownNameError
from nas_proxy.mapping.accelerator import Accelerator
from nas_proxy.mapping.cost_model import CostModel, Costs, Counting
from nas_proxy.mapping.layer import Layer
from nas_proxy.mapping.mappings import Mappings
from nas_proxy.mapping.space import MappingSpace

__all__ = ["OBJECTIVES", "BudgetSpentError", "Metrics", "Objective", "Problem", "SearchResult"]

Objective = Literal["edp", "latency", "energy"]
OBJECTIVES = ("edp", "latency", "energy")
_LIMIT_WEIGHT = 10.0
_IDLE = 2000  # proposals in a row, all known, after which a space counts as exhausted
_METRICS = (
    "log cycles",
    "log energy",
    "log DRAM words",
    "log GLB words",
    "utilization",
    "RF occupancy",
    "GLB occupancy",
)


class BudgetSpentError(Exception):
    """The budget is spent; raised inside :meth:`Problem.evaluate` and caught by whoever started the search."""


@dataclass(frozen=True)
class Metrics:
    """What an evaluation tells besides the objective: values ``(B, m)`` and their names."""

    values: NDArray[np.float64]
    names: tuple[str, ...] = _METRICS


@dataclass(frozen=True)
class SearchResult:
    """The best mapping found.

    Attributes:
        mapping: a batch of one, and its ``costs``.
        value: natural logarithm of the objective (pJ times cycles, cycles or pJ), with the penalty of a missed limit.
        history: ``(budget,)`` best value after each evaluation.
        evaluations: how many were spent; fewer than the budget only where the space has no more mappings.
        log_bound: no mapping of the space has a value below, as far as is known; see :attr:`proven`.
        max_cycles: the latency limit that was set; where ``limit_met`` is false, no mapping within it was found.
    """

    mapping: Mappings
    costs: Costs
    value: float
    history: NDArray[np.float64]
    evaluations: int
    max_cycles: float | None = None
    log_bound: float = -np.inf

    @property
    def proven(self) -> bool:
        """Whether no mapping of the space is better."""
        return self.log_bound >= self.value - 1e-9

    @property
    def limit_met(self) -> bool:
        """Whether the mapping is within the latency limit; true where there is none."""
        return self.max_cycles is None or float(self.costs.cycles[0]) <= self.max_cycles


class Problem:
    """A layer, an accelerator, what to minimise, and how many evaluations may be spent.

    Args:
        layer, accelerator: what is mapped to what.
        objective: ``"edp"``, ``"latency"`` or ``"energy"``.
        budget: evaluations of distinct mappings; a mapping that was evaluated before is recognised and costs nothing.
        max_cycles: only for ``"energy"``: the latency limit under which energy is minimised.
        counting: see :class:`~nas_proxy.mapping.cost_model.CostModel`.
        pad: see :class:`~nas_proxy.mapping.space.MappingSpace`.

    Raises:
        InputError: the accelerator cannot run the layer, the budget is not positive, or the latency limit is below
            what the array could do at full utilisation, or DRAM at one pass of each word.
        UnknownNameError: no such objective.
    """

    def __init__(
        self,
        layer: Layer,
        accelerator: Accelerator,
        objective: Objective = "edp",
        *,
        budget: int,
        max_cycles: float | None = None,
        counting: Counting = "physical",
        pad: bool = False,
    ) -> None:
        if objective not in OBJECTIVES:
            raise UnknownNameError("objective", objective, OBJECTIVES)
        if isinstance(budget, bool) or not isinstance(budget, (int, np.integer)) or budget < 1:
            raise InputError(f"the budget must be a positive number of evaluations, found {budget!r}.")
        self.model = CostModel(layer, accelerator, counting)
        if max_cycles is not None:
            if objective != "energy":
                raise InputError(f"max_cycles limits the latency of objective 'energy', not of {objective!r}.")
            least = self.model.least_cycles()
            if not max_cycles >= max(least.values()):
                reason = f"{layer.macs} MACs on {accelerator.num_pes} PEs take at least {least['compute']:.0f}."
                if least["DRAM"] > least["compute"]:
                    reason = f"reading W and I from DRAM and writing O once takes at least {least['DRAM']:.0f}."
                raise InputError(f"no mapping of {layer} takes at most {max_cycles:g} cycles: {reason}")
        self.space = MappingSpace(layer, accelerator, pad)
        self.objective, self.budget, self.max_cycles = objective, int(budget), max_cycles
        self.best: NDArray[np.int64] | None = None
        self.log_bound = -np.inf  # of all values, where a mapper proves one
        self._best = (True, np.inf)  # whether it misses the latency limit, and its value
        self._history: list[float] = []
        self._known: dict[bytes, tuple[float, NDArray[np.float64]]] = {}
        self._idle = 0
        self._reference = self._bounds()

    @property
    def spent(self) -> int:
        """Evaluations so far."""
        return len(self._history)

    @property
    def left(self) -> int:
        """Evaluations that may still be spent."""
        return self.budget - self.spent

    def value(self, costs: Costs) -> NDArray[np.float64]:
        """Natural logarithm of the objective, ``(B,)``; smaller is better.

        Mappings that do not fit are worse than the worst sensible one, by their violation; a missed latency limit
        weighs ten times its logarithm.
        """
        return np.where(costs.valid, self._log_objective(costs), self._reference[0] + costs.violation)

    def _log_objective(self, costs: Costs) -> NDArray[np.float64]:
        value = np.log({"edp": costs.edp, "latency": costs.cycles, "energy": costs.energy_pj}[self.objective])
        return value + self.limit_penalty(np.log(costs.cycles))

    def limit_penalty(self, log_cycles: NDArray[np.float64]) -> NDArray[np.float64] | float:
        """What missing the latency limit adds to the value; 0 where there is none."""
        if self.max_cycles is None:
            return 0.0
        return _LIMIT_WEIGHT * np.maximum(log_cycles - np.log(self.max_cycles), 0.0)

    def reward(self, value: NDArray[np.float64]) -> NDArray[np.float64]:
        """Values as rewards: 0 for everything straight from DRAM on one PE, 1 for the (unreachable) ideal."""
        worst, ideal = self._reference
        return (worst - value) / (worst - ideal)

    def unknown(self, choices: NDArray[np.int64]) -> NDArray[np.bool_]:
        """Which assignments ``(B, n)`` mean mappings not evaluated yet, repetitions within the batch left out."""
        seen: set[bytes] = set()
        fresh = []
        for key in self.space.keys(self.space.mappings(choices)):
            fresh.append(key not in self._known and key not in seen)
            seen.add(key)
        return np.array(fresh, dtype=bool)

    def fresh(self, rng: np.random.Generator, count: int) -> NDArray[np.int64]:
        """At most ``count`` random assignments not evaluated yet, for a search that has run out of its own.

        Raises:
            BudgetSpentError: none is found.
        """
        drawn = self.space.sample(rng, _IDLE // 10)
        drawn = drawn[self.unknown(drawn)][:count]
        self._idle = 0 if len(drawn) else self._idle + _IDLE // 10
        if self._idle > _IDLE:
            raise BudgetSpentError
        return drawn if len(drawn) else self.fresh(rng, count)

    def evaluate(self, choices: NDArray[np.int64]) -> tuple[NDArray[np.float64], Metrics]:
        """Values and metrics of assignments ``(B, n)``; new mappings are charged to the budget.

        Raises:
            BudgetSpentError: that was the last of the budget (new mappings beyond it are left out), or nothing new has
                been proposed for long: the space is exhausted.
        """
        mappings = self.space.mappings(choices)
        keys = self.space.keys(mappings)
        first: dict[bytes, int] = {}
        for i, key in enumerate(keys):
            if key not in self._known:
                first.setdefault(key, i)
        new = np.array(list(first.values()), dtype=np.int64)[: self.left]
        if len(new):
            costs = self.model.evaluate(mappings[new])
            values, metrics = self.value(costs), _metrics(costs)
            missed = np.zeros(len(new), dtype=bool)
            if self.max_cycles is not None:  # the penalty alone would let much less energy buy a slightly missed limit
                missed = ~costs.valid | (costs.cycles > self.max_cycles)
            for i, value, metric, miss in zip(new, values, metrics, missed, strict=True):
                self._known[keys[i]] = (float(value), metric)
                if self.best is None or (bool(miss), float(value)) < self._best:
                    self.best, self._best = choices[i].copy(), (bool(miss), float(value))
                self._history.append(min(float(value), self._history[-1] if self._history else np.inf))
        self._idle = 0 if len(new) else self._idle + len(keys)
        if not self.left or self._idle > _IDLE:
            raise BudgetSpentError
        found = [self._known[key] for key in keys]
        return np.array([value for value, _ in found]), Metrics(np.array([metric for _, metric in found]))

    def result(self) -> SearchResult:
        """What has been found so far.

        Raises:
            InputError: nothing has been evaluated yet.
        """
        if self.best is None:
            raise InputError("nothing has been evaluated yet: run a mapper first.")
        mapping = self.space.mappings(self.best[None])
        history = np.full(self.budget, self._history[-1])
        history[: self.spent] = self._history
        costs, value = self.model.evaluate(mapping), self._best[1]
        return SearchResult(mapping, costs, value, history, self.spent, self.max_cycles, self.log_bound)

    def _bounds(self) -> tuple[float, float]:
        """Values of the worst sensible mapping (all loops at DRAM, no buffer) and of the ideal."""
        space, layer, accelerator = self.space, self.model.layer, self.model.accelerator
        scores = np.zeros((1, len(space), 8))
        scores[:, space.factor_slice, 4] = 1.0
        choices = space.fill(scores, space.turns(np.random.default_rng(0), 1))
        worst = float(self._log_objective(self.model.evaluate(space.mappings(choices)))[0])
        cycles, dram = layer.macs / accelerator.num_pes, accelerator.levels.DRAM
        energy = layer.macs * accelerator.mac_energy_pj + dram.read_energy_pj * sum(layer.words)
        ideal = {"edp": cycles * energy, "latency": cycles, "energy": energy}[self.objective]
        return worst, float(np.log(max(ideal, 1e-300)))


def _metrics(costs: Costs) -> NDArray[np.float64]:
    """The metrics of a batch, (B, m), in the order of ``_METRICS``."""
    words = costs.accesses.reshape(-1, 3, 9) @ np.ones(9)
    columns = [np.log(costs.cycles), np.log(costs.energy_pj), np.log(words[:, 2]), np.log1p(words[:, 1])]
    return np.column_stack([*columns, costs.utilization, costs.occupancy])
