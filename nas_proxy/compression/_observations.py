"""What a policy has seen: the observations that it is calibrated, distilled and timed on."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from nas_proxy.errors import InputError

__all__ = ["Arrays", "Observations"]

Arrays = tuple[NDArray[Any], ...]


class Observations:
    """Observations in groups of equal shapes, so that a group is a batch.

    Args:
        observations: an array of shape ``(n, ...)``, or ``n`` tuples of arrays, one array for each input of the
            network, without a batch axis. Their sizes may differ, as those of graphs do.

    Raises:
        InputError: there are none, all are equal, numbers are not finite, or their kinds differ.
    """

    def __init__(self, observations: Any) -> None:
        if isinstance(observations, np.ndarray | torch.Tensor):
            observations = [(row,) for row in np.asarray(observations)]
        groups: dict[tuple, list[Arrays]] = defaultdict(list)
        for i, observation in enumerate(observations):
            arrays = tuple(_array(a, i) for a in (observation if isinstance(observation, tuple) else (observation,)))
            groups[tuple(array.shape for array in arrays)].append(arrays)
        self.groups: list[Arrays] = [
            tuple(np.stack(column) for column in zip(*g, strict=True)) for g in groups.values()
        ]
        self.n = sum(len(group[0]) for group in self.groups)
        if not self.n:
            raise InputError("no observations: expected some of what the policy sees, such as those of a few episodes.")
        if len({tuple(array.ndim for array in group) for group in self.groups}) > 1:
            raise InputError("observations differ in their number of arrays or axes: expected the same kind of each.")
        if len(self.groups) == 1 and all((array == array[:1]).all() for array in self.groups[0]):
            raise InputError(
                f"all {self.n} observations are equal, so that they say nothing about the ranges that the policy sees: "
                "give those of a few episodes."
            )

    @property
    def typical(self) -> Arrays:
        """One observation of median size, as a batch of one."""
        by_size = sorted(self.groups, key=lambda group: sum(array[0].size for array in group))
        return tuple(array[:1] for array in by_size[len(by_size) // 2])

    @property
    def dynamic(self) -> list[set[int]]:
        """Of each array, the axes (batch axis first) whose sizes differ between observations; the batch is one."""
        shapes = zip(*([array.shape for array in group] for group in self.groups), strict=True)
        return [{0} | {axis for axis in range(1, len(of[0])) if len({s[axis] for s in of}) > 1} for of in shapes]

    def batches(self, size: int, rng: np.random.Generator | None = None) -> Iterator[Arrays]:
        """All observations in batches of equal shapes, of ``size`` at most; shuffled where there is a generator."""
        parts = []
        for group in self.groups:
            order = np.arange(len(group[0])) if rng is None else rng.permutation(len(group[0]))
            parts += [(group, order[i : i + size]) for i in range(0, len(order), size)]
        for i in range(len(parts)) if rng is None else rng.permutation(len(parts)):
            group, rows = parts[i]
            yield tuple(array[rows] for array in group)


def tensors(arrays: Sequence[NDArray]) -> tuple[torch.Tensor, ...]:
    """Arrays as tensors of the same type."""
    return tuple(torch.from_numpy(np.ascontiguousarray(array)) for array in arrays)


def _array(value: Any, index: int) -> NDArray[Any]:
    array = np.asarray(value)
    if array.dtype.kind == "f":
        if not np.isfinite(array).all():
            raise InputError(f"observation {index} holds a number that is not finite: remove it, or mend what made it.")
        return array.astype(np.float32)
    if array.dtype.kind not in "iub":
        raise InputError(f"observation {index} holds {array.dtype}: expected arrays of numbers.")
    return array.astype(np.int64) if array.dtype.kind in "iu" else array
