"""Topological orders, and the best way to cut one: exact dynamic programming over cut positions, compiled."""

from __future__ import annotations

import numpy as np
from numba import njit
from numpy.typing import NDArray

from nas_proxy.scheduling._net import net, segment_ms
from nas_proxy.scheduling._problem import PipelineProblem, Schedule, evaluate

__all__ = ["best_cut", "best_cuts", "bottlenecks", "random_orders"]


def best_cut(problem: PipelineProblem, orders: NDArray[np.integer], scheduler: str = "") -> Schedule:
    """The best schedule whose stages are consecutive pieces of one of ``orders``, of shape ``(r, n)``."""
    values, stages = best_cuts(problem, orders)
    return evaluate(problem, stages[int(np.argmin(values))], scheduler)


def bottlenecks(problem: PipelineProblem, orders: NDArray[np.integer]) -> NDArray[np.float64]:
    """The slowest stage of the best cut of every order, shape ``(r,)``."""
    return best_cuts(problem, orders)[0]


def best_cuts(problem: PipelineProblem, orders: NDArray[np.integer]) -> tuple[NDArray[np.float64], NDArray[np.int64]]:
    """The best cut of every order: its slowest stage ``(r,)``, and the stage of every unit ``(r, n)``.

    Exact for each order, in O(n^2 stages).
    """
    orders = np.atleast_2d(np.asarray(orders, np.int64))
    values, stage_of = np.empty(len(orders)), np.empty(orders.shape, np.int64)
    for row, order in enumerate(orders):
        values[row] = _cut(order, problem.stages, net(problem), stage_of[row])
    return values, stage_of


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


@njit(cache=True)
def _cut(order, stages, net, stage_of):
    """Fill the stage of every unit in the best cut of one order; returns its slowest stage."""
    n = len(order)
    time_ms, parameter_bytes = np.zeros(n + 1), np.zeros(n + 1)
    for i in range(n):
        time_ms[i + 1] = time_ms[i] + net.time_ms[order[i]]
        parameter_bytes[i + 1] = parameter_bytes[i] + net.parameter_bytes[order[i]]
    cut_ms = _transfers(order, net)
    reach = np.full((n + 1, stages + 1), np.inf)  # slowest stage of the best cut of the first units into some stages
    reach[0, 0] = 0.0
    start = np.zeros((n + 1, stages + 1), np.int64)
    for end in range(n + 1):
        for first in range(end + 1):
            piece_ms = segment_ms(
                time_ms[end] - time_ms[first],
                parameter_bytes[end] - parameter_bytes[first],
                cut_ms[end] + cut_ms[first],
                net.rates,
            )
            for stage in range(1, stages + 1):
                slowest = max(reach[first, stage - 1], piece_ms)
                if slowest < reach[end, stage]:
                    reach[end, stage], start[end, stage] = slowest, first
    end = n
    for stage in range(stages, 0, -1):
        first = start[end, stage]
        for i in range(first, end):
            stage_of[order[i]] = stage - 1
        end = first
    return reach[n, stages]


@njit(cache=True)
def _transfers(order, net):
    """Transfer time at every cut position ``(n + 1,)``: of the tensors made before it and read after it."""
    n = len(order)
    change = np.zeros(n + 2)
    last = np.full(len(net.moved_ms), -1)
    made = np.zeros(len(net.moved_ms), np.int64)  # the first cut after its producer
    for i in range(n):
        unit = order[i]
        for tensor in net.reads[net.read_start[unit] : net.read_start[unit + 1]]:
            last[tensor] = i
        for tensor in net.makes[net.make_start[unit] : net.make_start[unit + 1]]:
            made[tensor] = i + 1
    for tensor in range(len(last)):
        if net.to_host[tensor]:
            last[tensor] = n
        if last[tensor] >= made[tensor]:
            change[made[tensor]] += net.moved_ms[tensor]
            change[last[tensor] + 1] -= net.moved_ms[tensor]
    return np.cumsum(change)[:-1]
