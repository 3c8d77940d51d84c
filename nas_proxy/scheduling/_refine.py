"""Local search on schedules, compiled: simulated annealing over units moved across one boundary, or swapped over it.

Kirkpatrick, Gelatt, Vecchi: Optimization by simulated annealing, Science 220, 1983.
"""

from __future__ import annotations

import numpy as np
from numba import njit
from numpy.typing import NDArray

from nas_proxy.scheduling._net import Net, net, segment_ms
from nas_proxy.scheduling._problem import PipelineProblem

__all__ = ["refine"]

_PROPOSALS = 1_500  # a unit; about 0.2 us each
_HOT, _COLD = 1.0, 0.03  # over n: relative growth that is accepted with probability 1/e, at first and at last
_SWAPS = 0.6


def refine(
    problem: PipelineProblem, stage_of: NDArray[np.integer], *, proposals: int | None = None, seed: int = 0
) -> tuple[NDArray[np.int64], NDArray[np.float64]]:
    """Schedules at least as good as those of ``stage_of``, shape ``(r, n)``, and their bottlenecks ``(r,)``.

    Each proposal takes one unit over one boundary, or swaps it with one from there, where that keeps tensors going
    forwards. What grows the 16-norm of stage times (so that the second slowest stage counts too) is accepted with the
    probability that the falling temperature allows; the best schedule met is returned.

    Args:
        proposals: to each row; default 1,500 a unit.
        seed: of the proposals.
    """
    found = np.array(np.atleast_2d(stage_of), np.int64)
    proposals = _PROPOSALS * problem.n if proposals is None else proposals
    rng = np.random.default_rng(seed)
    bottleneck_ms = np.empty(len(found))
    for row in range(len(found)):
        bottleneck_ms[row] = _anneal(
            found[row], problem.stages, net(problem), proposals, _HOT / problem.n, _COLD / problem.n, rng
        )
    return found, bottleneck_ms


@njit(cache=True)
def _power(value):
    """The 16th power."""
    value = value * value
    value = value * value
    value = value * value
    return value * value


@njit(cache=True)
def _last(tensor, readers, stage_of, net):
    """The last stage that a tensor must reach."""
    if net.to_host[tensor]:
        return readers.shape[1]
    for stage in range(readers.shape[1] - 1, -1, -1):
        if readers[tensor, stage] > 0:
            return stage
    return stage_of[net.producer[tensor]] if net.producer[tensor] >= 0 else -1


@njit(cache=True)
def _change(unit, by, readers, stage_of, net):
    """What moving a unit one stage forwards (``by`` 1) or backwards (-1) adds to that boundary's transfers.

    Infinite where a tensor would go backwards. Forwards, tensors read that did not cross the boundary now do and those
    made no longer do; backwards, those made now cross it and those that no other unit reads from there on do not.
    """
    stage, change = stage_of[unit], 0.0
    if stage + by < 0 or stage + by >= readers.shape[1]:
        return np.inf
    for tensor in net.makes[net.make_start[unit] : net.make_start[unit + 1]]:
        if by == 1 and readers[tensor, stage] > 0:
            return np.inf
        change -= by * net.moved_ms[tensor]
    for tensor in net.reads[net.read_start[unit] : net.read_start[unit + 1]]:
        producer = net.producer[tensor]
        if by == -1 and producer >= 0 and stage_of[producer] >= stage:
            return np.inf
        if _last(tensor, readers, stage_of, net) == stage:
            if by == 1:
                change += net.moved_ms[tensor]
            elif readers[tensor, stage] == 1:
                change -= net.moved_ms[tensor]
    return change


@njit(cache=True)
def _shared(first, second, stage, readers, stage_of, net):
    """Transfers that stay when two units swap: of tensors that both read, and no other unit in or after ``stage``.

    Infinite where the second reads what the first makes.
    """
    kept = 0.0
    for tensor in net.reads[net.read_start[second] : net.read_start[second + 1]]:
        if net.producer[tensor] == first:
            return np.inf
        if readers[tensor, stage] != 1 or _last(tensor, readers, stage_of, net) != stage:
            continue
        for other in net.reads[net.read_start[first] : net.read_start[first + 1]]:
            if other == tensor:
                kept += net.moved_ms[tensor]
    return kept


