"""What every mapper must satisfy. In your tests::

@pytest.mark.parametrize("check", CHECKS)
def test_my_mapper(check):
    check(MyMapper())
"""

from __future__ import annotations

import numpy as np
import pytest

from nas_proxy.errors import InputError
from nas_proxy.mapping.accelerator import Accelerator
from nas_proxy.mapping.cost_model import CostModel
from nas_proxy.mapping.layer import Layer
from nas_proxy.mapping.mappers import Mapper, map_problem
from nas_proxy.mapping.problem import Problem

__all__ = [
    "CHECKS",
    "check_budget",
    "check_determinism",
    "check_learns",
    "check_small_space",
    "check_too_small_a_budget",
    "check_valid",
    "small_accelerator",
]

_LAYER = Layer(k=16, c=8, p=8, q=8, r=3, s=3)
_BUDGET = 96


def small_accelerator() -> Accelerator:
    """An array of 4 x 8 with memories that matter for small layers."""
    level = {"read_energy_pj": 1.0, "write_energy_pj": 1.0}
    return Accelerator.model_validate(
        {
            "word_bits": 8,
            "pe_rows": 4,
            "pe_cols": 8,
            "mac_energy_pj": 1.0,
            "levels": {
                "RF": level | {"capacity_words": 32},
                "GLB": level | {"capacity_words": 1024, "read_energy_pj": 4.0, "read_words_per_cycle": 8.0},
                "DRAM": level | {"read_energy_pj": 100.0, "read_words_per_cycle": 2.0},
            },
        }
    )


def _problem(budget: int = _BUDGET, layer: Layer = _LAYER) -> Problem:
    return Problem(layer, small_accelerator(), budget=budget)


def check_valid(mapper: Mapper) -> None:
    """The result is a mapping of the layer that fits, and costs what the result says."""
    result = map_problem(_problem(), mapper, seed=0)
    result.mapping.check(_LAYER, small_accelerator())
    costs = CostModel(_LAYER, small_accelerator()).evaluate(result.mapping)
    assert costs.valid[0], "the mapping does not fit"
    assert np.log(costs.edp[0]) == pytest.approx(result.value)


def check_budget(mapper: Mapper) -> None:
    """The budget is spent, unless the optimum is proven before, and not more; the best so far never gets worse."""
    result = map_problem(_problem(), mapper, seed=0)
    assert result.evaluations == _BUDGET or (result.proven and result.evaluations < _BUDGET)
    assert len(result.history) == _BUDGET
    assert (np.diff(result.history) <= 0).all()
    assert result.history[-1] == result.value


def check_determinism(mapper: Mapper) -> None:
    """The same seed gives the same search, another seed another one unless the optimum is proven."""
    first, again = (map_problem(_problem(), mapper, seed=1).history for _ in range(2))
    np.testing.assert_array_equal(first, again)
    other = map_problem(_problem(), mapper, seed=2)
    assert other.proven or (other.history != first).any(), "the seed has no influence"


def check_learns(mapper: Mapper) -> None:
    """What it finds is better than its own first mappings."""
    gains = []
    for seed in range(3):
        result = map_problem(_problem(4 * _BUDGET), mapper, seed=seed)
        gains.append(np.inf if result.proven else result.history[9] - result.history[-1])
    assert np.mean(gains) > 0.1, "no better than its first ten mappings"


def check_small_space(mapper: Mapper) -> None:
    """A search ends where there are fewer mappings than evaluations to spend."""
    result = map_problem(_problem(2000, Layer("fc", c=2)), mapper, seed=0)
    assert 1 <= result.evaluations < 2000


def check_too_small_a_budget(mapper: Mapper) -> None:
    """A budget below the initial batch is refused before anything is evaluated."""
    if mapper.initial > 1:
        problem = _problem(mapper.initial - 1)
        with pytest.raises(InputError, match="raise the budget"):
            map_problem(problem, mapper, seed=0)
        assert problem.spent == 0


CHECKS = (
    check_valid,
    check_budget,
    check_determinism,
    check_learns,
    check_small_space,
    check_too_small_a_budget,
)
