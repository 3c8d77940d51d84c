"""Returns before and after, on the same seeds: what is kept, with its interval."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from nas_proxy.errors import InputError

__all__ = ["Evaluate", "Kept", "Returns", "noise_of", "returns"]

#: ``evaluate(actor, seed)``: the return of one episode, the higher the better; the seed decides all that is random.
Evaluate = Callable[[Any, int], float]
_RESAMPLES = 2000


@dataclass(frozen=True)
class Returns:
    """Mean return over the seeds with its 95 % interval (bootstrap)."""

    mean: float
    low: float
    high: float
    episodes: int

    @classmethod
    def of(cls, values: NDArray[np.float64]) -> Returns:
        """Mean of the returns ``(n,)`` of episodes, with its 95 % interval by bootstrap."""
        means = values[_resampled(len(values), 0)].mean(axis=1)
        low, high = np.quantile(means, [0.025, 0.975])
        return cls(float(values.mean()), float(low), float(high), len(values))


@dataclass(frozen=True)
class Kept:
    """Share of the return above ``floor`` that is kept, with its 95 % interval (bootstrap over seeds)."""

    share: float
    low: float
    high: float

    @classmethod
    def of(cls, before: NDArray[np.float64], after: NDArray[np.float64], floor: float, *, paired: bool) -> Kept:
        """Seeds are drawn together for both where ``evaluate`` is deterministic, so that their luck cancels out."""
        rows = _resampled(len(before), 0)
        others = rows if paired else _resampled(len(after), 1)
        base = before[rows].mean(axis=1) - floor
        shares = (after[others].mean(axis=1) - floor) / np.where(np.abs(base) < 1e-12, 1e-12, base)
        low, high = np.quantile(shares, [0.025, 0.975])
        return cls(float((after.mean() - floor) / (before.mean() - floor)), float(low), float(high))


def _resampled(n: int, seed: int) -> NDArray[np.int64]:
    return np.random.default_rng(seed).integers(n, size=(_RESAMPLES, n))


def returns(evaluate: Evaluate, actor: Any, seeds: Sequence[int]) -> NDArray[np.float64]:
    """One return a seed.

    Raises:
        InputError: a return is not a finite number; names the seed.
    """
    found = np.empty(len(seeds))
    for i, seed in enumerate(seeds):
        value = evaluate(actor, seed)
        try:
            found[i] = float(value)
        except (TypeError, ValueError):
            raise InputError(
                f"evaluate gave {type(value).__name__} for seed {seed}: expected the return of one episode, a number."
            ) from None
        if not math.isfinite(found[i]):
            raise InputError(
                f"evaluate gave the return {found[i]} for seed {seed}: expected a finite number. Look for a division "
                "by zero in the task, or a policy whose outputs are not numbers."
            )
    return found


def noise_of(evaluate: Evaluate, actor: Any, seeds: Sequence[int], first: NDArray[np.float64]) -> float:
    """Standard deviation of ``evaluate`` under one seed: 0 where it is deterministic. Tried again on three seeds."""
    again = returns(evaluate, actor, seeds[:3])
    return float(np.sqrt(((again - first[:3]) ** 2).mean() / 2))
