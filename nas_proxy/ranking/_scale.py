"""From latencies in ms to what the models are linear in, and back."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, Self

import numpy as np
from numpy.typing import NDArray

__all__ = ["Scale", "ScaleName", "positive"]

ScaleName = Literal["linear", "log"]


@dataclass(frozen=True)
class Scale:
    """One device's latencies as ``y`` near 1 (linear: in units of their mean) or near 0 (log of the same by their
    geometric mean).

    Attributes:
        unit_ms: that mean.
        lowest: the smallest ``y`` that was measured. A linear model may predict a latency below zero; what it predicts
            below half of the lowest is bent to stay positive.
    """

    name: ScaleName
    unit_ms: float
    lowest: float

    @classmethod
    def of(cls, name: ScaleName, latency_ms: NDArray[np.float64]) -> Self:
        """The scale of a device that measured ``latency_ms`` ``(n,)``."""
        if name == "log":
            unit_ms = float(np.exp(np.log(latency_ms).mean()))
            return cls(name, unit_ms, float(np.log(latency_ms.min() / unit_ms)))
        unit_ms = float(latency_ms.mean())
        return cls(name, unit_ms, float(latency_ms.min() / unit_ms))

    def y(self, latency_ms: NDArray[np.float64]) -> NDArray[np.float64]:
        """What the models are linear in."""
        return np.log(latency_ms / self.unit_ms) if self.name == "log" else latency_ms / self.unit_ms

    def ms(self, y: NDArray[np.float64]) -> NDArray[np.float64]:
        """Latencies in ms, all positive; the order is kept."""
        return self.unit_ms * (np.exp(y) if self.name == "log" else positive(y, self.lowest))

    def sd_ms(self, y: NDArray[np.float64], sd: NDArray[np.float64]) -> NDArray[np.float64]:
        """Standard deviation in ms of one of ``sd`` around ``y``; of logarithms to first order."""
        return self.ms(y) * sd if self.name == "log" else self.unit_ms * sd

    def scatter(self, sd: float) -> float:
        """A standard deviation as a share of the latency."""
        return float(np.expm1(sd)) if self.name == "log" else sd


def positive(y: NDArray[np.float64], lowest: float | NDArray[np.float64]) -> NDArray[np.float64]:
    """``y`` bent smoothly to stay positive below half of the ``lowest`` that was measured; the order is kept."""
    knee = 0.5 * lowest
    return np.where(y >= knee, y, knee / (2 - np.minimum(y, knee) / knee))
