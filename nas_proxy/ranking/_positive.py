"""Linear models may predict a latency below zero; latencies are positive."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

__all__ = ["positive"]


def positive(latency: NDArray[np.float64], lowest: float) -> NDArray[np.float64]:
    """``latency`` bent smoothly to stay positive below half of the ``lowest`` that was measured; the order is kept."""
    knee = 0.5 * lowest
    return np.where(latency >= knee, latency, knee / (2 - np.minimum(latency, knee) / knee))
