"""Kendall's tau to expect of many targets' rankings: what :mod:`nas_proxy.ranking.monotonicity` simulates, by pairs.

Kendall's tau is the mean over pairs of architectures of +1 where the order is right and -1 where it is not. Given a
target's coefficients, the noise of the two measurements is independent of all else, so the chance that a pair comes out
right is known in closed form; only the coefficients are drawn, with the same random numbers for every target.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache

import numpy as np
from numpy.typing import NDArray
from scipy import stats

from nas_proxy.ranking._fleet_posterior import FleetPosterior
from nas_proxy.ranking._posterior import Inputs
from nas_proxy.ranking._robust import DEGREES_OF_FREEDOM
from nas_proxy.ranking.monotonicity import INFORMATION, INTERVAL
from nas_proxy.ties import SAME

__all__ = ["FleetTau", "assess_fleet", "pairs_of"]

_PAIRS, _DRAWS = 500, 40
_REACH, _STEPS = 40.0, 100  # of the table below: standard units, steps a unit


@dataclass(frozen=True)
class FleetTau:
    """Expected Kendall's tau of ``b`` targets ``(b,)``, and its 90 % interval ``(b,)`` each side."""

    kendall_tau: NDArray[np.float64]
    low: NDArray[np.float64]
    high: NDArray[np.float64]


def pairs_of(population: Inputs, seed: int = 0) -> NDArray[np.float64]:
    """Differences of the inputs of random pairs of architectures, ``(p, 3 + d)``."""
    rng = np.random.default_rng(seed)
    pairs = np.array([rng.choice(len(population), 2, replace=False) for _ in range(_PAIRS)])
    return population[pairs[:, 0]].matrix - population[pairs[:, 1]].matrix


def assess_fleet(posterior: FleetPosterior, pairs: NDArray[np.float64], seed: int = 0) -> FleetTau:
    """What to expect of ``b`` targets on pairs of architectures ``(p, 3 + d)`` that none has measured."""
    rng = np.random.default_rng(seed)
    coefficients, covariance = posterior.coefficients, posterior.covariance
    columns = np.arange(int(coefficients.shape[1]))
    jitter = 1e-9 * np.trace(covariance, axis1=1, axis2=2) / len(columns)
    covariance = covariance.copy()
    covariance[:, columns, columns] += np.maximum(jitter, 1e-18)[:, None]
    values = rng.standard_normal((len(columns), _DRAWS))
    shift = pairs @ (np.linalg.cholesky(covariance) @ values)  # (b, p, draws)
    predicted = coefficients @ pairs.T
    # pairs that are predicted equal have no order to be right about: Kendall's tau-b leaves them out
    order = np.where(np.abs(predicted) > SAME, np.sign(predicted), 0.0)[:, :, None]
    told_apart = np.maximum(np.abs(order).sum(axis=(1, 2)), 1)
    noise = np.maximum(posterior.noise_sd, 1e-9)[:, None, None]
    freedom = posterior.freedom * INFORMATION
    chi = rng.uniform(size=_DRAWS)
    scale = np.sqrt(freedom[:, None] / stats.chi2.ppf(chi, freedom[:, None]))[:, None]

    def tau(spread: NDArray[np.float64] | float) -> NDArray[np.float64]:
        right = order * _balance((predicted[:, :, None] + spread * shift) / (spread * noise))
        return right.sum(axis=1) / told_apart[:, None]

    expected = tau(1.0).mean(axis=1)
    low, high = np.quantile(tau(scale), INTERVAL, axis=1)
    return FleetTau(expected, np.minimum(low, expected), np.maximum(high, expected))


def _balance(difference: NDArray[np.float64]) -> NDArray[np.float64]:
    """Chance that two noisy measurements are in the order of their expectations less the chance that they are not."""
    at = np.clip(difference, -_REACH, _REACH) * _STEPS + _REACH * _STEPS
    return _balance_table()[np.rint(at).astype(np.int32)]


@cache
def _balance_table() -> NDArray[np.float64]:
    """Of differences from -40 to 40, each noise Student-t of scale 1."""
    step = 1 / _STEPS
    noise = np.arange(-4 * _REACH, 4 * _REACH + step / 2, step)
    density = stats.t.pdf(noise, DEGREES_OF_FREEDOM) * step
    size = 2 * len(noise) - 1
    spectrum = np.fft.rfft(density, size)
    of_difference = np.fft.irfft(spectrum * spectrum, size)  # the density is even: e1 - e2 is as e1 + e2
    below = np.cumsum(of_difference) - of_difference / 2
    middle, half = size // 2, int(_REACH * _STEPS)
    return 2 * below[middle - half : middle + half + 1] / below[-1] - 1
