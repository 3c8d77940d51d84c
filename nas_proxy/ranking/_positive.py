"""Linear models may predict a latency below zero; latencies are positive."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

__all__ = ["positive"]

_SMALLEST_EXPONENT = -600.0


def positive(latency: NDArray[np.float64], lowest: float) -> NDArray[np.float64]:
    """``latency`` bent to stay positive below half of the ``lowest`` that was measured, keeping the order."""
    knee = 0.5 * lowest
    return np.where(latency >= knee, latency, knee * np.exp(np.clip(latency / knee - 1, _SMALLEST_EXPONENT, 0.0)))
