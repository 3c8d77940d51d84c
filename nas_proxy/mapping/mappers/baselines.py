"""Searches without learning agents: random, genetic, covariance adaptation; all in the agents' encoding and masks."""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial

import numpy as np
from numpy.typing import NDArray

from nas_proxy.mapping.mappers._memory import Memory
from nas_proxy.mapping.mappers._settings import check_settings
from nas_proxy.mapping.problem import Problem
from nas_proxy.mapping.space import CHOICES

__all__ = ["CmaMapper", "GeneticMapper", "RandomMapper", "with_critic"]


@dataclass(frozen=True)
class RandomMapper:
    """Evaluates valid mappings that are drawn at random, and learns nothing from them."""

    batch: int = 64
    initial: int = 1

    def __post_init__(self) -> None:
        check_settings(self, "batch initial")

    def search(self, problem: Problem, rng: np.random.Generator) -> None:
        """See :class:`nas_proxy.mapping.mappers.Mapper`."""
        while True:
            problem.evaluate(problem.space.sample(rng, self.batch))


@dataclass(frozen=True)
class GeneticMapper:
    """A genetic algorithm with the operators of GAMMA (Kao and Krishna, ICCAD 2020).

    GAMMA's population of 100 suits its budget of 10,000; a smaller one suits smaller budgets.

    Attributes:
        population: at most so many; a fiftieth of the budget, but at least ``initial``.
        initial: evaluations of random valid mappings to start from.
        crossover: share of children that take each dimension's tiles from one of two parents (GAMMA: 0.57).
        tile: share of children in which factors move to other slots (GAMMA: 0.53).
        parallel: share in which a factor moves to or from an array axis (GAMMA: 0.1).
        order: share in which a loop order changes (GAMMA: 0.47); bypass bits flip as often.
        elite: share of the population that survives unchanged (GAMMA: 0.05).
        critic: a critic chooses among ``proposals`` children for each evaluation, as in ``marl``.
        caution: see ``marl``.
    """

    population: int = 100
    initial: int = 20
    crossover: float = 0.57
    tile: float = 0.53
    parallel: float = 0.1
    order: float = 0.47
    elite: float = 0.05
    critic: bool = False
    proposals: int = 60
    caution: float = 2.0

    def __post_init__(self) -> None:
        check_settings(self, "population initial proposals", "crossover tile parallel order elite", caution=0)

    def search(self, problem: Problem, rng: np.random.Generator) -> None:
        """See :class:`nas_proxy.mapping.mappers.Mapper`."""
        size = int(np.clip(problem.budget // 50, self.initial, self.population))
        pool = problem.space.sample(rng, size)
        values, metrics = problem.evaluate(pool)
        memory = Memory(problem)
        memory.add(pool, values, metrics)
        brood = 8 if self.critic else size  # a critic is renewed as often as in marl
        while True:
            count = brood * self.proposals if self.critic else brood
            children = problem.space.repair(self._children(problem, pool, values, count, rng), rng)
            if self.critic:
                children = children[problem.unknown(children)]
                memory.learn()
                children = memory.choose(children, brood, self.caution)
                children = children if len(children) else problem.fresh(rng, brood)
            found, metrics = problem.evaluate(children)
            if self.critic:
                memory.add(children, found, metrics)
            survivors = size if self.critic else max(1, round(self.elite * size))
            best = np.argsort(values, kind="stable")[:survivors]
            pool, values = np.concatenate([pool[best], children]), np.concatenate([values[best], found])
            best = np.argsort(values, kind="stable")[:size]
            pool, values = pool[best], values[best]

    def _children(self, problem, pool, values, count, rng) -> NDArray[np.int64]:
        """Children of tournament winners."""
        space, n = problem.space, pool.shape[1]

        def parents() -> NDArray[np.int64]:
            pairs = rng.integers(len(pool), size=(2, count))
            return pool[np.where(values[pairs[0]] <= values[pairs[1]], *pairs)]

        children, other = parents().copy(), parents()
        crossed = rng.random(count) < self.crossover
        for columns in space.families:  # a dimension's factors, the bypass bits, a level's order: inherited together
            take = crossed & (rng.random(count) < 0.5)
            children[np.ix_(take, columns)] = other[np.ix_(take, columns)]
        factors = np.arange(n)[space.factor_slice]
        if len(factors):
            for share, slots in ((self.tile, 5), (self.parallel, 2)):
                rows = np.flatnonzero(rng.random(count) < share)
                moved = rng.integers(slots, size=len(rows)) + (1 if slots == 2 else 0)
                children[rows, rng.choice(factors, size=len(rows))] = moved
        rows = np.flatnonzero(rng.random(count) < self.order)
        children[rows, n - 4 + rng.integers(4, size=len(rows))] = rng.integers(CHOICES, size=len(rows))
        rows = np.flatnonzero(rng.random(count) < self.order / 3)
        children[rows, rng.integers(3, size=len(rows))] ^= 1
        return children


#: The genetic algorithm with the critic of ``marl``.
with_critic = partial(GeneticMapper, critic=True)


@dataclass(frozen=True)
class CmaMapper:
    """CMA-ES (Hansen's ``cma``) on one real number per decision; the nearest allowed choice counts.

    Attributes:
        sigma: initial step size, in units of the range of a decision.
        population: mappings per generation; None: the library's rule.
    """

    sigma: float = 0.3
    population: int | None = None
    initial: int = 1

    def search(self, problem: Problem, rng: np.random.Generator) -> None:
        """See :class:`nas_proxy.mapping.mappers.Mapper`."""
        import cma

        space, n = problem.space, len(problem.space)
        counts = np.array([decision.choices for decision in space.decisions])
        turns = np.arange(n)[None]
        options = {"bounds": [0, 1], "seed": int(rng.integers(1, 2**31)), "verbose": -9, "verb_log": 0}
        if self.population is not None:
            options["popsize"] = self.population
        while True:  # restart from elsewhere whenever it has converged
            strategy = cma.CMAEvolutionStrategy(rng.random(n), self.sigma, options)
            while not strategy.stop():
                points = np.array(strategy.ask())
                wanted = points * counts - 0.5
                scores = -np.abs(wanted[:, :, None] - np.arange(CHOICES))
                choices = space.fill(scores, np.repeat(turns, len(points), axis=0))
                strategy.tell(list(points), list(problem.evaluate(choices)[0]))
