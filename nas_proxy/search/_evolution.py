"""pymoo's genetic algorithm over codes. Kept apart because importing pymoo takes a second."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray
from pymoo.algorithms.soo.nonconvex.ga import GA
from pymoo.core.mutation import Mutation
from pymoo.core.problem import Problem
from pymoo.operators.crossover.ux import UniformCrossover
from pymoo.optimize import minimize

__all__ = ["ResampleChoices", "evolve"]


def evolve(
    evaluate: Callable[[NDArray[np.int64]], tuple[NDArray[np.float64], NDArray[np.float64]]],
    start: NDArray[np.int64],
    options: NDArray[np.int64],
    generations: int,
    seed: int,
) -> None:
    """Maximise over codes; ``evaluate`` sees every population.

    Args:
        evaluate: codes ``(n, choices)`` to values ``(n,)`` and violations ``(n,)``, which are 0 where feasible.
        start: the first population.
        options: number of options of each choice, ``(choices,)``.
    """

    class Codes(Problem):
        def __init__(self) -> None:
            super().__init__(n_var=len(options), n_obj=1, n_ieq_constr=1, xl=0, xu=options - 1, vtype=int)

        def _evaluate(self, x: NDArray[Any], out: dict[str, Any], *_: Any, **__: Any) -> None:
            value, violation = evaluate(np.asarray(x, dtype=np.int64))
            out["F"], out["G"] = -value[:, None], violation[:, None]

    algorithm = GA(
        pop_size=len(start),
        sampling=start,  # pyright: ignore[reportArgumentType]
        crossover=UniformCrossover(),  # pyright: ignore[reportArgumentType]
        mutation=ResampleChoices(),  # pyright: ignore[reportArgumentType]
    )
    minimize(Codes(), algorithm, ("n_gen", generations), seed=seed)


class ResampleChoices(Mutation):
    """Draws each choice anew with a probability, by default 1 / number of choices."""

    def __init__(self, probability: float | None = None) -> None:
        super().__init__()
        self.probability = probability

    def _do(self, problem: Any, X: NDArray[Any], *_: Any, random_state: Any = None, **__: Any) -> NDArray[Any]:
        changed = random_state.random(X.shape) < (self.probability or 1 / problem.n_var)
        return np.where(changed, random_state.integers(problem.xl, problem.xu + 1, size=X.shape), X)
