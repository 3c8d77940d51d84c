"""What the adaptation methods take and give: a target's measurements as rows of inputs, and a model linear in them."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

__all__ = ["Inputs", "Posterior", "ProxyKnowledge"]


@dataclass(frozen=True)
class Inputs:
    """What the proxy and the space say of ``n`` architectures.

    Attributes:
        proxy: the proxy model's prediction, standardised over the proxy's measurements, ``(n,)``.
        residual: what the proxy measured beyond its prediction, in the same unit, spikes damped; 0 where it has not
            measured, ``(n,)``.
        columns: standardised columns of the space, ``(n, d)``.
    """

    proxy: NDArray[np.float64]
    residual: NDArray[np.float64]
    columns: NDArray[np.float64]

    def __getitem__(self, rows: NDArray[np.int64]) -> Inputs:
        return Inputs(self.proxy[rows], self.residual[rows], self.columns[rows])

    def __len__(self) -> int:
        return len(self.proxy)

    @cached_property
    def matrix(self) -> NDArray[np.float64]:
        """A constant, the proxy, the residual and the columns side by side, ``(n, 3 + d)``."""
        return np.column_stack([np.ones(len(self)), self.proxy, self.residual, self.columns])


@dataclass(frozen=True)
class ProxyKnowledge:
    """What the proxy's own measurements say of the columns.

    Attributes:
        share: prior variance of each column's weight, summing to 1, ``(d,)``.
        n_features: how many of the columns, from the first, are features of the space.
        weights: the proxy's weight of each column, in the unit of ``Inputs.proxy``, ``(d,)``.
    """

    share: NDArray[np.float64]
    n_features: int
    weights: NDArray[np.float64]


@dataclass(frozen=True)
class Posterior:
    """A target's latency on its scale (in units of its mean, or log): ``Inputs.matrix @ coefficients`` plus noise.

    Attributes:
        coefficients: posterior mean, ``(3 + d,)``.
        noise_sd: scale of the measurements' Student-t noise.
        freedom: degrees of freedom that ``noise_sd`` was estimated with: measurements less what was fitted to them.
        held_out, held_out_sd: prediction of each measurement from the others, ``(n,)``, and its standard deviation for
            a typical measurement.
        log_evidence: log density of the measurements under the method's prior; comparable between proxies.
    """

    coefficients: NDArray[np.float64]
    noise_sd: float
    freedom: float
    held_out: NDArray[np.float64]
    held_out_sd: NDArray[np.float64]
    log_evidence: float
    make_covariance: Callable[[], NDArray[np.float64]]

    @cached_property
    def covariance(self) -> NDArray[np.float64]:
        """Posterior covariance of the coefficients, ``(3 + d, 3 + d)``; computed when it is first asked for."""
        return self.make_covariance()
