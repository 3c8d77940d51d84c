"""Which architectures to measure: Bayesian D-optimal design."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from nas_proxy.ties import first_largest

__all__ = ["d_optimal"]


def d_optimal(
    rows: NDArray[np.float64], n: int, noise_variance: float, constant_variance: float = 100.0
) -> NDArray[np.int64]:
    """Indices ``(n,)`` of the rows that together tell most of the weights of a linear model.

    The weights have prior variance 1, so ``rows`` ``(N, d)`` carry the prior in their scale. The design maximises the
    mutual information of measurements and weights, greedily: each time the row whose prediction is most uncertain given
    the rows before it, which is within 1 - 1/e of the best design (Krause, Singh & Guestrin, JMLR 2008). The larger the
    noise, the more a row's own size counts against its novelty. Of equals the first row is taken.
    """
    rows = np.column_stack([rows, np.full(len(rows), np.sqrt(constant_variance))])
    covariance = np.eye(rows.shape[1])
    variance = (rows**2).sum(axis=1)
    chosen: list[int] = []
    for _ in range(n):
        best = first_largest(variance)
        chosen.append(best)
        direction = covariance @ rows[best]
        learnt = variance[best] + noise_variance
        variance = variance - (rows @ direction) ** 2 / learnt
        covariance -= np.outer(direction, direction) / learnt
        variance[chosen] = -np.inf
    return np.array(chosen, dtype=np.int64)
