"""Topological orders of one problem, drawn from a policy in compiled code: :func:`decode` without its records."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numba import njit
from numpy.typing import NDArray

from nas_proxy.scheduling._net import Net, net
from nas_proxy.scheduling._problem import PipelineProblem
from nas_proxy.scheduling.respect._features import Instance
from nas_proxy.scheduling.respect._policy import Keys

__all__ = ["draw_orders"]


class _Shares(NamedTuple):
    """What drawing reads of an :class:`Instance`; the fields are described there."""

    share: NDArray[np.float64]
    cached: NDArray[np.float64]
    made: NDArray[np.float64]
    moved: NDArray[np.float64]
    readers: NDArray[np.int64]
    arriving: float
    stages: int


def draw_orders(
    problem: PipelineProblem, instance: Instance, keys: Keys, count: int, rng: np.random.Generator
) -> NDArray[np.int64]:
    """Topological orders ``(count, n)``: the first takes the policy's best ready unit at every step, others are drawn.

    Features are those of :class:`DecodingState`, scores those of :meth:`SchedulingPolicy.logits`.
    """
    orders = np.empty((count, problem.n), np.int64)
    shares = _Shares(*(getattr(instance, name) for name in _Shares._fields))
    _draw(orders, net(problem), shares, keys, rng)
    return orders


@njit(cache=True, fastmath={"reassoc", "contract"})
def _draw(orders, net: Net, shares: _Shares, keys: Keys, rng):
    share, cached, made, moved, readers, arriving, stages = shares
    key, last_key, move_weight, context_weight, score_weight, move_score = keys
    n, width = key.shape
    all_work, all_held = share.sum(), cached.sum()
    if all_work == 0:  # no unit takes time: nothing is done from first to last
        all_work = 1.0
    if all_held == 0:
        all_held = 1.0
    move, context = np.empty(len(move_score), np.float32), np.empty(len(context_weight), np.float32)
    query = np.empty(width, np.float32)
    for row in range(len(orders)):
        waiting = np.zeros(n, np.int64)
        for unit in net.after:
            waiting[unit] += 1
        left, since = readers.copy(), np.zeros(n, np.int64)
        ready, count = np.empty(n, np.int64), 0
        for unit in range(n):
            if waiting[unit] == 0:
                ready[count], count = unit, count + 1
        last, live, work, held = -1, arriving, 0.0, 0.0
        for position in range(n):
            done = work / all_work * stages
            cache = held / all_held * stages
            stage = np.floor(done + 1e-9)
            fill, cache_fill = done - stage, cache - np.floor(cache + 1e-9)
            context[:] = done / stages, fill, cache_fill, live, (stage + 1) / stages
            for i in range(width if count > 1 else 0):
                query[i] = last_key[last, i] if last >= 0 else 0
                for j in range(len(context)):
                    query[i] += context[j] * context_weight[j, i]
            chosen, best = 0, -np.inf
            for slot in range(count if count > 1 else 0):
                unit, freed, follows = ready[slot], 0.0, False
                for tensor in net.reads[net.read_start[unit] : net.read_start[unit + 1]]:
                    follows |= net.producer[tensor] == last
                    if left[tensor] == 1:
                        freed += moved[tensor]
                move[0], move[1] = freed, made[unit] - freed
                move[2] = min((position - since[unit]) / 8, 2.0)
                move[3] = follows and last >= 0
                move[4] = min(fill + share[unit] / all_work * stages, 3.0)
                move[5] = min(cache_fill + cached[unit] / all_held * stages, 3.0)
                score = np.float32(0)
                for i in range(width):
                    hidden = key[unit, i] + query[i]
                    for j in range(len(move)):
                        hidden += move[j] * move_weight[j, i]
                    score += max(hidden, np.float32(0)) * score_weight[i]
                for j in range(len(move)):
                    score += move[j] * move_score[j]
                if row > 0:
                    score -= np.log(-np.log(rng.random() + 1e-12) + 1e-12)  # the largest is a draw by softmax
                if score > best or (score == best and unit < ready[chosen]):
                    chosen, best = slot, score
            unit, count = ready[chosen], count - 1
            ready[chosen] = ready[count]
            orders[row, position] = unit
            live += made[unit]
            for tensor in net.reads[net.read_start[unit] : net.read_start[unit + 1]]:
                if left[tensor] == 1:
                    live -= moved[tensor]
                left[tensor] -= 1
            for follower in net.after[net.after_start[unit] : net.after_start[unit + 1]]:
                waiting[follower] -= 1
                if waiting[follower] == 0:
                    since[follower] = position + 1
                    ready[count], count = follower, count + 1
            work, held, last = work + share[unit], held + cached[unit], unit
