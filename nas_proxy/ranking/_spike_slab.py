"""Linear proxy adaptation: exact Bayesian regression of a target's few measurements on the proxy and the space.

The target's latency, in units of its mean, is linear in a constant, the proxy's prediction, what the proxy measured
beyond its prediction, and the columns of the space. A target differs from its proxy in a little of everything and in
a lot of few things (a slower memory, a dearer kernel launch), so the prior of the columns' weights is small and dense
plus a *slab* on at most two features (spike and slab: Mitchell & Beauchamp, JASA 1988). A hypothesis says how large
the dense part is, whether the proxy's residual counts, how noisy the measurements are, and which features have slabs.
Each is a Gaussian linear model, so its evidence and its predictions have closed form; there are few enough to
enumerate, and they are averaged by their evidence (Hoeting et al., Statistical Science 1999).
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial
from itertools import product
from typing import Any

import numpy as np
from numpy.typing import NDArray

from nas_proxy.ranking._posterior import Inputs, Posterior, ProxyKnowledge
from nas_proxy.ranking._robust import ROUNDS, first_inflation, noise_inflation
from nas_proxy.ties import SAME, largest

__all__ = ["SAME_EVIDENCE", "Bayes", "Prior", "fit_bayes"]

SAME_EVIDENCE = 1e-6
"""Log evidences up to so far apart are equal."""


@dataclass(frozen=True)
class Prior:
    """Prior variances, in units of the variance of the measurements; those in tuples are averaged over, by evidence.

    Attributes:
        constant: of the constant: wide.
        proxy: of the proxy's coefficient.
        dense: of the weights of all columns together.
        noise: of a typical measurement.
        slab: of the weight of a feature that matters.
        residual: of the coefficient of the proxy's residual, if it counts.
        residual_counts: prior probability that it does. It is mostly noise of the proxy's own measurements.
        features: at most so many features are tried for slabs: those that explain most on their own.
        kept: so many hypotheses of the highest evidence are averaged.
    """

    constant: float = 25.0
    proxy: float = 1.0
    dense: tuple[float, ...] = (0.01, 0.1, 1.0)
    noise: tuple[float, ...] = (0.001, 0.01, 0.1, 1.0)
    slab: tuple[float, ...] = (0.1, 1.0)
    residual: float = 1.0
    residual_counts: float = 0.1
    features: int = 64
    kept: int = 64


@dataclass(frozen=True)
class Bayes(Prior):
    """Bayesian regression on the proxy and the space, averaged over what may differ; options are its prior."""

    def fit(self, inputs: Inputs, y: NDArray[np.float64], known: ProxyKnowledge) -> Posterior:
        """See :class:`nas_proxy.ranking.AdaptationMethod`."""
        return fit_bayes(inputs, y, known, self)


@dataclass(frozen=True)
class _Hypotheses:
    """The ``k`` best hypotheses: Gaussian linear models of the same ``n`` measurements.

    ``probability`` sums to 1; ``variance`` is the prior variance of each coefficient, ``(k, 3 + d)``; ``noise`` that
    of a typical measurement, ``(k,)``; ``log_evidence`` is that of all hypotheses, not of the best alone.
    """

    probability: NDArray[np.float64]
    variance: NDArray[np.float64]
    noise: NDArray[np.float64]
    log_evidence: float


def fit_bayes(inputs: Inputs, y: NDArray[np.float64], known: ProxyKnowledge, prior: Prior | None = None) -> Posterior:
    """Adapt to a target whose measurements are ``y`` ``(n,)``, in units of their mean."""
    prior = prior or Prior()
    inflation = first_inflation(y)
    for _ in range(ROUNDS - 1):
        centre, scale = _location(y, inflation)
        average = _average(inputs, (y - centre) / scale, known, prior, inflation)
        error = (y - centre) / scale - average.held_out
        inflation = noise_inflation(error**2 / average.held_out_variance)
    centre, scale = _location(y, inflation)
    average = _average(inputs, (y - centre) / scale, known, prior, inflation)
    coefficients = scale * average.coefficients
    coefficients[0] += centre
    return Posterior(
        coefficients=coefficients,
        noise_sd=scale * float(np.sqrt(average.noise)),
        freedom=average.freedom,
        held_out=centre + scale * average.held_out,
        held_out_sd=scale * np.sqrt(average.held_out_variance),
        log_evidence=average.log_evidence - len(y) * float(np.log(scale)),
        make_covariance=partial(average.covariance, scale**2),
    )


def _location(y: NDArray[np.float64], inflation: NDArray[np.float64]) -> tuple[float, float]:
    """Mean and standard deviation of ``y``, spikes counting for little."""
    weight = 1 / inflation / (1 / inflation).sum()
    centre = weight @ y
    return float(centre), float(np.sqrt(weight @ (y - centre) ** 2))


@dataclass(frozen=True)
class _Average:
    """The average of the hypotheses, given how much each measurement's noise variance is inflated."""

    hypotheses: _Hypotheses
    rows: NDArray[np.float64]  # (n, 3 + d)
    inverse: NDArray[np.float64]  # of the measurements' covariance, (k, n, n)
    dual: NDArray[np.float64]  # inverse @ target, (k, n)
    overall: NDArray[np.float64]  # the most likely scale of all variances of each hypothesis, (k,)
    noise: float
    freedom: float
    held_out: NDArray[np.float64]
    held_out_variance: NDArray[np.float64]

    @property
    def log_evidence(self) -> float:
        return self.hypotheses.log_evidence

    @property
    def means(self) -> NDArray[np.float64]:
        """Posterior mean of the coefficients under each hypothesis, ``(k, 3 + d)``."""
        return (self.dual @ self.rows) * self.hypotheses.variance

    @property
    def coefficients(self) -> NDArray[np.float64]:
        return self.hypotheses.probability @ self.means

    def covariance(self, unit: float = 1.0) -> NDArray[np.float64]:
        """Within the hypotheses and between them, times ``unit``, ``(3 + d, 3 + d)``."""
        deviations = self.means - self.coefficients
        weights = self.hypotheses.probability * self.overall
        total = (deviations * self.hypotheses.probability[:, None]).T @ deviations
        total += np.diag(weights @ self.hypotheses.variance)
        for weight, variance, inverse in zip(weights, self.hypotheses.variance, self.inverse, strict=True):
            loaded = self.rows * variance
            total -= weight * loaded.T @ inverse @ loaded
        return unit * total


