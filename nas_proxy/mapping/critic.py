"""A learned critic: which of many proposals are worth an evaluation."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from nas_proxy.gaussian_process import GaussianProcess, matern
from nas_proxy.ties import SAME

__all__ = ["Critic"]

_SCALES = (0.5, 1.0, 2.0, 4.0)
_NOISE = 1e-4


class Critic:
    """A Gaussian process on the features of mappings, with a linear and a Matérn-5/2 part.

    Features are scaled by what a ridge regression makes of them, so that distance counts where the targets change;
    the length scale is the one of largest marginal likelihood, chosen anew at every fourth fit. Several targets share
    one kernel.

    Args:
        most: at most so many points are kept, half of them the best, half the latest.
    """

    def __init__(self, most: int = 256) -> None:
        self.most = most
        self._scale, self._fits = 1.0, 0

    def fit(self, x: NDArray[np.float64], targets: NDArray[np.float64], values: NDArray[np.float64]) -> Critic:
        """Learn from features ``(m, d)`` and targets ``(m, t)``; ``values`` ``(m,)`` rank the points, best smallest."""
        if len(x) > self.most:
            half = self.most // 2
            chosen = np.union1d(np.argsort(values, kind="stable")[:half], np.arange(len(x) - half, len(x)))
            x, targets = x[chosen], targets[chosen]
        self._mean, spread = x.mean(axis=0), x.std(axis=0)
        self._kept = spread > 1e-9
        z = (x - self._mean)[:, self._kept] / spread[self._kept]
        self._offset, self._spread = targets.mean(axis=0), targets.std(axis=0) + 1e-9
        y = (targets - self._offset) / self._spread

        ridge = np.linalg.solve(z.T @ z + np.eye(z.shape[1]), z.T @ y)
        weight = np.sqrt((ridge**2).mean(axis=1))
        weight = 0.1 + weight / (weight.max() + 1e-12)
        self._weight = weight / spread[self._kept]
        self._points = z * weight
        gram = self._points @ self._points.T / len(weight)
        norms = np.diag(gram) * len(weight)
        squared = np.maximum(norms[:, None] + norms[None] - 2 * gram * len(weight), 0.0)
        apart = squared > SAME * norms.max(initial=0.0)
        self._unit = np.sqrt(np.median(squared[apart])) if apart.any() else 1.0

        best = -np.inf
        scales = _SCALES if self._fits % 4 == 0 else (self._scale,)
        self._fits += 1
        for scale in scales:
            kernel = gram + matern(squared / (self._unit * scale) ** 2, order=2)
            kernel[np.diag_indices_from(kernel)] += _NOISE * kernel.diagonal().mean()
            process = GaussianProcess.exact(kernel, y)
            # Likelihood with the best amplitude for each target (closed form).
            variance = (y * process.weights).sum(axis=0) / len(y)
            likelihood = -0.5 * len(y) * np.log(variance + 1e-12).sum() - y.shape[1] * process.half_log_det
            if likelihood > best + SAME * abs(likelihood):
                best, self._scale, self._process, self._amplitude = likelihood, scale, process, np.sqrt(variance)
        return self

    def predict(self, x: NDArray[np.float64]) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """Means and standard deviations of all targets, each ``(B, t)``."""
        points = (x - self._mean)[:, self._kept] * self._weight
        d = points.shape[1]
        gram = points @ self._points.T
        own = (points**2).sum(axis=1)
        squared = np.maximum(own[:, None] + (self._points**2).sum(axis=1)[None] - 2 * gram, 0.0)
        cross = gram / d + matern(squared / (self._unit * self._scale) ** 2, order=2)
        mean, variance = self._process.predict(cross.T, own / d + 1.0)
        deviation = np.sqrt(np.maximum(variance, 1e-12))[:, None] * self._amplitude
        return self._offset + mean * self._spread, deviation * self._spread
