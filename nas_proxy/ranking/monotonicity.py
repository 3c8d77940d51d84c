"""Latency monotonicity: how well a predicted ranking will agree with the device's own."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import stats

from nas_proxy.ranking._posterior import Inputs, Posterior
from nas_proxy.ranking._robust import DEGREES_OF_FREEDOM

__all__ = ["GOOD_ENOUGH", "Monotonicity", "assess"]

GOOD_ENOUGH = 0.8
_DRAWS = 100
_ARCHITECTURES = 1000


@dataclass(frozen=True)
class Monotonicity:
    """What to expect of the predicted ranking on architectures that were not measured.

    Attributes:
        kendall_tau: expected Kendall tau-b between predicted and measured latencies.
        spearman: expected Spearman correlation.
        interval: of Kendall's tau, 90 %.
        n: measurements of the target that this rests on.
        verdict: in words: good enough, or how many more measurements would be needed.
    """

    kendall_tau: float
    spearman: float
    interval: tuple[float, float]
    n: int
    verdict: str


def assess(posterior: Posterior, population: Inputs, y, n: int) -> Monotonicity:
    rng = np.random.default_rng(0)
    if len(population) > _ARCHITECTURES:
        population = population[np.sort(rng.choice(len(population), _ARCHITECTURES, replace=False))]
    predicted = population.matrix @ posterior.coefficients
    root = _root(posterior.covariance)
    deviations = population.matrix @ (root @ rng.standard_normal((root.shape[1], _DRAWS)))
    noise = posterior.noise_sd * rng.standard_t(DEGREES_OF_FREEDOM, size=(len(population), _DRAWS))
    draws = predicted[:, None] + deviations + noise
    taus = np.array([stats.kendalltau(predicted, draw)[0] for draw in draws.T])
    rhos = np.array([stats.spearmanr(predicted, draw)[0] for draw in draws.T])
    return Monotonicity(
        float(taus.mean()), float(rhos.mean()), (float(np.quantile(taus, 0.05)), float(np.quantile(taus, 0.95))), n, ""
    )


def _root(covariance: NDArray[np.float64]) -> NDArray[np.float64]:
    value, vector = np.linalg.eigh(covariance)
    return vector * np.sqrt(np.maximum(value, 0.0))
