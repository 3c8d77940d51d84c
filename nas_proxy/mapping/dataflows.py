"""What an accelerator does without a search: the best of three fixed dataflows.

Each says which dimensions are unrolled over the array and which loops run innermost (Chen et al., ISCA 2016, section
III): weight stationary (channels over the array, positions innermost), output stationary (positions over the array,
sums innermost), row stationary (filter rows by output rows, the row of a filter in each PE). Factors go to the array
while it has room, then to the buffer while it has, then to DRAM.
"""

from __future__ import annotations

import contextlib
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from nas_proxy.mapping.accelerator import Accelerator
from nas_proxy.mapping.layer import DIMS, Layer
from nas_proxy.mapping.problem import BudgetSpentError, Objective, Problem, SearchResult
from nas_proxy.mapping.space import CHOICES, MappingSpace

__all__ = ["DATAFLOWS", "Dataflow", "default_mapping"]


@dataclass(frozen=True)
class Dataflow:
    """Dimensions in the order in which they are served; those left out come last.

    Attributes:
        name: in the literature.
        columns, rows: unrolled over the array's axes.
        registers: iterated inside a PE.
        inner: loops of buffer and DRAM, from the innermost.
    """

    name: str
    columns: str
    rows: str
    registers: str
    inner: str


DATAFLOWS = (
    Dataflow("weight stationary", columns="KGQP", rows="CGRSPQ", registers="", inner="QPNRSCK"),
    Dataflow("output stationary", columns="QKG", rows="PKG", registers="", inner="SRCQPNK"),
    Dataflow("row stationary", columns="PKGC", rows="RCGK", registers="SCK", inner="QPNCRSK"),
)


def default_mapping(layer: Layer, accelerator: Accelerator, objective: Objective = "edp") -> SearchResult:
    """The best, by the objective, of the fixed dataflows: no search, always the same.

    Raises:
        InputError: the accelerator cannot run this kind of layer.
    """
    problem = Problem(layer, accelerator, objective, budget=len(DATAFLOWS), pad=True)
    with contextlib.suppress(BudgetSpentError):
        problem.evaluate(np.concatenate([_choices(problem.space, dataflow) for dataflow in DATAFLOWS]))
    return problem.result()


def _choices(space: MappingSpace, dataflow: Dataflow) -> NDArray[np.int64]:
    """A dataflow as a valid assignment, (1, n)."""
    n = len(space)
    scores = np.zeros((1, n, CHOICES))
    scores[:, :3, 1] = 1.0  # everything that can be is kept in the buffer
    first = []
    for i, decision in enumerate(space.decisions[space.factor_slice], start=3):
        dim = decision.label[0]
        wishes = {1: _wish(dataflow.columns, dim, 30), 2: _wish(dataflow.rows, dim, 30)}
        wishes |= {0: _wish(dataflow.registers, dim, 15), 3: 5.0, 4: 0.0}
        for slot, wish in wishes.items():
            scores[0, i, slot] = wish
        first.append((-max(wishes.values()), -_wish(dataflow.inner, dim, 10), i))
    for dim_index, dim in enumerate(DIMS):
        scores[0, n - 4 :, dim_index] = _wish(dataflow.inner, dim, 10)
    turns = [0, 1, 2, *(i for *_, i in sorted(first)), *range(n - 4, n)]
    return space.fill(scores, np.array([turns]))


def _wish(dims: str, dim: str, most: int) -> float:
    """How much a dimension wants a place: the earlier it is named the more; below any other place if it is not."""
    return float(most - dims.index(dim)) if dim in dims else -1.0
