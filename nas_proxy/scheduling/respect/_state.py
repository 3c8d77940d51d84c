"""Partly placed problems: which units are ready, and what placing one would do. Many rows at once."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from nas_proxy.scheduling.respect._features import Instance

__all__ = ["DecodingState"]


class DecodingState:
    """``rows`` rows of each problem, next to each other; ``which`` says a row's problem. All are of the same size."""

    def __init__(self, instances: Sequence[Instance], rows: int) -> None:
        self.n = len(instances[0].share)
        self.which = np.repeat(np.arange(len(instances)), rows)
        self.rows = len(self.which)
        idle = max(len(instance.moved) for instance in instances)
        width = max(instance.reads.shape[1] for instance in instances)
        self.reads = np.full((len(instances), self.n, width), idle)
        self.moved, readers = np.zeros((len(instances), idle + 1)), np.zeros((len(instances), idle + 1), np.int64)
        for i, instance in enumerate(instances):
            self.reads[i, :, : instance.reads.shape[1]] = instance.reads
            self.moved[i, : len(instance.moved)] = instance.moved
            readers[i, : len(instance.readers)] = instance.readers
        self.share, self.cached, self.made, self.follows = (
            np.stack([getattr(instance, name) for instance in instances])
            for name in ("share", "cached", "made", "follows")
        )
        self.left = readers[self.which]
        self.waiting = self.follows.sum(axis=1)[self.which]
        self.ready = self.waiting == 0
        self.since = np.zeros((self.rows, self.n))
        self.last = np.full(self.rows, -1)
        self.live = np.array([instance.arriving for instance in instances])[self.which]
        self.work, self.held = np.zeros(self.rows), np.zeros(self.rows)
        all_work, all_held = self.share.sum(axis=1)[self.which], self.cached.sum(axis=1)[self.which]
        self.all_work, self.all_held = np.where(all_work == 0, 1, all_work), np.where(all_held == 0, 1, all_held)
        self.stages = np.array([instance.stages for instance in instances])[self.which]

    def features(self, row: NDArray, unit: NDArray, position: int) -> tuple[NDArray, NDArray]:
        """Of ready units ``(p, MOVE_FEATURES)``, and of every row ``(r, CONTEXT_FEATURES)``."""
        which = self.which[row]
        tensors = self.reads[which, unit]
        freed = (self.moved[which[:, None], tensors] * (self.left[row[:, None], tensors] == 1)).sum(axis=1)
        made = self.made[which, unit]
        done = self.work / self.all_work * self.stages
        stage = np.floor(done + 1e-9)
        cache = self.held / self.all_held * self.stages
        follows = self.follows[which, self.last[row], unit] * (self.last[row] >= 0)
        waited = np.minimum((position - self.since[row, unit]) / 8, 2.0)
        fill = (done - stage)[row] + self.share[which, unit] / self.all_work[row] * self.stages[row]
        held = (cache - np.floor(cache + 1e-9))[row] + self.cached[which, unit] / self.all_held[row] * self.stages[row]
        move = np.stack([freed, made - freed, waited, follows, np.minimum(fill, 3), np.minimum(held, 3)], axis=1)
        context = np.stack(
            [done / self.stages, done - stage, cache - np.floor(cache + 1e-9), self.live, (stage + 1) / self.stages],
            axis=1,
        )
        return move.astype(np.float32), context.astype(np.float32)

    def place(self, choice: NDArray, position: int) -> None:
        """Place one unit in every row, shape ``(r,)``."""
        which, rows = self.which, np.arange(self.rows)
        tensors = self.reads[which, choice]
        freed = self.left[rows[:, None], tensors] == 1
        self.live += self.made[which, choice] - (self.moved[which[:, None], tensors] * freed).sum(axis=1)
        np.subtract.at(self.left, (rows[:, None], tensors), 1)
        self.work += self.share[which, choice]
        self.held += self.cached[which, choice]
        follows = self.follows[which, choice]
        self.waiting -= follows
        self.ready[rows, choice] = False
        fresh = follows & (self.waiting == 0)
        self.ready |= fresh
        self.since[fresh] = position + 1
        self.last = choice
