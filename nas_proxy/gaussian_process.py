"""Gaussian-process regression from covariance matrices: exact, or on inducing points where observations are many.

What is observed has mean 0. Whoever uses it says what the covariances are: the search of accuracies, a mapper's critic
of costs.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray
from scipy.linalg import cholesky, solve_triangular

__all__ = ["GaussianProcess", "matern"]


@dataclass(frozen=True)
class GaussianProcess:
    """What ``m`` inducing points (the observations themselves where it is exact) say of any other point.

    Attributes:
        weights: the mean is ``weights.T @ covariance`` with the inducing points, ``(m, t)`` for ``t`` quantities.
        root: the variance is smaller by the square of ``root @ covariance`` than before observing, ``(m, m)``.
        half_log_det: of the observations' covariance, where it is exact.
    """

    weights: NDArray[np.float64]
    root: NDArray[np.float64]
    half_log_det: float = math.nan

    @classmethod
    def exact(cls, covariance: NDArray[np.float64], observed: NDArray[np.float64]) -> Self:
        """From observations ``(m, t)`` and their covariance, noise included, ``(m, m)``."""
        lower = cholesky(covariance, lower=True, check_finite=False)
        root = solve_triangular(lower, np.eye(len(lower)), lower=True, check_finite=False)
        return cls(root.T @ (root @ observed), root, float(np.log(lower.diagonal()).sum()))

    @classmethod
    def sparse(
        cls, inducing: NDArray[np.float64], cross: NDArray[np.float64], noise: float, observed: NDArray[np.float64]
    ) -> Self:
        """The deterministic training conditional (Quinonero-Candela & Rasmussen, JMLR 2005): a prediction costs the
        same however many observations there are.

        Args:
            inducing: covariance of the inducing points, ``(m, m)``, jitter included.
            cross: of the inducing points and the ``n`` observed ones, ``(m, n)``.
            noise: variance of an observation's noise.
            observed: ``(n, t)``.
        """
        m = len(inducing)
        whiten = cls.exact(inducing, np.zeros((m, 0))).root
        projected = whiten @ cross
        inverse = np.linalg.inv(projected @ projected.T + noise * np.eye(m))
        # var = k - |C' W k_Z|^2 with W' W the inverse of `inducing` and C C' = I - noise * inverse
        known = np.linalg.cholesky(np.eye(m) * (1 + _JITTER) - noise * inverse)
        return cls(whiten.T @ (inverse @ (projected @ observed)), known.T @ whiten)

    def predict(self, cross: NDArray[Any], prior: NDArray[Any]) -> tuple[NDArray[Any], NDArray[Any]]:
        """Means ``(n, t)`` and variances ``(n,)``, in the precision of ``cross``.

        Args:
            cross: covariance of the inducing points and ``n`` new ones, ``(m, n)``.
            prior: the new points' variances before anything was observed, ``(n,)``.
        """
        explained = self.root.astype(cross.dtype) @ cross
        return cross.T @ self.weights.astype(cross.dtype), prior - np.einsum("ij,ij->j", explained, explained)


_JITTER = 1e-4


def matern(squared_distance: NDArray[Any], order: int) -> NDArray[Any]:
    """Matern covariance of smoothness 3/2 (``order`` 1) or 5/2 (``order`` 2), length scale and variance 1."""
    scaled = np.sqrt((2 * order + 1) * np.maximum(squared_distance, 0))
    return (1 + scaled + (scaled**2 / 3 if order == 2 else 0)) * np.exp(-scaled)
