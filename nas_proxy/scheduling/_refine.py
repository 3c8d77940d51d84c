"""Local search on schedules: units moved across one boundary at a time, compiled.

Tabu search (Glover, ORSA J. Computing 1989) with the moves of Fiduccia and Mattheyses (DAC 1982).
"""

from __future__ import annotations

import numpy as np
from numba import njit
from numpy.typing import NDArray

from nas_proxy.scheduling._net import net, segment_ms
from nas_proxy.scheduling._problem import PipelineProblem

__all__ = ["refine"]

_EVALUATIONS = 600_000  # of single moves, a row; under 0.1 s


def refine(
    problem: PipelineProblem, stage_of: NDArray[np.integer], *, moves: int | None = None, patience: int | None = None
) -> tuple[NDArray[np.int64], NDArray[np.float64]]:
    """Schedules at least as good as those of ``stage_of``, shape ``(r, n)``, and their bottlenecks ``(r,)``.

    Each move takes one unit over one boundary or, where none helps, swaps two over a boundary of the slowest stage: the
    best of all that keep tensors going forwards, judged by the 8-norm of stage times, so that the second slowest stage
    counts too. A unit moved rests for a while, so that the search can climb out of a local optimum; the best schedule
    met is returned.

    Args:
        moves: at most so many a row; default ``100 n``, fewer for more than 77 units.
        patience: stop after so many without a better schedule; default a quarter of ``moves``.
    """
    found = np.array(np.atleast_2d(stage_of), np.int64)
    rates = np.array([problem.cache_bytes, problem.stream_bytes_per_ms, problem.stage_ms])
    arrays = tuple(net(problem))[:9]
    moves = min(100 * problem.n, _EVALUATIONS // problem.n) if moves is None else moves
    patience = moves // 4 if patience is None else patience
    bottleneck_ms = np.empty(len(found))
    for row in range(len(found)):
        bottleneck_ms[row] = _walk(found[row], problem.stages, arrays, rates, moves, patience)
    return found, bottleneck_ms


@njit(cache=True)
def _power(value):
    """The 8th power."""
    value = value * value
    value = value * value
    return value * value


@njit(cache=True)
def _last(tensor, readers, stage_of, net):
    """The last stage that a tensor must reach."""
    producers, to_host = net[3], net[4]
    if to_host[tensor]:
        return readers.shape[1]
    for stage in range(readers.shape[1] - 1, -1, -1):
        if readers[tensor, stage] > 0:
            return stage
    return stage_of[producers[tensor]] if producers[tensor] >= 0 else -1


@njit(cache=True)
def _change(unit, by, readers, stage_of, net):
    """What moving a unit one stage forwards (``by`` 1) or backwards (-1) adds to that boundary's transfers.

    Infinite where a tensor would go backwards. Forwards, tensors read that did not cross the boundary now do and those
    made no longer do; backwards, those made now cross it and those that no other unit reads from there on do not.
    """
    _, _, sizes, producers, _, read_start, reads, make_start, makes = net
    stage, change = stage_of[unit], 0.0
    if stage + by < 0 or stage + by >= readers.shape[1]:
        return np.inf
    for tensor in makes[make_start[unit] : make_start[unit + 1]]:
        if by == 1 and readers[tensor, stage] > 0:
            return np.inf
        change -= by * sizes[tensor]
    for tensor in reads[read_start[unit] : read_start[unit + 1]]:
        producer = producers[tensor]
        if by == -1 and producer >= 0 and stage_of[producer] >= stage:
            return np.inf
        if _last(tensor, readers, stage_of, net) == stage:
            if by == 1:
                change += sizes[tensor]
            elif readers[tensor, stage] == 1:
                change -= sizes[tensor]
    return change


@njit(cache=True)
def _shared(first, second, stage, readers, stage_of, net):
    """Transfers that stay when two units swap: of tensors that both read, and no other unit in or after ``stage``.

    Infinite where the second reads what the first makes.
    """
    _, _, sizes, producers, _, read_start, reads, _, _ = net
    kept = 0.0
    for tensor in reads[read_start[second] : read_start[second + 1]]:
        if producers[tensor] == first:
            return np.inf
        if readers[tensor, stage] != 1 or _last(tensor, readers, stage_of, net) != stage:
            continue
        for other in reads[read_start[first] : read_start[first + 1]]:
            if other == tensor:
                kept += sizes[tensor]
    return kept


@njit(cache=True)
def _walk(stage_of, stages, net, rates, moves, patience):
    """Improve one schedule in place; returns its bottleneck. ``net``: see :class:`Net`."""
    time_ms, parameters, sizes, producers, _, read_start, reads, _, _ = net
    n, t = len(time_ms), len(sizes)
    readers = np.zeros((t, stages), np.int64)  # of each tensor, in each stage
    for unit in range(n):
        for tensor in reads[read_start[unit] : read_start[unit + 1]]:
            readers[tensor, stage_of[unit]] += 1
    work, held, crossing = np.zeros(stages), np.zeros(stages), np.zeros(stages + 1)
    for unit in range(n):
        work[stage_of[unit]] += time_ms[unit]
        held[stage_of[unit]] += parameters[unit]
    for tensor in range(t):
        first = stage_of[producers[tensor]] if producers[tensor] >= 0 else -1
        for boundary in range(first + 1, _last(tensor, readers, stage_of, net) + 1):
            crossing[boundary] += sizes[tensor]
    cost = np.empty(stages)
    for stage in range(stages):
        cost[stage] = segment_ms(work[stage], held[stage], crossing[stage] + crossing[stage + 1], rates)
    best, best_ms = stage_of.copy(), cost.max()
    resting = np.zeros(n, np.int64)
    rest, last_gain, noise = max(3, min(20, n // 5)), 0, np.uint64(88172645463325252)
    forward, backward = np.empty(n), np.empty(n)
    pair = np.empty(2, np.int64)

    for step in range(moves):
        top = cost.max()
        slowest = cost.argmax()
        chosen_score, chosen_change = np.inf, 0.0
        pair[:] = -1
        for unit in range(n):
            forward[unit] = backward[unit] = np.inf
            if resting[unit] > step:
                continue
            stage = stage_of[unit]
            for by in (1, -1):
                change = _change(unit, by, readers, stage_of, net)
                if by == 1:
                    forward[unit] = change
                else:
                    backward[unit] = change
                if change == np.inf:
                    continue
                score = _score(
                    stage, stage + by, time_ms[unit], parameters[unit], change, work, held, crossing, cost, top, rates
                )
                if score < chosen_score:
                    chosen_score, chosen_change = score, change
                    pair[0], pair[1] = (unit, -1) if by == 1 else (-1, unit)
        # no single move helps: swaps over the slowest stage's boundaries
        for stage in range(max(0, slowest - 1), min(stages - 1, slowest + 1) if chosen_score >= 0 else 0):
            for first in range(n):
                if stage_of[first] != stage or forward[first] == np.inf:
                    continue
                for second in range(n):
                    if stage_of[second] != stage + 1 or backward[second] == np.inf:
                        continue
                    change = forward[first] + backward[second]
                    change += _shared(first, second, stage + 1, readers, stage_of, net)
                    score = _score(
                        stage, stage + 1, time_ms[first] - time_ms[second], parameters[first] - parameters[second],
                        change, work, held, crossing, cost, top, rates,
                    )  # fmt: skip
                    if score < chosen_score:
                        chosen_score, chosen_change = score, change
                        pair[0], pair[1] = first, second
        if chosen_score == np.inf:
            if (resting > step).any():
                continue
            break
        low = stage_of[pair[0]] if pair[0] >= 0 else stage_of[pair[1]] - 1
        crossing[low + 1] += chosen_change
        for i in range(2):
            unit, source, target = pair[i], low + i, low + 1 - i
            if unit < 0:
                continue
            for tensor in reads[read_start[unit] : read_start[unit + 1]]:
                readers[tensor, source] -= 1
                readers[tensor, target] += 1
            stage_of[unit] = target
            work[source] -= time_ms[unit]
            work[target] += time_ms[unit]
            held[source] -= parameters[unit]
            held[target] += parameters[unit]
            noise ^= noise << np.uint64(13)
            noise ^= noise >> np.uint64(7)
            noise ^= noise << np.uint64(17)
            resting[unit] = step + 1 + rest + np.int64(noise % np.uint64(rest + 1))
        for stage in (low, low + 1):
            cost[stage] = segment_ms(work[stage], held[stage], crossing[stage] + crossing[stage + 1], rates)
        if cost.max() < best_ms * (1 - 1e-9):
            best[:], best_ms, last_gain = stage_of, cost.max(), step
        if step - last_gain > patience:
            break
    stage_of[:] = best
    return best_ms


@njit(cache=True)
def _score(source, target, time_ms, parameters, change, work, held, crossing, cost, top, rates):
    """How much the sum of 8th powers of stage times grows when work moves between neighbouring stages."""
    left = segment_ms(
        work[source] - time_ms, held[source] - parameters, crossing[source] + crossing[source + 1] + change, rates
    )
    right = segment_ms(
        work[target] + time_ms, held[target] + parameters, crossing[target] + crossing[target + 1] + change, rates
    )
    return _power(left / top) + _power(right / top) - _power(cost[source] / top) - _power(cost[target] / top)
