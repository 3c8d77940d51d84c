"""Topological orders, and the best way to cut one: exact dynamic programming over cut positions."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from nas_proxy.scheduling._problem import HOST, PipelineProblem, Schedule, evaluate

__all__ = ["best_cut", "bottlenecks", "random_orders"]


def best_cut(problem: PipelineProblem, orders: NDArray[np.integer], scheduler: str = "") -> Schedule:
    """The best schedule whose stages are consecutive pieces of one of ``orders``, of shape ``(r, n)``.

    Exact for each order: O(n^2) to price all pieces and O(n^2 stages) to choose.
    """
    orders = np.atleast_2d(orders)
    values, tables = _solve(problem, orders)
    best = int(np.argmin(values))
    cost, reach = tables(best)
    ends = [problem.n]
    for stage in range(problem.stages - 1, 0, -1):
        ends.append(int(np.argmin(np.maximum(reach[stage - 1], cost[:, ends[-1]]))))
    stage_of = np.empty(problem.n, np.int64)
    start = 0
    for stage, end in enumerate(reversed(ends)):
        stage_of[orders[best, start:end]] = stage
        start = end
    return evaluate(problem, stage_of, scheduler)


def bottlenecks(problem: PipelineProblem, orders: NDArray[np.integer]) -> NDArray[np.float64]:
    """The slowest stage of the best cut of every order, shape ``(r,)``."""
    return _solve(problem, np.atleast_2d(orders))[0]


def random_orders(problem: PipelineProblem, count: int, rng: np.random.Generator) -> NDArray[np.int64]:
    """Topological orders, each time a ready unit drawn uniformly. Shape ``(count, n)``."""
    orders = np.empty((count, problem.n), np.int64)
    degrees = [len(before) for before in problem.predecessors]
    for row in orders:
        waiting = list(degrees)
        ready = [unit for unit, degree in enumerate(waiting) if degree == 0]
        for position in range(problem.n):
            pick = int(rng.integers(len(ready)))
            ready[pick], ready[-1] = ready[-1], ready[pick]
            unit = row[position] = ready.pop()
            for successor in problem.successors[unit]:
                waiting[successor] -= 1
                if waiting[successor] == 0:
                    ready.append(successor)
    return orders


def _solve(problem: PipelineProblem, orders: NDArray[np.integer]):
    """Bottlenecks of all orders, and a function that gives one order's tables (piece costs, reachable bottlenecks)."""
    time_ms = _prefix(problem.time_ms[orders])
    parameters = _prefix(problem.parameter_bytes[orders])
    cuts = _cut_ms(problem, orders)
    n = problem.n
    backwards = np.tri(n + 1, n + 1, -1, dtype=bool)  # a piece cannot end before it starts

    def tables(row: int):
        cost = problem.segment_ms(
            time_ms[row][None, :] - time_ms[row][:, None],
            parameters[row][None, :] - parameters[row][:, None],
            cuts[row][None, :] + cuts[row][:, None],
        )
        cost[backwards] = np.inf
        reach = [cost[0]]
        for _ in range(problem.stages - 2):
            reach.append(np.maximum(reach[-1][:, None], cost).min(axis=0))
        return cost, reach

    values = np.empty(len(orders))
    for row in range(len(orders)):
        cost, reach = tables(row)
        values[row] = cost[0, n] if problem.stages == 1 else np.maximum(reach[-1], cost[:, n]).min()
    return values, tables


def _prefix(values: NDArray) -> NDArray:
    return np.concatenate([np.zeros((len(values), 1)), np.cumsum(values, axis=1)], axis=1)


def _cut_ms(problem: PipelineProblem, orders: NDArray) -> NDArray[np.float64]:
    """Transfer time at every cut position, shape ``(r, n + 1)``: of the tensors made before it and read after it."""
    rows = np.arange(len(orders))
    position = np.empty_like(orders)
    position[rows[:, None], orders] = np.arange(problem.n)
    change = np.zeros((len(orders), problem.n + 2))
    for tensor in problem.tensors:
        first = 0 if tensor.producer == HOST else position[:, tensor.producer] + 1
        if tensor.to_host:
            last = problem.n
        else:
            last = position[:, list(tensor.consumers)].max(axis=1) if tensor.consumers else first - 1
        change[rows, first] += tensor.bytes
        change[rows, np.asarray(last) + 1] -= tensor.bytes
    return np.cumsum(change, axis=1)[:, :-1] / problem.link_bytes_per_ms