@njit(cache=True)
def _anneal(stage_of, stages, net: Net, proposals, hot, cold, rng):
    """Improve one schedule in place; returns its bottleneck."""
    n, t = len(net.time_ms), len(net.moved_ms)
    readers = np.zeros((t, stages), np.int64)  # of each tensor, in each stage
    work, held, crossing = np.zeros(stages), np.zeros(stages), np.zeros(stages + 1)
    for unit in range(n):
        work[stage_of[unit]] += net.time_ms[unit]
        held[stage_of[unit]] += net.parameter_bytes[unit]
        for tensor in net.reads[net.read_start[unit] : net.read_start[unit + 1]]:
            readers[tensor, stage_of[unit]] += 1
    for tensor in range(t):
        first = stage_of[net.producer[tensor]] if net.producer[tensor] >= 0 else -1
        for boundary in range(first + 1, _last(tensor, readers, stage_of, net) + 1):
            crossing[boundary] += net.moved_ms[tensor]
    cost = np.empty(stages)
    for stage in range(stages):
        cost[stage] = segment_ms(work[stage], held[stage], crossing[stage] + crossing[stage + 1], net.rates)
    best, best_ms, scale = stage_of.copy(), cost.max(), cost.max()
    if best_ms == 0:  # nothing costs anything
        return best_ms
    total = 0.0
    for stage in range(stages):
        total += _power(cost[stage] / scale)
    temperature, cooling = hot, (cold / hot) ** (1 / max(proposals, 1))

    for _ in range(proposals):
        temperature *= cooling
        place = rng.random() * n
        unit = int(place)
        by = 1 if place - unit < 0.5 else -1
        source, target = stage_of[unit], stage_of[unit] + by
        change = _change(unit, by, readers, stage_of, net)
        if change == np.inf:
            continue
        other, time_ms, parameter_bytes = -1, net.time_ms[unit], net.parameter_bytes[unit]
        if rng.random() < _SWAPS:
            for _ in range(2 * stages):
                other = int(rng.random() * n)
                if stage_of[other] == target:
                    break
            if stage_of[other] != target:
                continue
            change += _change(other, -by, readers, stage_of, net)
            first, second = (unit, other) if by == 1 else (other, unit)
            if change < np.inf:
                change += _shared(first, second, max(source, target), readers, stage_of, net)
            if change == np.inf:
                continue
            time_ms -= net.time_ms[other]
            parameter_bytes -= net.parameter_bytes[other]
        from_ms = segment_ms(
            work[source] - time_ms,
            held[source] - parameter_bytes,
            crossing[source] + crossing[source + 1] + change,
            net.rates,
        )
        to_ms = segment_ms(
            work[target] + time_ms,
            held[target] + parameter_bytes,
            crossing[target] + crossing[target + 1] + change,
            net.rates,
        )
        growth = _power(from_ms / scale) + _power(to_ms / scale)
        growth -= _power(cost[source] / scale) + _power(cost[target] / scale)
        if growth > 0 and growth > -16 * temperature * total * np.log(rng.random()):
            continue
        total += growth
        cost[source], cost[target] = from_ms, to_ms
        crossing[max(source, target)] += change
        work[source] -= time_ms
        work[target] += time_ms
        held[source] -= parameter_bytes
        held[target] += parameter_bytes
        _move(unit, target, readers, stage_of, net)
        if other >= 0:
            _move(other, source, readers, stage_of, net)
        if cost.max() < best_ms * (1 - 1e-9):
            best[:], best_ms = stage_of, cost.max()
    stage_of[:] = best
    return best_ms


@njit(cache=True)
def _move(unit, target, readers, stage_of, net):
    for tensor in net.reads[net.read_start[unit] : net.read_start[unit + 1]]:
        readers[tensor, stage_of[unit]] -= 1
        readers[tensor, target] += 1
    stage_of[unit] = target
