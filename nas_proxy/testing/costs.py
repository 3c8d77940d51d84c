"""What every cost of a graph must satisfy. In your tests::

from nas_proxy.testing.costs import CHECKS

@pytest.mark.parametrize("check", CHECKS)
def test_my_cost(check):
    check(MyCost())
"""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np

from nas_proxy.devices.costs import GraphCost
from nas_proxy.rewriting._state import start
from nas_proxy.testing.rules import random_graphs

__all__ = ["CHECKS", "check_names", "check_prices", "check_repeatable", "check_reprices"]


def check_names(cost: GraphCost) -> None:
    """It says what it is called and in which unit it counts."""
    assert cost.name, "a cost has a name"
    assert cost.unit, "a cost has a unit"


def check_prices(cost: GraphCost) -> None:
    """What a graph costs is finite and not negative, and so is what each of its nodes does."""
    for graph in random_graphs(range(10)):
        priced = cost.price(graph)
        assert priced.graph is graph
        assert math.isfinite(priced.total), f"{priced.total} is no cost"
        assert priced.total >= 0, f"{priced.total} is no cost"
        assert set(priced.by_node) == {node.name for node in graph.nodes}, "every node has its cost"
        assert min(priced.by_node.values(), default=0.0) >= 0, "a node costs less than nothing"


def check_repeatable(cost: GraphCost) -> None:
    """The same graph costs the same."""
    for graph in random_graphs(range(5)):
        assert cost.price(graph).total == cost.price(graph).total


def check_reprices(cost: GraphCost) -> None:
    """After a substitution, pricing what has changed gives what pricing the whole graph does."""
    rng = np.random.default_rng(0)
    for graph in random_graphs(range(10)):
        state = start(graph, cost)
        for _ in range(3):
            if not state.candidates:
                break
            state = state.move(state.candidates[int(rng.integers(len(state.candidates)))])
            np.testing.assert_allclose(state.total, cost.price(state.graph).total, rtol=1e-9)


CHECKS: tuple[Callable[[GraphCost], None], ...] = (check_names, check_prices, check_repeatable, check_reprices)
