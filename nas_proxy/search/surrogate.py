"""What the accuracies seen so far say of all other architectures: a Gaussian process."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import minimize

from nas_proxy.gaussian_process import GaussianProcess, matern
from nas_proxy.spaces.columns import Columns
from nas_proxy.ties import SAME, first_largest

__all__ = ["AccuracyModel", "Belief", "Kernel", "Points"]

_JITTER = 1e-4
_INDUCING = 160
_SPREAD = 1.5  # standard deviation of the prior of each log variance


@dataclass(frozen=True)
class Points:
    """Architectures as the accuracy model sees them: standardised features ``(n, d)``, choices ``(n, options)``."""

    features: NDArray[Any]
    choices: NDArray[Any]

    @classmethod
    def of(cls, columns: Columns, archs: Sequence[Any]) -> Points:
        """Architectures by the columns of their space."""
        return cls(*np.split(columns(archs), [columns.n_features], axis=1))

    def astype(self, dtype: Any) -> Points:
        """The same in another precision, which everything computed with them has."""
        return Points(self.features.astype(dtype), self.choices.astype(dtype))

    def __getitem__(self, rows: Any) -> Points:
        return Points(self.features[rows], self.choices[rows])

    def __len__(self) -> int:
        return len(self.features)

    def __add__(self, other: Points) -> Points:
        return Points(np.concatenate([self.features, other.features]), np.concatenate([self.choices, other.choices]))


@dataclass(frozen=True)
class Kernel:
    """Covariance of accuracies: linear in the features, plus Matern 3/2 in features and in choices, plus noise.

    Features carry the trend (more work, more accuracy) and what architectures of like structure share; choices tell
    apart what the features leave together.

    Attributes:
        variances: of the three parts and of the noise, ``(4,)``.
    """

    variances: tuple[float, ...] = (1 / 3, 1 / 3, 1 / 3, 0.05)

    @property
    def noise(self) -> float:
        """Variance of one measurement of the standardised accuracy."""
        return self.variances[-1] + _JITTER

    def __call__(self, a: Points, b: Points) -> NDArray[Any]:
        """Covariance without noise, ``(len(a), len(b))``."""
        linear, *local = self.parts(a, b)
        linear *= self.variances[0]
        for variance, part in zip(self.variances[1:], local, strict=False):
            linear += part.dtype.type(variance) * part
        return linear

    def diagonal(self, a: Points) -> NDArray[Any]:
        """Prior variance of each of ``a``, without noise, ``(len(a),)``."""
        mean_square = _mean_square(a.features)
        return mean_square * mean_square.dtype.type(self.variances[0]) + mean_square.dtype.type(
            sum(self.variances[1:-1])
        )

    @staticmethod
    def parts(a: Points, b: Points) -> list[NDArray[Any]]:
        """The three covariances of unit variance, each ``(len(a), len(b))``."""
        linear = a.features @ b.features.T / max(a.features.shape[1], 1)
        return [
            linear,
            *(matern(_distance(x, y), order=1) for x, y in ((a.features, b.features), (a.choices, b.choices))),
        ]

    @staticmethod
    def by_evidence(points: Points, z: NDArray[np.float64]) -> Kernel:
        """The variances that make the standardised observations ``z`` ``(n,)`` most probable, with a weak prior."""
        parts, identity = Kernel.parts(points, points), np.eye(len(z))
        start = np.log(Kernel().variances)

        def loss(log_variances: NDArray[np.float64]) -> tuple[float, NDArray[np.float64]]:
            variances = np.exp(log_variances)
            scaled = [v * part for v, part in zip(variances, [*parts, identity], strict=True)]
            process = GaussianProcess.exact(sum(scaled) + _JITTER * identity, z)
            inverse, weights = process.root.T @ process.root, process.weights
            prior = (log_variances - start) / _SPREAD
            value = 0.5 * z @ weights + process.half_log_det + 0.5 * prior @ prior
            curvature = np.outer(weights, weights) - inverse
            gradient = np.array([-0.5 * (curvature * part).sum() for part in scaled]) + prior / _SPREAD
            return float(value), gradient

        bounds = [(s - 4, s + 4) for s in start]
        found = minimize(loss, start, jac=True, method="L-BFGS-B", bounds=bounds, options={"maxiter": 30})
        return Kernel(tuple(np.exp(found.x).tolist()))


@dataclass(frozen=True)
class Belief:
    """Predicted accuracies: mean and standard deviation, each ``(n,)``."""

    mean: NDArray[np.float64]
    std: NDArray[np.float64]


class AccuracyModel:
    """A Gaussian process in warped accuracy, exact up to 160 results, on as many inducing results beyond that.

    Accuracies are skewed: many candidates near the best, a few that do not train at all. The warp ``-log`` of the
    distance to the best, in units of the spread, gives the former the resolution that the search needs.
    """

    def __init__(self, points: Points, accuracy: NDArray[np.float64], kernel: Kernel | None = None) -> None:
        self._top = float(accuracy.max())
        self._unit = _spread_of(accuracy)
        z = -np.log((self._top + self._unit - accuracy) / self._unit)
        self._centre, self._scale = float(z.mean()), _spread_of(z)
        z = (z - self._centre) / self._scale
        rows = _spread_out(points, _INDUCING)
        self.kernel = kernel or Kernel.by_evidence(points[rows], z[rows])
        self._inducing, jitter = points[rows], _JITTER * np.eye(len(rows))
        covariance, cross = self.kernel(self._inducing, self._inducing) + jitter, self.kernel(self._inducing, points)
        self._process = GaussianProcess.sparse(covariance, cross, self.kernel.noise, z)

    def predict(self, points: Points) -> Belief:
        """Mean and standard deviation of architectures' accuracies (to first order in the warp)."""
        cross = self.kernel(self._inducing.astype(points.features.dtype), points)
        mean, variance = self._process.predict(cross, self.kernel.diagonal(points))
        variance = np.maximum(variance.astype(np.float64), 1e-6)
        z = mean.astype(np.float64) * self._scale + self._centre
        slope = np.exp(-z)
        return Belief(
            self._top + self._unit * (1 - slope),
            self._unit * slope * self._scale * np.sqrt(variance),
        )


def _spread_out(points: Points, n: int) -> NDArray[np.int64]:
    """Rows of at most ``n`` points, each the one least explained by those before (pivoted Cholesky); all if fewer."""
    if len(points) <= n:
        return np.arange(len(points))
    kernel = Kernel()
    left = kernel.diagonal(points)
    factors: list[NDArray[np.float64]] = []
    rows: list[int] = []
    for _ in range(n):
        row = first_largest(left)
        rows.append(row)
        covariance = kernel(points[[row]], points)[0]
        for factor in factors:
            covariance -= factor * factor[row]
        factors.append(covariance / np.sqrt(max(left[row], _JITTER)))
        left = left - factors[-1] ** 2
        left[row] = -np.inf
    return np.array(rows)


def _spread_of(values: NDArray[np.float64]) -> float:
    """Standard deviation; 1 where all are the same but for rounding."""
    spread = float(values.std())
    return spread if spread > SAME * float(np.abs(values).max()) else 1.0


def _mean_square(x: NDArray[Any]) -> NDArray[Any]:
    return (x * x).sum(axis=1) / max(x.shape[1], 1)


def _distance(a: NDArray[Any], b: NDArray[Any]) -> NDArray[Any]:
    """Squared distances ``(len(a), len(b))`` in units in which two random architectures are 1 apart."""
    return (_mean_square(a)[:, None] + _mean_square(b)[None]) / 2 - a @ b.T / max(a.shape[1], 1)
