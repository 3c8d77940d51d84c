"""How much better a candidate would make what has been found: expected hypervolume improvement."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Self

import numpy as np
from numpy.typing import NDArray
from scipy.special import ndtr
from scipy.stats import qmc

from nas_proxy.search.surrogate import Belief
from nas_proxy.ties import SAME

__all__ = ["Budgets", "expected_improvement"]

_BUDGETS = 512


@dataclass(frozen=True)
class Budgets:
    """Latency budgets a user might have, ``(q, targets)`` in ms, and how much each counts, ``(q,)``, summing to 1.

    The hypervolume of a set is the accuracy of its best member within a budget, integrated over budgets. Accuracy is
    uncertain and latency is predicted, so that its expected improvement by a candidate is a sum of one-dimensional
    expected improvements, one a budget that the candidate meets (for one target: Emmerich, Deutz & Klinkenberg 2011
    with a known second objective).
    """

    latency_ms: NDArray[np.float64]
    weight: NDArray[np.float64]

    @classmethod
    def over(cls, latency_ms: NDArray[np.float64], limited: NDArray[np.bool_]) -> Self:
        """Budgets between the fastest and the 99th percentile of candidates' latencies ``(n, targets)``.

        They are evenly spread in ms, by a Sobol sequence in log ms with weights. A target with a limit has but one
        budget, the limit, which every candidate meets. One budget of no limit at all lets the slowest candidates count.
        """
        free = np.flatnonzero(~limited)
        q = _BUDGETS if len(free) else 1
        budgets = np.full((q, latency_ms.shape[1]), np.inf)
        weight = np.ones(q)
        if len(free):
            low, high = latency_ms[:, free].min(axis=0), np.percentile(latency_ms[:, free], 99, axis=0)
            unit = qmc.Sobol(len(free), scramble=False).random_base2(int(math.log2(q)))
            budgets[:, free] = low * (high / low) ** unit
            weight = budgets[:, free].prod(axis=1)
            budgets[0, free] = np.inf  # the first of the sequence is the fastest candidate alone
        return cls(budgets, weight / weight.sum())

    def met_by(self, latency_ms: NDArray[np.float64]) -> NDArray[np.float32]:
        """1 where an architecture meets a budget, else 0, ``(n, q)``; latencies are ``(n, targets)``."""
        met = np.ones((len(latency_ms), len(self.weight)), dtype=bool)
        for target in range(latency_ms.shape[1]):
            met &= latency_ms[:, [target]] <= self.latency_ms[:, target] * (1 + SAME)
        return met.astype(np.float32)


def expected_improvement(
    belief: Belief,
    met: NDArray[np.float32],
    budgets: Budgets,
    found_accuracy: NDArray[np.float64],
    found_met: NDArray[np.float32],
    reference_accuracy: float,
) -> NDArray[np.float64]:
    """Expected hypervolume improvement of candidates, ``(n,)``, in units of accuracy.

    Args:
        belief: accuracies of the candidates.
        met: which budgets they meet, ``(n, q)``.
        found_accuracy: accuracies of what has been found, ``(k,)``, and which budgets those meet, ``(k, q)``.
        reference_accuracy: accuracy of a budget in which nothing has been found yet.
    """
    best = np.where(found_met > 0, found_accuracy[:, None], reference_accuracy).max(axis=0, initial=reference_accuracy)
    levels, level_of = np.unique(best, return_inverse=True)
    share = np.zeros((len(best), len(levels)), dtype=np.float32)
    share[np.arange(len(best)), level_of.ravel()] = budgets.weight
    surplus = (belief.mean[:, None] - levels) / belief.std[:, None]
    improvement = surplus * ndtr(surplus) + np.exp(-0.5 * surplus**2) / math.sqrt(2 * math.pi)
    return belief.std * ((met @ share) * improvement).sum(axis=1)
