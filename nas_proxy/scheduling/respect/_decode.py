"""Topological orders from a policy: many rows of many problems in one batch, only ready units can be chosen."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from nas_proxy.scheduling.respect._features import Instance
from nas_proxy.scheduling.respect._policy import Keys
from nas_proxy.scheduling.respect._state import DecodingState

__all__ = ["Rollout", "decode"]


@dataclass(frozen=True)
class Rollout:
    """Orders, shape ``(r, n)``, and, where recorded, every choice: ``p`` ready units over all rows and steps.

    ``step`` numbers the (row, step) a ready unit belongs to, ``chosen`` marks the one taken, ``allowed`` those that the
    teacher would have taken.
    """

    orders: NDArray[np.int64]
    row: NDArray[np.int64]
    step: NDArray[np.int64]
    unit: NDArray[np.int64]
    last: NDArray[np.int64]
    move: NDArray[np.float32]
    context: NDArray[np.float32]
    chosen: NDArray[np.bool_]
    allowed: NDArray[np.bool_]


def decode(
    instances: Sequence[Instance],
    keys: Sequence[Keys],
    rows: int,
    rng: np.random.Generator | None,
    *,
    temperature: float = 1.0,
    teacher: NDArray[np.integer] | None = None,
    record: bool = False,
) -> Rollout:
    """``rows`` orders of each problem (all of the same size), rows of one problem next to each other.

    Args:
        rng: draws from the policy; where it is None each row takes the best ready unit.
        temperature: of the draws; the first row of each problem is greedy when there are several rows of one problem.
        teacher: stages ``(problems, n)``: only ready units of the least stage left are taken.
        record: keep every choice, for training.
    """
    state, scorer = DecodingState(instances, rows), _Scorer(keys)
    total, n = state.rows, state.n
    orders = np.empty((total, n), np.int64)
    kept: list[tuple] = []
    stage = None if teacher is None else np.repeat(np.asarray(teacher), rows, axis=0)
    for position in range(n):
        row, unit = np.nonzero(state.ready)
        if len(row) == total and not record:  # nothing to choose
            orders[:, position] = unit
            state.place(unit, position)
            continue
        move, context = state.features(row, unit, position)
        scores = scorer.scores(state, row, unit, move, context)
        allowed = np.ones(len(row), bool)
        if stage is not None:
            least = np.full(total, np.iinfo(np.int64).max)
            np.minimum.at(least, row, stage[row, unit])
            allowed = stage[row, unit] == least[row]
        noisy = scores
        if rng is not None:
            noisy = scores / temperature - np.log(-np.log(rng.random(len(row)) + 1e-12) + 1e-12)
        board = np.full((total, n), -np.inf)
        board[row, unit] = np.where(allowed, noisy, -np.inf)
        choice = board.argmax(axis=1)
        orders[:, position] = choice
        if record:
            step = row * n + position
            kept.append((row, step, unit, state.last[row], move, context[row], unit == choice[row], allowed))
        state.place(choice, position)
    if not record:
        empty = np.empty(0)
        return Rollout(orders, *[empty] * 8)  # type: ignore[arg-type]
    return Rollout(orders, *(np.concatenate(part) for part in zip(*kept, strict=True)))


class _Scorer:
    """The policy's attention (:meth:`SchedulingPolicy.logits`) in arrays."""

    def __init__(self, keys: Sequence[Keys]) -> None:
        self.unit, self.last = np.stack([k.unit for k in keys]), np.stack([k.last for k in keys])
        self.weights = keys[0]

    def scores(self, state: DecodingState, row: NDArray, unit: NDArray, move: NDArray, context: NDArray) -> NDArray:
        query = context @ self.weights.context
        query += self.last[state.which, state.last] * (state.last >= 0)[:, None]
        hidden = self.unit[state.which[row], unit] + move @ self.weights.move + query[row]
        return np.maximum(hidden, 0, out=hidden) @ self.weights.score + move @ self.weights.move_score
