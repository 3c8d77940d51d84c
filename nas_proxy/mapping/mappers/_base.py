"""What a mapper is, and how one is run."""

from __future__ import annotations

import contextlib
import logging
from typing import Protocol, runtime_checkable

import numpy as np

from nas_proxy import extensions
from nas_proxy.errors import InputError, whole_number
from nas_proxy.mapping.problem import BudgetSpentError, Problem, SearchResult

__all__ = ["Mapper", "map_problem"]

_log = logging.getLogger(__name__)


@runtime_checkable
class Mapper(Protocol):
    """A way of searching. A mapper has no state of its own between searches."""

    @property
    def initial(self) -> int:
        """Evaluations it needs before it can decide anything."""
        ...

    def search(self, problem: Problem, rng: np.random.Generator) -> None:
        """Evaluate mappings until the budget is spent (:class:`BudgetSpentError` then ends the search).

        May return earlier only where every mapping has been evaluated or ruled out.
        """
        ...


def map_problem(problem: Problem, mapper: Mapper | str = "marl", seed: int = 0) -> SearchResult:
    """Search with a mapper until the budget is spent; the same seed gives the same result.

    Args:
        problem: the layer, the accelerator, the objective and the budget.
        mapper: one, or the name of one with its options: ``"marl(critic=false)"``.
        seed: of the search.

    Raises:
        InputError: the budget is smaller than what the mapper starts with, or the seed is negative.
        UnknownNameError: no mapper has this name, or the mapper no such option.
    """
    rng = np.random.default_rng(whole_number(seed, "the seed"))
    found: Mapper = extensions.get("mappers", mapper)
    if problem.budget < found.initial:
        raise InputError(
            f"a budget of {problem.budget} evaluations is below the {found.initial} that {type(found).__name__} "
            f"starts with: raise the budget, or lower the mapper's setting."
        )
    with contextlib.suppress(BudgetSpentError):
        found.search(problem, rng)
    result = problem.result()
    _log.info("%s mapped by %s: %d of %d evaluations", problem.space.layer, mapper, result.evaluations, problem.budget)
    return result
