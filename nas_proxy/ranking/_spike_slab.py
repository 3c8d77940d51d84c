"""Linear proxy adaptation: exact Bayesian regression of a target's few measurements on the proxy and the space.

The target's latency, in units of its mean, is linear in a constant, the proxy's prediction, what the proxy measured
beyond its prediction, and the columns of the space. A target differs from its proxy in a little of everything and in a
lot of few things (a slower memory, a dearer kernel launch), so the prior of the columns' weights is dense and small plus a
*slab* on at most two features (spike and slab: Mitchell & Beauchamp, JASA 1988). Every hypothesis - how large the
dense part is, how much the residual of the proxy counts, how noisy the measurements are, which features have slabs -
is a Gaussian linear model, so its evidence and predictions have closed form; there are few enough to enumerate, and
they are averaged by their evidence (Hoeting et al., Statistical Science 1999). Nothing is tuned.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from itertools import product

import numpy as np
from numpy.typing import NDArray

from nas_proxy.ranking._posterior import Inputs, Posterior, ProxyKnowledge
from nas_proxy.ranking._robust import ROUNDS, noise_inflation

__all__ = ["Prior", "fit_bayes"]


@dataclass(frozen=True)
class Prior:
    """Variances in units of the variance of the measurements; lists are averaged over, by evidence.

    Attributes:
        constant: of the constant: wide.
        proxy: of the proxy's coefficient.
        dense: of all columns together.
        residual: of the coefficient of the proxy's residual: none, or as the proxy's.
        noise: of a typical measurement.
        slab: of the weight of a feature that matters.
        features: at most so many features may have a slab; the ones that explain most alone.
        kept: so many hypotheses of the highest evidence are averaged.
    """

    constant: float = 25.0
    proxy: float = 1.0
    dense: tuple[float, ...] = (0.001, 0.03, 0.3)
    residual: tuple[float, ...] = (0.0, 1.0)
    noise: tuple[float, ...] = (0.001, 0.003, 0.01, 0.03, 0.1, 0.3, 1.0)
    slab: tuple[float, ...] = (0.1, 1.0)
    features: int = 64
    kept: int = 64

    @property
    def grid(self) -> NDArray[np.float64]:
        """Columns dense, residual, noise."""
        return np.array(list(product(self.dense, self.residual, self.noise)))


@dataclass(frozen=True)
class _Hypotheses:
    """The best hypotheses: ``k`` Gaussian linear models of the same ``n`` measurements.

    ``variance`` is the prior variance of each coefficient, ``(k, 3 + d)``; ``noise`` that of a typical measurement.
    """

    posterior: NDArray[np.float64]
    variance: NDArray[np.float64]
    noise: NDArray[np.float64]
    log_evidence: float


def fit_bayes(inputs: Inputs, y: NDArray[np.float64], known: ProxyKnowledge, prior: Prior = Prior()) -> Posterior:  # noqa: B008
    """Adapt to a target whose measurements are ``y`` ``(n,)``, in units of their mean."""
    centre, scale = y.mean(), y.std()
    target, rows = (y - centre) / scale, inputs.matrix
    inflation = np.ones(len(y))
    for last in [False] * (ROUNDS - 1) + [True]:
        best = _hypotheses(inputs, target, known, prior, inflation)
        gram = (rows * best.variance[:, None]) @ rows.T + np.einsum("k,nm->knm", best.noise, np.diag(inflation))
        inverse = np.linalg.inv(gram)
        dual = inverse @ target
        # Rasmussen & Williams 2006, equation 5.12; the overall scale of each hypothesis at its most likely value
        overall = dual @ target / len(y)
        diagonal = np.diagonal(inverse, axis1=1, axis2=2)
        error = dual / diagonal
        spread = overall[:, None] / diagonal
        without = np.log(best.posterior)[:, None] + 0.5 * np.log(spread) + 0.5 * error**2 / spread
        without = np.exp(without - without.max(axis=0))
        without /= without.sum(axis=0)
        held_out = target - (without * error).sum(axis=0)
        noise = best.posterior @ (overall * best.noise)
        held_out_variance = (without * (spread + (target - error - held_out) ** 2)).sum(axis=0) - noise * (
            inflation - 1
        )
        held_out_variance = np.maximum(held_out_variance, noise)
        if not last:
            inflation = noise_inflation((target - held_out) ** 2 / held_out_variance)

    weighted = best.posterior[:, None] * (dual @ rows) * best.variance
    coefficients = scale * weighted.sum(axis=0)
    coefficients[0] += centre
    return Posterior(
        coefficients=coefficients,
        noise_sd=float(scale * np.sqrt(noise)),
        held_out=centre + scale * held_out,
        held_out_sd=scale * np.sqrt(held_out_variance),
        log_evidence=best.log_evidence - len(y) * float(np.log(scale)),
        make_covariance=lambda: scale**2 * _covariance(best, rows, inverse, dual, overall),
    )


def _hypotheses(
    inputs: Inputs, target: NDArray[np.float64], known: ProxyKnowledge, prior: Prior, inflation: NDArray[np.float64]
) -> _Hypotheses:
    """Evidence of every hypothesis, the overall scale integrated out, and the best of them."""
    n, grid, features = len(target), prior.grid, inputs.columns[:, : known.n_features]
    columns = inputs.columns * np.sqrt(known.share)
    gram = (
        prior.constant
        + prior.proxy * np.outer(inputs.proxy, inputs.proxy)
        + np.einsum("g,nm->gnm", grid[:, 0], columns @ columns.T)
        + np.einsum("g,nm->gnm", grid[:, 1], np.outer(inputs.residual, inputs.residual))
        + np.einsum("g,nm->gnm", grid[:, 2], np.diag(inflation))
    )
    factor = np.linalg.cholesky(gram)
    white = np.linalg.solve(
        factor, np.broadcast_to(np.column_stack([target, features]), (len(grid), n, 1 + features.shape[1]))
    )
    half_log_det = np.log(np.diagonal(factor, axis1=1, axis2=2)).sum(axis=1)[:, None]
    white_target, white_features = white[:, :, 0], white[:, :, 1:]
    quadratic = (white_target**2).sum(axis=1)[:, None]
    along = np.einsum("gnd,gn->gd", white_features, white_target)
    across = white_features.transpose(0, 2, 1) @ white_features

    def evidence(explained, half_log_det_slabs, count):
        return -0.5 * n * np.log(quadratic - explained) - half_log_det - half_log_det_slabs - np.log(count)

    d = features.shape[1]
    first, second = np.triu_indices(d, 1)
    found = [(evidence(0.0, 0.0, 1), np.full(1, d), np.full(1, d), np.zeros(1))]
    own = np.diagonal(across, axis1=1, axis2=2)
    for slab in prior.slab:
        a = own + 1 / slab
        found.append(
            (
                evidence(along**2 / a, 0.5 * np.log(a * slab), d * len(prior.slab)),
                np.arange(d),
                np.full(d, d),
                np.full(d, slab),
            )
        )
        cross, a1, a2, h1, h2 = across[:, first, second], a[:, first], a[:, second], along[:, first], along[:, second]
        det = a1 * a2 - cross**2
        found.append(
            (
                evidence(
                    (a2 * h1**2 - 2 * cross * h1 * h2 + a1 * h2**2) / det,
                    0.5 * np.log(det * slab**2),
                    len(first) * len(prior.slab),
                ),
                first,
                second,
                np.full(len(first), slab),
            )
        )
    log_evidence = np.concatenate([f[0] for f in found], axis=1)
    one, two, slab = (np.concatenate([f[i] for f in found]) for i in (1, 2, 3))
    top = log_evidence.max()
    total = top + np.log(np.exp(log_evidence - top).sum() / len(grid))
    kept = min(prior.kept, log_evidence.size)
    flat = np.argpartition(log_evidence.ravel(), -kept)[-kept:]
    g, h = np.unravel_index(flat, log_evidence.shape)
    posterior = np.exp(log_evidence.ravel()[flat] - top)
    variance = np.zeros((kept, 4 + inputs.columns.shape[1]))
    variance[:, 0], variance[:, 1], variance[:, 2] = prior.constant, prior.proxy, grid[g, 1]
    variance[:, 3:-1] = grid[g, 0, None] * known.share
    at = np.arange(kept)
    blank = variance.shape[1] - 1
    variance[at, np.where(one[h] < d, 3 + one[h], blank)] += slab[h]
    variance[at, np.where(two[h] < d, 3 + two[h], blank)] += slab[h]
    return _Hypotheses(posterior / posterior.sum(), variance[:, :-1], grid[g, 2], float(total))


def _covariance(best, rows, inverse, dual, overall):
    means = (dual @ rows) * best.variance
    total = np.diag((best.posterior * overall) @ best.variance)
    for p, scale, variance, inv in zip(best.posterior, overall, best.variance, inverse, strict=True):
        loaded = rows * variance
        total -= p * scale * loaded.T @ inv @ loaded
    centred = means - best.posterior @ means
    return total + (centred * best.posterior[:, None]).T @ centred
