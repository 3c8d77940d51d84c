"""Where candidates come from: the whole space where it can be listed, evolution where it cannot."""

from __future__ import annotations

import itertools
from abc import ABC, abstractmethod
from collections.abc import Callable, Collection, Iterator, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

from nas_proxy.search.acquisition import Budgets
from nas_proxy.search.limits import Targets
from nas_proxy.search.surrogate import Points
from nas_proxy.spaces import SearchSpace
from nas_proxy.spaces.columns import Columns
from nas_proxy.ties import first_largest, first_smallest, settled

__all__ = ["Candidates", "Score", "Slate", "candidates_of"]

_LISTED = 30_000
_REFERENCE = 2_000
_POPULATION = 60
_GENERATIONS = 12
_SAME_SCORE = 1e-6  # relative: scores come of differences of nearly equal numbers
_ROUGH = 0.03  # relative: far above what single precision makes of small scores
_CENTRES = 20  # known architectures around which pairs of choices are tried before giving up


@dataclass(frozen=True)
class Slate:
    """Architectures with what a score needs: texts, predicted latencies ``(n, targets)``, columns, met budgets."""

    archs: list[Any]
    texts: list[str]
    latency_ms: NDArray[np.float64]
    points: Points
    met: NDArray[np.float32]


#: How worthwhile each architecture of a slate is, ``(n,)``.
Score = Callable[[Slate], NDArray[np.float64]]


class Candidates(ABC):
    """Architectures of a space that are predicted to keep every limit.

    Attributes:
        fastest: the text of the fastest predicted.
        budgets: latency budgets over the range of the candidates' predictions.

    Raises:
        InputError: no architecture keeps the limits; the message names the fastest predicted.
    """

    fastest: str
    budgets: Budgets
    columns: Columns

    def __init__(self, space: SearchSpace, targets: Targets) -> None:
        self.space, self.targets = space, targets

    def slate(self, archs: Sequence[Any]) -> Slate:
        """What the search knows of ``n`` architectures before any is trained: texts, latencies and limits kept."""
        latency_ms = self.targets.predict(archs)
        texts = [self.space.to_str(arch) for arch in archs]
        return Slate(list(archs), texts, latency_ms, Points.of(self.columns, archs), self.budgets.met_by(latency_ms))

    @abstractmethod
    def random(self, taken: Collection[str], rng: np.random.Generator) -> str | None:
        """A random candidate that is not ``taken``; None if there is none."""

    @abstractmethod
    def best(self, score: Score, taken: Collection[str], parents: list[str], rng: np.random.Generator) -> str | None:
        """The candidate of the highest score that is not ``taken``; None if there is none.

        ``parents`` are good architectures already known, the best first, which evolution starts from.
        """


def candidates_of(space: SearchSpace, targets: Targets) -> Candidates:
    """The candidates of a space: listed up to 30,000 codes, evolved beyond."""
    return Listed(space, targets) if space.size <= _LISTED else Evolved(space, targets)


class Listed(Candidates):
    """All feasible architectures, scored each time."""

    def __init__(self, space: SearchSpace, targets: Targets) -> None:
        super().__init__(space, targets)
        archs = space.enumerate()
        latency_ms = targets.predict(archs)
        slowness = targets.slowness(latency_ms)
        fastest = first_smallest(slowness)
        self.fastest = space.to_str(archs[fastest])
        feasible = np.flatnonzero(targets.feasible(latency_ms))
        if not len(feasible):
            raise targets.infeasible(self.fastest, latency_ms[fastest])
        self.budgets = Budgets.over(latency_ms[feasible], targets.limited)
        self.columns = Columns.of(space, archs)
        self._archs = [archs[i] for i in feasible]

    @cached_property
    def _slate(self) -> Slate:
        slate = self.slate(self._archs)
        return replace(slate, points=slate.points.astype(np.float32))

    @cached_property
    def _row(self) -> dict[str, int]:
        return {text: row for row, text in enumerate(self._slate.texts)}

    def _free(self, taken: Collection[str]) -> NDArray[np.bool_]:
        free = np.ones(len(self._archs), dtype=bool)
        free[[self._row[text] for text in taken if text in self._row]] = False
        return free

    def random(self, taken: Collection[str], rng: np.random.Generator) -> str | None:
        free = np.flatnonzero(self._free(taken))
        return self._slate.texts[rng.choice(free)] if len(free) else None

    def best(self, score: Score, taken: Collection[str], parents: list[str], rng: np.random.Generator) -> str | None:
        free = self._free(taken)
        if not free.any():
            return None
        rough = np.where(free, score(self._slate), -np.inf)  # in single precision: half the time
        near = np.flatnonzero(rough >= (1 - _ROUGH) * rough.max())
        if len(near) == 1:
            return self._slate.texts[near[0]]
        exact = score(self.slate([self._archs[i] for i in near]))
        return self._slate.texts[near[first_largest(exact, within=_SAME_SCORE * exact.max())]]


