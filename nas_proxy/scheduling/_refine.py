"""Local search on schedules: units moved across one boundary at a time (after Fiduccia and Mattheyses, DAC 1982)."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from nas_proxy.scheduling._problem import HOST, PipelineProblem

__all__ = ["refine"]


def refine(
    problem: PipelineProblem, stage_of: NDArray[np.integer], *, moves: int | None = None
) -> tuple[NDArray[np.int64], NDArray[np.float64]]:
    """Schedules at least as good as those of ``stage_of``, shape ``(r, n)``, and their bottlenecks ``(r,)``.

    Each move takes one unit over one boundary: the best of all moves that keep tensors going forwards, judged by the
    16-norm of stage times, so that the second slowest stage counts too. A unit moved rests for a while, so that the
    search can climb out of a local optimum; the best schedule met is returned. All rows move together.
    ``moves``: at most so many; default ``3 n``.
    """
    search = _Search(problem, np.array(np.atleast_2d(stage_of), np.int64))
    best, best_ms = search.stage_of.copy(), search.stage_ms().max(axis=1)
    if problem.stages == 1:
        return best, best_ms
    resting = np.zeros(search.stage_of.shape, np.int64)
    rest = max(3, min(20, problem.n // 5))
    last_gain = 0
    for step in range(3 * problem.n if moves is None else moves):
        unit, target = search.best_moves(resting <= step)
        search.move(unit, target)
        resting[search.rows, unit] = step + rest
        now_ms = search.stage_ms().max(axis=1)
        better = now_ms < best_ms * (1 - 1e-9)
        if better.any():
            best[better], best_ms[better] = search.stage_of[better], now_ms[better]
            last_gain = step
        if step - last_gain > 2 * rest + 10:
            break
    return best, best_ms


class _Grouped:
    """Sums and extremes over groups of columns; every group has at least the idle last column of what it is given."""

    def __init__(self, pairs: Sequence[tuple[int, int]], groups: int, idle: int) -> None:
        ordered = sorted([*pairs, *((group, idle) for group in range(groups))])
        self.group, self.column = np.array(ordered).T
        self.starts = np.flatnonzero(np.diff(self.group, prepend=-1))

    def reduce(self, function: np.ufunc, values: NDArray) -> NDArray:
        """Over the columns of each group, of ``values`` as they are listed in ``column``."""
        return function.reduceat(values, self.starts, axis=1)


class _Search:
    """Rows of schedules with their sums. A tensor crosses boundary b (after stage b - 1) iff first < b <= last."""

    def __init__(self, problem: PipelineProblem, stage_of: NDArray[np.int64]) -> None:
        self.problem, self.stage_of = problem, stage_of
        n, k, self.count = problem.n, problem.stages, len(problem.tensors)
        self.rows = np.arange(len(stage_of))
        self.sizes = np.array([tensor.bytes for tensor in problem.tensors], np.float64) / problem.link_bytes_per_ms
        reads = [(t, c) for t, tensor in enumerate(problem.tensors) for c in set(tensor.consumers)]
        self.readers = _Grouped(reads, self.count, n)  # of each tensor
        self.reads = _Grouped([(c, t) for t, c in reads], n, self.count)  # of each unit
        makes = [(tensor.producer, t) for t, tensor in enumerate(problem.tensors) if tensor.producer != HOST]
        self.maker, self.made = np.array(makes, np.int64).reshape(-1, 2).T
        edges = [(v, u) for v in range(n) for u in problem.predecessors[v]]
        self.before, self.after = _Grouped(edges, n, n), _Grouped([(u, v) for v, u in edges], n, n)
        used = np.array([bool(tensor.consumers) or tensor.to_host for tensor in problem.tensors])
        self.output = np.bincount(self.maker, (self.sizes * used)[self.made], n)
        self.floor = np.array([k if tensor.to_host else -1 for tensor in problem.tensors])
        flat = (stage_of + k * self.rows[:, None]).ravel()
        shape = len(stage_of), k
        tiled = (np.tile(values, len(stage_of)) for values in (problem.time_ms, problem.parameter_bytes))
        self.time, self.parameters = (np.bincount(flat, v, shape[0] * k).reshape(shape) for v in tiled)
        self._spans()
        change = np.zeros((shape[0], k + 2))
        np.add.at(change, (self.rows[:, None], self.first + 1), self.sizes)
        np.add.at(change, (self.rows[:, None], self.last + 1), -self.sizes)
        self.crossing = np.cumsum(change, axis=1)[:, : k + 1]

    def _spans(self) -> None:
        """First and last stage of every tensor, and how many of its readers are in the last."""
        self.first = np.full((len(self.rows), self.count), -1)
        self.first[:, self.made] = self.stage_of[:, self.maker]
        padded = np.concatenate([self.stage_of, np.full((len(self.rows), 1), -1)], axis=1)
        stages = padded[:, self.readers.column]
        self.last = np.maximum(self.readers.reduce(np.maximum, stages), np.maximum(self.floor, self.first))
        self.at_last = self.readers.reduce(np.add, (stages == self.last[:, self.readers.group]).astype(np.int64))

    def stage_ms(self) -> NDArray[np.float64]:
        return self.problem.segment_ms(self.time, self.parameters, self.crossing[:, :-1] + self.crossing[:, 1:])

    def best_moves(self, free: NDArray[np.bool_]) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
        """A unit for each row and the stage it goes to (its own, where nothing can move)."""
        n, k, stage_of = self.problem.n, self.problem.stages, self.stage_of
        column = np.zeros((len(self.rows), 1), np.int64)
        earliest = self.before.reduce(np.maximum, np.concatenate([stage_of, column], 1)[:, self.before.column])
        latest = self.after.reduce(np.minimum, np.concatenate([stage_of, column + k - 1], 1)[:, self.after.column])
        # Forwards, over boundary s + 1: tensors read that did not cross it now do, those made no longer do.
        # Backwards, over boundary s: those made now cross it, tensors that no other unit reads from there on do not.
        tensor = self.reads.column
        reader_stage = np.take(stage_of, self.reads.group, axis=1)
        last = np.concatenate([self.last, column - 9], 1)[:, tensor]
        size = np.append(self.sizes, 0.0)[tensor] * (last == reader_stage)
        alone = np.concatenate([self.at_last, column], 1)[:, tensor] == 1
        forward = self.reads.reduce(np.add, size) - self.output
        backward = self.output - self.reads.reduce(np.add, size * alone)

        stage_ms = self.stage_ms()
        top = stage_ms.max(axis=1, keepdims=True)
        powers = _power(stage_ms / top)
        scores = np.full((len(self.rows), 2 * n), np.inf)
        for half, sign, change, allowed in (
            (0, 1, forward, free & (latest > stage_of)),
            (1, -1, backward, free & (earliest < stage_of)),
        ):
            row, unit = np.nonzero(allowed)
            source = stage_of[row, unit]
            target = source + sign
            gained = powers[row, source] + powers[row, target]
            delta = change[row, unit]
            for stage, weight in ((source, -1.0), (target, 1.0)):
                boundary = self.crossing[row, stage] + self.crossing[row, stage + 1] + delta
                time_ms = self.problem.segment_ms(
                    self.time[row, stage] + weight * self.problem.time_ms[unit],
                    self.parameters[row, stage] + weight * self.problem.parameter_bytes[unit],
                    boundary,
                )
                gained = gained - _power(time_ms / top[row, 0])
            scores[row, unit + half * n] = -gained
        best = scores.argmin(axis=1)
        unit = best % n
        blocked = np.isinf(scores[self.rows, best])
        return unit, stage_of[self.rows, unit] + np.where(blocked, 0, np.where(best < n, 1, -1))

    def move(self, unit: NDArray[np.int64], target: NDArray[np.int64]) -> None:
        rows, source = self.rows, self.stage_of[self.rows, unit]
        boundary = np.maximum(source, target)[:, None]
        before = ((self.first < boundary) & (boundary <= self.last)) @ self.sizes
        self.stage_of[rows, unit] = target
        for sums, values in ((self.time, self.problem.time_ms), (self.parameters, self.problem.parameter_bytes)):
            sums[rows, source] -= values[unit]
            sums[rows, target] += values[unit]
        self._spans()
        after = ((self.first < boundary) & (boundary <= self.last)) @ self.sizes
        self.crossing[rows, boundary[:, 0]] += after - before


def _power(values: NDArray[np.float64]) -> NDArray[np.float64]:
    """The 16th power."""
    return np.square(np.square(np.square(np.square(values))))
