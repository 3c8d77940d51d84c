"""What every policy that can be compressed must satisfy. In your tests::

from nas_proxy.testing.policies import CHECKS

@pytest.mark.parametrize("check", CHECKS)
def test_my_policy(check):
    check(my_task())
"""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np

from nas_proxy.compression import Compressor, Task, parse_method

__all__ = ["CHECKS", "check_it_acts", "check_methods", "check_seeds"]


def check_seeds(task: Task) -> None:
    """Methods are chosen by other episodes than those that confirm the choice."""
    assert len(task.seeds) >= 2, "a mean needs episodes"
    assert len(task.fresh_seeds) >= 2, "a mean needs episodes"
    assert not set(task.seeds) & set(task.fresh_seeds), "the episodes that confirm a choice are fresh"


def check_methods(task: Task) -> None:
    """Its methods are methods of compression."""
    assert all(str(parse_method(method)) for method in task.methods)


def check_it_acts(task: Task) -> None:
    """The policy takes the observations, acts as an ONNX file, and earns the same in the same episode."""
    compressor = Compressor(task.policy, task.evaluate, task.observations, seeds=task.seeds[:2], floor=task.floor)
    actor = compressor.float32
    earned = [float(task.evaluate(actor, seed)) for seed in task.seeds[:2]]
    assert all(map(math.isfinite, earned)), f"{earned} are no returns"
    again = [float(task.evaluate(actor, seed)) for seed in task.seeds[:2]]
    np.testing.assert_allclose(earned, again, rtol=1e-6, err_msg="the same episode has another return")


CHECKS: tuple[Callable[[Task], None], ...] = (check_seeds, check_methods, check_it_acts)