class Evolved(Candidates):
    """A genetic algorithm over codes, feasibility first (Deb's rules, as pymoo has them)."""

    def __init__(self, space: SearchSpace, targets: Targets) -> None:
        super().__init__(space, targets)
        self._options = np.array([len(options) for options in space.choices.values()])
        reference = space.sample(_REFERENCE, seed=0)
        self.columns = Columns.of(space, reference)
        latency_ms = targets.predict(reference)
        fastest = self._descend(space.encode([reference[first_smallest(targets.slowness(latency_ms))]])[0])
        latency_fastest = targets.predict([fastest])
        self.fastest = space.to_str(fastest)
        if not targets.feasible(latency_fastest)[0]:
            raise targets.infeasible(self.fastest, latency_fastest[0])
        feasible = latency_ms[targets.feasible(latency_ms)]
        self.budgets = Budgets.over(np.concatenate([latency_fastest, feasible]), targets.limited)

    def random(self, taken: Collection[str], rng: np.random.Generator) -> str | None:
        """Of a batch drawn uniformly; of a walk from the fastest where the limits are too tight for that."""
        archs = self._decode(rng.integers(0, self._options, size=(256, len(self._options))))
        for arch in self._feasible(archs):
            if self.space.to_str(arch) not in taken:
                return self.space.to_str(arch)
        return self._near(taken, [self.fastest], rng)

    def best(self, score: Score, taken: Collection[str], parents: list[str], rng: np.random.Generator) -> str | None:
        from nas_proxy.search._evolution import evolve

        start = list(dict.fromkeys([self.fastest, *parents]))[: _POPULATION // 2]
        codes = self.space.encode([self.space.from_str(text) for text in start])
        fresh = rng.integers(0, self._options, size=(_POPULATION - len(codes), len(self._options)))
        found: dict[str, float] = {}
        seen = np.zeros(1)

        def evaluate(population: NDArray[np.int64]) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
            nonlocal seen
            value, violation = np.zeros(len(population)), np.ones(len(population))
            valid = np.flatnonzero(self.space.valid(population))
            if len(valid):
                slate = self.slate(self.space.decode(population[valid]))
                value[valid] = score(slate)
                feasible = self.targets.feasible(slate.latency_ms)
                slowness = self.targets.slowness(slate.latency_ms)
                violation[valid] = np.where(feasible, 0, np.maximum(slowness - 1, 1e-9))
                for i in np.flatnonzero(feasible):
                    if slate.texts[i] in taken:
                        value[valid[i]] = 0.0  # a parent still, not a result
                    else:
                        found[slate.texts[i]] = float(value[valid[i]])
            both = settled(np.concatenate([value, violation]), seen, _SAME_SCORE)
            seen = np.union1d(seen, both)
            return both[: len(value)], both[len(value) :]

        evolve(evaluate, np.concatenate([codes, fresh]), self._options, _GENERATIONS, int(rng.integers(2**31)))
        if not found:
            return self._near(taken, [*parents, self.fastest], rng)
        texts = sorted(found)
        scores = [found[text] for text in texts]
        return texts[first_largest(scores, within=_SAME_SCORE * max(scores))]

    def _near(self, taken: Collection[str], centres: list[str], rng: np.random.Generator) -> str | None:
        """A feasible architecture one or two choices away from the centres or from what is taken; None if none is."""
        known = [self.space.from_str(text) for text in dict.fromkeys([*centres, *taken])]
        batches = itertools.chain(
            (self._neighbours(arch) for arch in known),
            (pairs for arch in known[:_CENTRES] for pairs in self._two_changed(arch, rng)),
        )
        for archs in batches:
            free = [text for text in map(self.space.to_str, self._feasible(archs)) if text not in taken]
            if free:
                return free[int(rng.integers(len(free)))]
        return None

    def _descend(self, code: NDArray[np.int64]) -> Any:
        """From a code to an architecture that no change of one choice makes faster."""
        arch = self.space.decode(code[None])[0]
        while True:
            archs = [arch, *self._neighbours(arch)]
            fastest = first_smallest(self.targets.slowness(self.targets.predict(archs)))
            if fastest == 0:
                return arch
            arch = archs[fastest]

    def _neighbours(self, arch: Any) -> list[Any]:
        code = self.space.encode([arch])[0]
        changed = []
        for position, options in enumerate(self._options):
            codes = np.repeat(code[None], options, axis=0)
            codes[:, position] = np.arange(options)
            changed.append(codes[np.arange(options) != code[position]])
        return self._decode(np.concatenate(changed))

    def _two_changed(self, arch: Any, rng: np.random.Generator) -> Iterator[list[Any]]:
        code = self.space.encode([arch])[0]
        for pair in rng.permutation(list(itertools.combinations(range(len(code)), 2))):
            options = np.stack(np.meshgrid(*(np.arange(n) for n in self._options[pair])), axis=-1).reshape(-1, 2)
            codes = np.repeat(code[None], len(options), axis=0)
            codes[:, pair] = options
            yield self._decode(codes)

    def _decode(self, codes: NDArray[np.int64]) -> list[Any]:
        return self.space.decode(codes[self.space.valid(codes)])

    def _feasible(self, archs: list[Any]) -> list[Any]:
        if not archs:
            return []
        return [arch for arch, ok in zip(archs, self.targets.feasible(self.targets.predict(archs)), strict=True) if ok]
