"""What the accuracies seen so far say of all other architectures: a Gaussian process."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import minimize

from nas_proxy.spaces import SearchSpace

__all__ = ["AccuracyModel", "Belief", "Encoder", "Kernel", "Points"]

_JITTER = 1e-4
_INDUCING = 160
_SPREAD = 1.5  # standard deviation of the prior of each log variance


@dataclass(frozen=True)
class Points:
    """Architectures as the accuracy model sees them: standardised features ``(n, d)``, choices ``(n, options)``."""

    features: NDArray[np.float32]
    choices: NDArray[np.float32]

    def __getitem__(self, rows: Any) -> Points:
        return Points(self.features[rows], self.choices[rows])

    def __len__(self) -> int:
        return len(self.features)

    def __add__(self, other: Points) -> Points:
        return Points(np.concatenate([self.features, other.features]), np.concatenate([self.choices, other.choices]))


class Encoder:
    """From architectures to :class:`Points`, each kind of column scaled to mean square 1 over reference architectures.

    Constant features, and all but one of features that say the same, are left out.
    """

    def __init__(self, space: SearchSpace, archs: Sequence[Any]) -> None:
        self.space = space
        features = space.features(archs)
        self._mean, scale = features.mean(axis=0), features.std(axis=0)
        varying = np.flatnonzero(scale > 1e-9 * np.abs(features).max(axis=0, initial=0.0))
        standard = (features[:, varying] - self._mean[varying]) / scale[varying]
        correlation = np.abs(standard.T @ standard) / len(standard)
        new = np.array([not (correlation[i, :i] > 0.9999).any() for i in range(len(varying))], dtype=bool)
        self._kept = varying[new]
        self._scale = scale
        indicators = space.one_hot(archs)
        self._share = indicators.mean(axis=0)
        self._spread = max(float(np.sqrt(((indicators - self._share) ** 2).mean())), 1e-9)

    def __call__(self, archs: Sequence[Any]) -> Points:
        features = self.space.features(archs)[:, self._kept]
        features = (features - self._mean[self._kept]) / self._scale[self._kept]
        choices = (self.space.one_hot(archs) - self._share) / self._spread
        return Points(features.astype(np.float32), choices.astype(np.float32))


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
        return self.variances[-1] + _JITTER

    def __call__(self, a: Points, b: Points) -> NDArray[np.float32]:
        """Covariance without noise, ``(len(a), len(b))``."""
        return sum(np.float32(v) * part for v, part in zip(self.variances, self.parts(a, b), strict=False))  # type: ignore[return-value]

    def diagonal(self, a: Points) -> NDArray[np.float32]:
        """Prior variance of each of ``a``, without noise, ``(len(a),)``."""
        return self.variances[0] * _mean_square(a.features) + np.float32(sum(self.variances[1:-1]))

    @staticmethod
    def parts(a: Points, b: Points) -> list[NDArray[np.float32]]:
        """The three covariances of unit variance, each ``(len(a), len(b))``."""
        linear = a.features @ b.features.T / max(a.features.shape[1], 1)
        return [linear, _matern(a.features, b.features), _matern(a.choices, b.choices)]

    @staticmethod
    def by_evidence(points: Points, z: NDArray[np.float64]) -> Kernel:
        """The variances that make the standardised observations ``z`` ``(n,)`` most probable, with a weak prior."""
        parts = [part.astype(np.float64) for part in Kernel.parts(points, points)]
        identity = np.eye(len(z))
        start = np.log(Kernel().variances)

        def loss(log_variances: NDArray[np.float64]) -> tuple[float, NDArray[np.float64]]:
            variances = np.exp(log_variances)
            scaled = [v * part for v, part in zip(variances, [*parts, identity], strict=True)]
            lower = np.linalg.cholesky(sum(scaled) + _JITTER * identity)
            inverse = np.linalg.inv(lower)
            inverse = inverse.T @ inverse
            weights = inverse @ z
            prior = (log_variances - start) / _SPREAD
            value = 0.5 * z @ weights + np.log(np.diag(lower)).sum() + 0.5 * prior @ prior
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
    distance to the best, in units of the spread, gives the former the resolution that the search needs. With inducing
    points (deterministic training conditional, Quinonero-Candela & Rasmussen, JMLR 2005) a prediction costs the same
    however many results there are.
    """

    def __init__(self, points: Points, accuracy: NDArray[np.float64], kernel: Kernel | None = None) -> None:
        self._top = float(accuracy.max())
        self._unit = float(accuracy.std()) or 1.0
        z = -np.log((self._top + self._unit - accuracy) / self._unit)
        self._centre, self._scale = float(z.mean()), float(z.std()) or 1.0
        z = (z - self._centre) / self._scale
        rows = _spread_out(points, _INDUCING)
        self.kernel = kernel or Kernel.by_evidence(points[rows], z[rows])
        self._inducing = points[rows]
        m = len(rows)
        lower = np.linalg.cholesky(self.kernel(self._inducing, self._inducing).astype(np.float64) + _JITTER * np.eye(m))
        projected = np.linalg.solve(lower, self.kernel(self._inducing, points).astype(np.float64))
        inverse = np.linalg.inv(projected @ projected.T + self.kernel.noise * np.eye(m))
        self._weights = np.linalg.solve(lower.T, inverse @ projected @ z)
        # var = k - |C' L^-1 k_Z|^2 with C C' = I - noise * inverse
        known = np.linalg.cholesky(np.eye(m) * (1 + _JITTER) - self.kernel.noise * inverse)
        self._explained = np.linalg.solve(lower.T, known).T

    def predict(self, points: Points) -> Belief:
        """Mean and standard deviation of architectures' accuracies (to first order in the warp)."""
        covariance = self.kernel(self._inducing, points)
        mean = self._weights.astype(np.float32) @ covariance
        explained = self._explained.astype(np.float32) @ covariance
        variance = np.maximum(self.kernel.diagonal(points) - np.einsum("ij,ij->j", explained, explained), 1e-6)
        z = mean.astype(np.float64) * self._scale + self._centre
        slope = np.exp(-z)
        return Belief(
            self._top + self._unit * (1 - slope),
            self._unit * slope * self._scale * np.sqrt(variance.astype(np.float64)),
        )


def _spread_out(points: Points, n: int) -> NDArray[np.int64]:
    """Rows of at most ``n`` points, each the one least explained by those before (pivoted Cholesky); all if fewer."""
    if len(points) <= n:
        return np.arange(len(points))
    kernel = Kernel()
    left = kernel.diagonal(points).astype(np.float64)
    factors: list[NDArray[np.float64]] = []
    rows: list[int] = []
    for _ in range(n):
        row = int(np.argmax(left))
        rows.append(row)
        covariance = kernel(points[[row]], points)[0].astype(np.float64)
        for factor in factors:
            covariance -= factor * factor[row]
        factors.append(covariance / np.sqrt(max(left[row], _JITTER)))
        left = left - factors[-1] ** 2
        left[row] = -np.inf
    return np.array(rows)


def _mean_square(x: NDArray[np.float32]) -> NDArray[np.float32]:
    return (x * x).sum(axis=1) / max(x.shape[1], 1)


def _matern(a: NDArray[np.float32], b: NDArray[np.float32]) -> NDArray[np.float32]:
    """Matern 3/2 of the distance in units in which two random architectures are 1 apart."""
    dot = a @ b.T / max(a.shape[1], 1)
    square = np.maximum((_mean_square(a)[:, None] + _mean_square(b)[None]) / 2 - dot, 0)
    r = np.sqrt(3 * square)
    return (1 + r) * np.exp(-r)
