"""What a mapper is, and how one is run."""

from __future__ import annotations

import contextlib
from collections.abc import Callable
from typing import Protocol, runtime_checkable

import numpy as np

from nas_proxy.errors import InputError, whole_number
from nas_proxy.mapping.problem import BudgetSpentError, Problem, SearchResult
from nas_proxy.registry import Registry

__all__ = ["Mapper", "get_mapper", "map_problem", "mappers", "register_mapper"]


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


#: Factories: called without arguments, or with the mapper's own settings.
mappers: Registry[Callable[..., Mapper]] = Registry(
    "mapper",
    {
        "exact": "nas_proxy.mapping.mappers.exact:ExactMapper",
        "marl": "nas_proxy.mapping.mappers.marl:MarlMapper",
        "marl-without-critic": "nas_proxy.mapping.mappers.marl:without_critic",
        "policy-gradient": "nas_proxy.mapping.mappers.policy_gradient:PolicyGradientMapper",
        "random": "nas_proxy.mapping.mappers.baselines:RandomMapper",
        "genetic": "nas_proxy.mapping.mappers.baselines:GeneticMapper",
        "genetic-with-critic": "nas_proxy.mapping.mappers.baselines:with_critic",
        "cma-es": "nas_proxy.mapping.mappers.baselines:CmaMapper",
        "ppo": "nas_proxy.mapping.mappers.single_agent:unmasked",
        "ppo-masked": "nas_proxy.mapping.mappers.single_agent:masked",
        "ppo-archgym": "nas_proxy.mapping.mappers.single_agent:archgym",
    },
)


def register_mapper(name: str, factory: Callable[..., Mapper] | str) -> None:
    """Make a mapper known by name: ``factory()`` makes one."""
    mappers.register(name, factory)


def get_mapper(name: str) -> Mapper:
    """A mapper with its default settings.

    Raises:
        UnknownNameError: no mapper has this name; the message names the closest.
    """
    return mappers.get(name)()


def map_problem(problem: Problem, mapper: Mapper | str = "marl", seed: int = 0) -> SearchResult:
    """Search with a mapper until the budget is spent; the same seed gives the same result.

    Raises:
        InputError: the budget is smaller than what the mapper starts with, or the seed is negative.
        UnknownNameError: no mapper has this name.
    """
    rng = np.random.default_rng(whole_number(seed, "the seed"))
    mapper = get_mapper(mapper) if isinstance(mapper, str) else mapper
    if problem.budget < mapper.initial:
        raise InputError(
            f"a budget of {problem.budget} evaluations is below the {mapper.initial} that {type(mapper).__name__} "
            f"starts with: raise the budget, or lower the mapper's setting."
        )
    with contextlib.suppress(BudgetSpentError):
        mapper.search(problem, rng)
    return problem.result()
