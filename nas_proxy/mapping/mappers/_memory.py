"""All evaluated mappings, as a critic sees them."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from nas_proxy.mapping.critic import Critic
from nas_proxy.mapping.features import features
from nas_proxy.mapping.problem import Metrics, Problem

__all__ = ["Memory"]

_WEIGHTS = {"edp": (1.0, 1.0), "latency": (1.0, 0.0), "energy": (0.0, 1.0)}  # of log cycles and log energy


class Memory:
    """Evaluations of one search, and the critic that learns from them."""

    def __init__(self, problem: Problem) -> None:
        self._problem, self._critic = problem, Critic()
        self._x: list[NDArray[np.float64]] = []
        self._y: list[NDArray[np.float64]] = []
        self._values: list[NDArray[np.float64]] = []

    def _see(self, choices: NDArray[np.int64]) -> NDArray[np.float64]:
        return features(self._problem.model.layer, self._problem.space.mappings(choices))

    def add(self, choices: NDArray[np.int64], values: NDArray[np.float64], metrics: Metrics) -> None:
        """Remember a batch."""
        self._x.append(self._see(choices))
        self._y.append(metrics.values[:, :2])
        self._values.append(values)

    def learn(self) -> None:
        """Renew the critic."""
        self._critic.fit(np.concatenate(self._x), np.concatenate(self._y), np.concatenate(self._values))

    def choose(self, proposed: NDArray[np.int64], count: int, caution: float) -> NDArray[np.int64]:
        """The ``count`` proposals of lowest estimate, lowered by ``caution`` standard deviations; lowest first."""
        if not len(proposed):
            return proposed
        mean, deviation = self._critic.predict(self._see(proposed))
        weights = np.array(_WEIGHTS[self._problem.objective])
        estimate = mean @ weights - caution * np.sqrt(deviation**2 @ weights)
        estimate += self._problem.limit_penalty(mean[:, 0])
        return proposed[np.argsort(estimate, kind="stable")[:count]]