def _average(
    inputs: Inputs, target: NDArray[np.float64], known: ProxyKnowledge, prior: Prior, inflation: NDArray[np.float64]
) -> _Average:
    best, rows, n = _hypotheses(inputs, target, known, prior, inflation), inputs.matrix, len(target)
    covariance = (rows * best.variance[:, None]) @ rows.T
    covariance[:, np.arange(n), np.arange(n)] += best.noise[:, None] * inflation
    inverse = np.linalg.inv(covariance).astype(np.float64)
    dual, diagonal = inverse @ target, np.diagonal(inverse, axis1=1, axis2=2)
    overall = dual @ target / n
    # leave-one-out in closed form (Rasmussen & Williams 2006, equation 5.12); without a measurement, the
    # hypotheses that predict it badly are the more probable
    error, variance = dual / diagonal, overall[:, None] / diagonal
    log_without = np.log(best.probability)[:, None] + 0.5 * np.log(variance) + 0.5 * error**2 / variance
    without = np.exp(log_without - log_without.max(axis=0))
    without /= without.sum(axis=0)
    held_out = target - (without * error).sum(axis=0)
    spread = (without * (variance + (target - error - held_out) ** 2)).sum(axis=0)
    noise = float(best.probability @ (overall * best.noise))
    return _Average(
        hypotheses=best,
        rows=rows,
        inverse=inverse,
        dual=dual,
        overall=overall,
        noise=noise,
        freedom=max(float(best.probability @ (best.noise * (diagonal @ inflation))), 1.0),
        held_out=held_out,
        held_out_variance=np.maximum(spread - noise * (inflation - 1), noise),
    )


@dataclass(frozen=True)
class _Slabs:
    """Alternatives for the slabs: the features that have one, -1 for none, its variance, and the log evidence."""

    log_evidence: NDArray[np.float64]  # (grid, alternatives)
    first: NDArray[np.int64]  # (alternatives,)
    second: NDArray[np.int64]
    variance: NDArray[np.float64]


