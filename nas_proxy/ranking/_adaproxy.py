"""AdaProxy, for comparison: ``w_target = w_proxy * (a + b) + c`` (Lu et al., SIGMETRICS 2022, arXiv 2111.01203)."""

from __future__ import annotations

from functools import partial
from typing import Any

import numpy as np
from numpy.typing import NDArray

from nas_proxy.ranking._posterior import Inputs, Posterior, ProxyKnowledge
from nas_proxy.ties import first_smallest

__all__ = ["AdaProxy", "fit_adaproxy"]

_PENALTIES = np.logspace(-4, 4, 33)
_FREE = 1e4


class AdaProxy:
    """AdaProxy (Lu et al., SIGMETRICS 2022), for comparison: the proxy's weights, scaled, each a little changed."""

    def fit(self, inputs: Inputs, y: NDArray[np.float64], known: ProxyKnowledge) -> Posterior:
        """See :class:`nas_proxy.ranking.AdaptationMethod`."""
        return fit_adaproxy(inputs, y, known)


def fit_adaproxy(inputs: Inputs, y: NDArray[np.float64], known: ProxyKnowledge) -> Posterior:
    """Adapt to a target whose measurements are ``y`` ``(n,)``, in units of their mean.

    ``a`` scales all of the proxy's weights, ``b`` each of them, ``c`` shifts the sum; the squared norm of ``b`` is
    penalised, and how strongly is chosen by the leave-one-out error, which is closed form for ridge regression.
    """
    own = inputs.columns * known.weights  # what each column adds to the proxy's latency
    fixed = np.column_stack([np.ones(len(y)), inputs.proxy])
    gram, free = own @ own.T, _FREE * fixed @ fixed.T
    inverses = np.linalg.inv(free + gram / _PENALTIES[:, None, None] + np.eye(len(y)))
    errors = inverses @ y / np.diagonal(inverses, axis1=1, axis2=2)
    best = first_smallest((errors**2).sum(axis=1))
    penalty, inverse, error = _PENALTIES[best], inverses[best], errors[best]
    dual = inverse @ y
    variance = np.concatenate([[_FREE, _FREE, 0.0], known.weights**2 / penalty])
    noise_variance = float(dual @ y) / len(y)
    rows = inputs.matrix
    loaded = rows * variance
    _, log_det = np.linalg.slogdet(inverse)
    return Posterior(
        coefficients=variance * (dual @ rows),
        noise_sd=float(np.sqrt(noise_variance)),
        freedom=max(float(np.trace(inverse)), 1.0),
        held_out=y - error,
        held_out_sd=np.sqrt(noise_variance / np.diagonal(inverse)),
        log_evidence=float(-0.5 * len(y) * np.log(noise_variance) + 0.5 * log_det),
        make_covariance=partial(_covariance, noise_variance, variance, loaded, inverse),
    )


def _covariance(noise_variance: float, variance: Any, loaded: Any, inverse: Any) -> NDArray[np.float64]:
    return noise_variance * (np.diag(variance) - loaded.T @ inverse @ loaded)
