"""Robust linear regression of many measurements: Student-t noise, ridge penalties averaged by their evidence."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from nas_proxy.ties import SAME

__all__ = ["DEGREES_OF_FREEDOM", "HALF_WIDTH", "ROUNDS", "RobustRidge", "first_inflation", "noise_inflation"]

DEGREES_OF_FREEDOM = 4.0
"""Of the Student-t noise. Timings have spikes (another process, a clock change); 4 is the usual choice for
regression with outliers (Lange, Little & Taylor, JASA 1989)."""
HALF_WIDTH = 1.1416
"""68.27 % of Student-t noise of scale 1 and 4 degrees of freedom is within this."""
ROUNDS = 4
"""Reweighting rounds of the EM algorithm for Student-t noise; it has converged to what ranking needs by then."""
_STRENGTHS = np.logspace(-6, 3, 19)
_MEDIAN_OF_SQUARE = 0.4549


def noise_inflation(squared_error: NDArray[np.float64]) -> NDArray[np.float64]:
    """By how much each measurement's noise variance exceeds the typical one, given its squared standardised error: the
    M-step of a Student-t likelihood (Lange, Little & Taylor 1989, equation 4)."""
    return (DEGREES_OF_FREEDOM + squared_error) / (DEGREES_OF_FREEDOM + 1)


def first_inflation(y: NDArray[np.float64]) -> NDArray[np.float64]:
    """:func:`noise_inflation` before there is a model: by the distance from the median.

    A few huge spikes among few measurements would hide each other otherwise.
    """
    squared = (y - np.median(y)) ** 2
    typical = float(np.median(squared)) / _MEDIAN_OF_SQUARE
    half_the_same = typical <= (SAME * float(np.abs(y).max())) ** 2  # a coarse clock
    return np.ones(len(y)) if half_the_same else noise_inflation(squared / typical)


@dataclass(frozen=True)
class RobustRidge:
    """``y = intercept + columns @ weights + noise``, with the posterior of the weights.

    Attributes:
        size: prior standard deviations of the weights, relative to each other, ``(d,)``.
        weights: posterior mean, ``(d,)``.
        noise_sd: scale of the measurements' Student-t noise.
        prior_sd: of each weight, divided by its size, before anything was measured.
        axes, learnt: of the weights divided by their sizes, along each of the orthonormal ``axes`` ``(d, k)``, the
            measurements have taken away the part ``learnt`` ``(k,)``, from 0 to 1, of the prior variance.
    """

    intercept: float
    centre: NDArray[np.float64]
    size: NDArray[np.float64]
    weights: NDArray[np.float64]
    noise_sd: float
    prior_sd: float
    axes: NDArray[np.float64]
    learnt: NDArray[np.float64]

    @classmethod
    def fit(
        cls, columns: NDArray[np.float64], y: NDArray[np.float64], share: NDArray[np.float64] | None = None
    ) -> RobustRidge:
        """Fit ``y`` of shape ``(n,)`` to ``columns`` of shape ``(n, d)``; ``d`` may exceed ``n``.

        ``share`` are the prior variances of the weights, relative to each other, ``(d,)``; by default all the same.
        """
        size = np.ones(columns.shape[1]) if share is None else np.sqrt(share * len(share))
        inflation = np.ones(len(y))
        for _ in range(ROUNDS):
            model = _weighted(columns, y, size, 1 / inflation)
            squared = (y - model.predict(columns)) ** 2
            # the median, for the first fits' variance is that of the outliers
            typical = max(float(np.median(squared)) / _MEDIAN_OF_SQUARE, 1e-24 * float(y @ y))
            inflation = noise_inflation(squared / typical)
        return _weighted(columns, y, size, 1 / inflation)

    def predict(self, columns: NDArray[np.float64]) -> NDArray[np.float64]:
        """Expected ``y``, ``(n,)``."""
        return self.intercept + (columns - self.centre) @ self.weights

    def damped_residual(self, columns: NDArray[np.float64], y: NDArray[np.float64]) -> NDArray[np.float64]:
        """What was measured beyond the prediction, ``(n,)``; the larger, the more of it is taken for a spike."""
        residual = y - self.predict(columns)
        return residual / noise_inflation((residual / self.noise_sd) ** 2)

    def predict_sd(self, columns: NDArray[np.float64]) -> NDArray[np.float64]:
        """How far new measurements are from the prediction, ``(n,)``: 68 % of them are nearer."""
        centred = (columns - self.centre) * self.size
        spread = (centred**2).sum(axis=1) - (centred @ self.axes) ** 2 @ self.learnt
        return np.sqrt((HALF_WIDTH * self.noise_sd) ** 2 + self.prior_sd**2 * np.maximum(spread, 0.0))


def _weighted(
    columns: NDArray[np.float64], y: NDArray[np.float64], size: NDArray[np.float64], weight: NDArray[np.float64]
) -> RobustRidge:
    """Weighted ridge regression, averaged over penalties by evidence, the noise variance integrated out."""
    weight = weight / weight.mean()
    centre, intercept = weight @ columns / weight.sum(), float(weight @ y / weight.sum())
    root = np.sqrt(weight)[:, None]
    rows, target = (columns - centre) * size * root, (y - intercept) * root[:, 0]
    n = len(y)
    squared, axes = _principal_axes(rows)
    along = axes.T @ (rows.T @ target)
    strengths = _STRENGTHS[:, None] * n
    left = np.maximum(target @ target - (along**2 / (squared + strengths)).sum(axis=1), 1e-24 * n)
    evidence = -0.5 * (n - 1) * np.log(left) - 0.5 * np.log1p(squared / strengths).sum(axis=1)
    probability = np.exp(evidence - evidence.max())
    probability /= probability.sum()
    noise_variance = probability @ (left / n)
    # of a weight before and after measuring
    prior_variance = probability @ (left / n / strengths[:, 0])
    variance = probability @ (left[:, None] / n / (squared + strengths))
    return RobustRidge(
        intercept=intercept,
        centre=centre,
        size=size,
        weights=size * (axes @ (probability @ (along / (squared + strengths)))),
        noise_sd=float(np.sqrt(noise_variance)),
        prior_sd=float(np.sqrt(prior_variance)),
        axes=axes,
        learnt=1 - variance / prior_variance,
    )


def _principal_axes(rows: NDArray[np.float64]) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Squared singular values ``(k,)`` and right singular vectors ``(d, k)``, through the smaller Gram matrix."""
    n, d = rows.shape
    if d == 0:
        return np.zeros(0), np.zeros((0, 0))
    squared, vectors = np.linalg.eigh(rows.T @ rows if d <= n else rows @ rows.T)
    kept = squared > 1e-10 * max(squared.max(), 1e-300)
    squared, vectors = squared[kept], vectors[:, kept]
    return squared, vectors if d <= n else rows.T @ vectors / np.sqrt(squared)