def _hypotheses(
    inputs: Inputs, target: NDArray[np.float64], known: ProxyKnowledge, prior: Prior, inflation: NDArray[np.float64]
) -> _Hypotheses:
    """The evidence of every hypothesis, the scale of all variances integrated out, and the best of them.

    A slab adds a rank-one term to the measurements' covariance, so the evidence of all single slabs and pairs follows
    from one factorisation without slabs (matrix determinant and inversion lemmas).
    """
    n, columns = len(target), inputs.columns * np.sqrt(known.share)
    grid = np.array(list(product(prior.dense, (0.0, prior.residual), prior.noise)))
    log_prior = np.log(np.where(grid[:, 1] > 0, prior.residual_counts, 1 - prior.residual_counts))
    covariance = (
        prior.constant
        + prior.proxy * np.outer(inputs.proxy, inputs.proxy)
        + np.multiply.outer(grid[:, 0], columns @ columns.T)
        + np.multiply.outer(grid[:, 1], np.outer(inputs.residual, inputs.residual))
        + np.multiply.outer(grid[:, 2], np.diag(inflation))
    )
    factor = np.linalg.cholesky(covariance)
    tried = inputs.columns[:, : known.n_features]
    white = np.linalg.solve(
        factor, np.broadcast_to(np.column_stack([target, tried]), (len(grid), n, 1 + tried.shape[1]))
    )
    target_white, white = white[:, :, 0], white[:, :, 1:]
    quadratic = (target_white**2).sum(axis=1)
    base = log_prior - np.log(np.diagonal(factor, axis1=1, axis2=2)).sum(axis=1)
    along, own = np.einsum("gnd,gn->gd", white, target_white), (white**2).sum(axis=1)
    feature = np.arange(int(tried.shape[1]))
    if len(feature) > prior.features:
        explained = (along**2 / (own + 1)).max(axis=0)
        feature = largest(explained, prior.features, within=SAME * explained.max())
        white, along, own = white[:, :, feature], along[:, feature], own[:, feature]

    def log_evidence(explained: Any, determinant: Any, alternatives: int) -> NDArray[np.float64]:
        left = quadratic[:, None] - explained
        return base[:, None] - 0.5 * n * np.log(left) - 0.5 * np.log(determinant) - np.log(max(alternatives, 1))

    first, second = np.triu_indices(len(feature), 1)
    across = (white.transpose(0, 2, 1) @ white)[:, first, second]
    none = np.full(1, -1)
    tables = [_Slabs(log_evidence(0.0, 1.0, 1), none, none, np.zeros(1))]
    for slab in prior.slab:
        precision = own + 1 / slab
        one, two, h1, h2 = precision[:, first], precision[:, second], along[:, first], along[:, second]
        determinant = one * two - across**2
        explained = (two * h1**2 - 2 * across * h1 * h2 + one * h2**2) / determinant
        single = log_evidence(along**2 / precision, precision * slab, len(feature) * len(prior.slab))
        pair = log_evidence(explained, determinant * slab**2, len(first) * len(prior.slab))
        nothing = np.full(len(feature), -1)
        tables.append(_Slabs(single, feature, nothing, np.full(len(feature), slab)))
        tables.append(_Slabs(pair, feature[first], feature[second], np.full(len(first), slab)))
    evidence = np.concatenate([table.log_evidence for table in tables], axis=1)
    slab = np.concatenate([table.variance for table in tables])

    highest = evidence.max()
    kept = largest(evidence.ravel(), prior.kept, within=SAME_EVIDENCE)
    at, model = np.unravel_index(kept, evidence.shape)
    probability = np.exp(evidence.ravel()[kept] - highest)
    variance = np.empty((len(kept), 3 + inputs.columns.shape[1]))
    variance[:, :3] = np.column_stack(
        [np.full(len(kept), prior.constant), np.full(len(kept), prior.proxy), grid[at, 1]]
    )
    variance[:, 3:] = grid[at, 0, None] * known.share
    for chosen in ([table.first for table in tables], [table.second for table in tables]):
        chosen = np.concatenate(chosen)[model]
        has = np.flatnonzero(chosen >= 0)
        variance[has, 3 + chosen[has]] += slab[model[has]]
    return _Hypotheses(
        probability=probability / probability.sum(),
        variance=variance,
        noise=grid[at, 2],
        log_evidence=float(highest + np.log(np.exp(evidence - highest).sum() / (len(grid) / 2))),
    )
