"""Linear proxy adaptation of many targets at once: the model of :mod:`nas_proxy.ranking._spike_slab`, batched.

The targets have measured the same architectures, so the prior's part of the measurements' covariance is the same for
all and is built once for each point of the grid of hyper-parameters. What differs is how much each measurement counts
(Student-t noise, and what a target has not measured), so each target has its own factorisations: small ones, done as
one stack. From them the evidence of every hypothesis follows in closed form, as for a single target.

Fewer hypotheses are looked at than for a single target: slabs on the features that explain most on their own, and
fewer of the best are averaged.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from itertools import product
from typing import Any

import numpy as np
from numpy.typing import NDArray

from nas_proxy.ranking._posterior import Inputs, ProxyKnowledge
from nas_proxy.ranking._robust import ROUNDS, first_inflation, noise_inflation
from nas_proxy.ranking._spike_slab import SAME_EVIDENCE, Prior
from nas_proxy.ties import SAME, largest

__all__ = ["FLEET_PRIOR", "FleetPosterior", "fit_fleet"]

FLEET_PRIOR = replace(Prior(), features=8, kept=8)
"""Fewer hypotheses than for one target: `python -m benchmarks.fleet` shows what that costs in rank correlation."""


@dataclass(frozen=True)
class FleetPosterior:
    """Latencies of ``b`` targets, each in units of its own mean: ``Inputs.matrix @ coefficients.T`` plus noise.

    Attributes:
        coefficients: posterior means, ``(b, 3 + d)``.
        covariance: posterior covariances of the coefficients, ``(b, 3 + d, 3 + d)``.
        noise_sd: scales of the measurements' Student-t noise, ``(b,)``.
        freedom: degrees of freedom that the scales were estimated with, ``(b,)``.
        inflation: by how much each measurement's noise variance exceeds the typical one, ``(b, n)``; 1 where there is
            no measurement.
    """

    coefficients: NDArray[np.float64]
    covariance: NDArray[np.float64]
    noise_sd: NDArray[np.float64]
    freedom: NDArray[np.float64]
    inflation: NDArray[np.float64]


def fit_fleet(
    inputs: Inputs, y: NDArray[np.float64], known: ProxyKnowledge, prior: Prior = FLEET_PRIOR
) -> FleetPosterior:
    """Adapt to ``b`` targets whose measurements are ``y`` ``(b, n)``, NaN where one is missing."""
    there = np.isfinite(y)
    y = np.where(there, y, 0.0)
    inflation = np.ones_like(y)
    for target, own, known_here in zip(inflation, y, there, strict=True):
        target[known_here] = first_inflation(own[known_here])
    family = _Family.of(inputs, known, prior)
    for _ in range(ROUNDS - 1):
        centre, scale = _location(y, inflation, there)
        standard = np.where(there, (y - centre) / scale, 0.0)
        average = _FleetAverage.of(family, standard, inflation, there)
        error = standard - average.held_out
        inflation = np.where(there, noise_inflation(error**2 / average.held_out_variance), 1.0)
    centre, scale = _location(y, inflation, there)
    average = _FleetAverage.of(family, np.where(there, (y - centre) / scale, 0.0), inflation, there)
    coefficients = scale * average.coefficients
    coefficients[:, :1] += centre
    return FleetPosterior(
        coefficients=coefficients,
        covariance=scale[:, :, None] ** 2 * average.covariance(),
        noise_sd=scale[:, 0] * np.sqrt(average.noise),
        freedom=average.freedom,
        inflation=inflation,
    )


def _location(
    y: NDArray[np.float64], inflation: NDArray[np.float64], there: NDArray[np.bool_]
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Mean and standard deviation of each target's measurements ``(b, 1)``, spikes counting for little."""
    weight = there / inflation
    weight /= weight.sum(axis=1, keepdims=True)
    centre = (weight * y).sum(axis=1, keepdims=True)
    return centre, np.sqrt((weight * (y - centre) ** 2).sum(axis=1, keepdims=True))


@dataclass(frozen=True)
class _Family:
    """What the hypotheses about all targets have in common.

    ``kernels`` ``(g, n, n)`` are the measurements' prior covariances without noise and slabs, for each point of the
    grid ``(g, 3)`` of dense, residual and noise variance; ``rows`` is ``(n, 3 + d)``, ``tried`` ``(n, f)`` the features
    that may have a slab.
    """

    prior: Prior
    share: NDArray[np.float64]
    rows: NDArray[np.float64]
    tried: NDArray[np.float64]
    grid: NDArray[np.float64]
    log_prior: NDArray[np.float64]
    kernels: NDArray[np.float64]

    @classmethod
    def of(cls, inputs: Inputs, known: ProxyKnowledge, prior: Prior) -> _Family:
        columns = inputs.columns * np.sqrt(known.share)
        grid = np.array(list(product(prior.dense, (0.0, prior.residual), prior.noise)))
        kernels = (
            prior.constant
            + prior.proxy * np.outer(inputs.proxy, inputs.proxy)
            + np.multiply.outer(grid[:, 0], columns @ columns.T)
            + np.multiply.outer(grid[:, 1], np.outer(inputs.residual, inputs.residual))
        )
        log_prior = np.log(np.where(grid[:, 1] > 0, prior.residual_counts, 1 - prior.residual_counts))
        tried = inputs.columns[:, : known.n_features]
        return cls(prior, known.share, inputs.matrix, tried, grid, log_prior, kernels)


@dataclass(frozen=True)
class _FleetSlabs:
    """Alternatives for the slabs: each target's features that have one, -1 for none, its variance, the log evidence."""

    log_evidence: NDArray[np.float64]  # (b, grid, alternatives)
    first: NDArray[np.int64]  # (b, alternatives)
    second: NDArray[np.int64]
    variance: NDArray[np.float64]  # (alternatives,)


@dataclass(frozen=True)
class _Best:
    """The ``k`` best hypotheses about each of ``b`` targets; see ``_Hypotheses`` of a single one."""

    probability: NDArray[np.float64]  # (b, k)
    variance: NDArray[np.float64]  # (b, k, 3 + d)
    noise: NDArray[np.float64]  # (b, k)

    @classmethod
    def of(
        cls, family: _Family, target: NDArray[np.float64], noise: NDArray[np.float64], there: NDArray[np.bool_]
    ) -> _Best:
        """The evidence of every hypothesis, and the best. ``noise`` are relative variances of measurements ``(b, n)``.

        A measurement that is missing is one of its own, known to be 0: it changes no other.
        """
        prior, n = family.prior, there.sum(axis=1)[:, None, None]
        covariance = family.kernels * (there[:, :, None] & there[:, None, :])[:, None]
        diagonal = np.arange(int(target.shape[1]))
        covariance[:, :, diagonal, diagonal] += np.where(there[:, None], family.grid[:, 2, None] * noise[:, None], 1.0)
        factor = np.linalg.cholesky(covariance)
        log_det = np.log(factor[:, :, diagonal, diagonal]).sum(axis=2)
        data = np.concatenate([target[:, :, None], family.tried * there[:, :, None]], axis=2)
        white = np.linalg.solve(factor, np.broadcast_to(data[:, None], (*factor.shape[:3], data.shape[2])))
        target_white, white = white[..., :1], white[..., 1:]
        quadratic, own = (target_white**2).sum(axis=2), (white**2).sum(axis=2)
        along = (target_white.swapaxes(2, 3) @ white)[:, :, 0]
        explained = (along**2 / (own + 1)).max(axis=1)
        feature = largest(explained, prior.features, within=SAME * explained.max(axis=1, keepdims=True, initial=0.0))
        own, along = (np.take_along_axis(values, feature[:, None], axis=2) for values in (own, along))
        white = np.take_along_axis(white, feature[:, None, None], axis=3)
        first, second = np.triu_indices(feature.shape[1], 1)
        across = (white.swapaxes(2, 3) @ white)[:, :, first, second]

        base = (family.log_prior - log_det)[:, :, None]

        def log_evidence(gain: Any, determinant: Any, alternatives: int) -> NDArray[np.float64]:
            fit = -0.5 * n * np.log(quadratic - gain) - 0.5 * np.log(determinant)
            return base + fit - np.log(max(alternatives * len(prior.slab), 1))

        nothing = np.full_like(feature, -1)
        tables = [_FleetSlabs(base - 0.5 * n * np.log(quadratic), nothing[:, :1], nothing[:, :1], np.zeros(1))]
        for slab in prior.slab:
            precision = own + 1 / slab
            p1, p2, h1, h2 = (values[:, :, at] for values in (precision, along) for at in (first, second))
            determinant = p1 * p2 - across**2
            gain = (p2 * h1**2 - 2 * across * h1 * h2 + p1 * h2**2) / determinant
            single = log_evidence(along**2 / precision, precision * slab, feature.shape[1])
            pair = log_evidence(gain, determinant * slab**2, len(first))
            tables.append(_FleetSlabs(single, feature, nothing, np.full(int(feature.shape[1]), slab)))
            tables.append(_FleetSlabs(pair, feature[:, first], feature[:, second], np.full(len(first), slab)))
        return cls._best(family, tables)

    @classmethod
    def _best(cls, family: _Family, tables: Sequence[_FleetSlabs]) -> _Best:
        evidence = np.concatenate([table.log_evidence for table in tables], axis=2)
        slab = np.concatenate([table.variance for table in tables])
        prior, (b, _, h) = family.prior, evidence.shape
        flat = evidence.reshape(b, -1)
        kept = largest(flat, prior.kept, within=SAME_EVIDENCE)
        log_probability = np.take_along_axis(flat, kept, axis=1)
        probability = np.exp(log_probability - log_probability.max(axis=1, keepdims=True))
        at, model = kept // h, kept % h
        dense, residual, noise = np.moveaxis(family.grid[at], -1, 0)
        variance = np.empty((*kept.shape, family.rows.shape[1]))
        variance[:, :, 0], variance[:, :, 1], variance[:, :, 2] = prior.constant, prior.proxy, residual
        variance[:, :, 3:] = dense[:, :, None] * family.share
        for features in ([table.first for table in tables], [table.second for table in tables]):
            chosen = np.take_along_axis(np.concatenate(features, axis=1), model, axis=1)
            device, hypothesis = np.nonzero(chosen >= 0)
            column = 3 + chosen[device, hypothesis]
            variance[device, hypothesis, column] += slab[model[device, hypothesis]]
        return cls(probability / probability.sum(axis=1, keepdims=True), variance, noise)


@dataclass(frozen=True)
class _FleetAverage:
    """The average of each target's best hypotheses; see ``_Average`` of a single one."""

    best: _Best
    white_rows: NDArray[np.float64]  # the rows, each column times its prior variance, whitened; (b, k, n, 3 + d)
    means: NDArray[np.float64]  # of the coefficients under each hypothesis, (b, k, 3 + d)
    overall: NDArray[np.float64]  # the most likely scale of all variances, (b, k)
    noise: NDArray[np.float64]  # (b,)
    freedom: NDArray[np.float64]  # (b,)
    held_out: NDArray[np.float64]  # (b, n)
    held_out_variance: NDArray[np.float64]  # (b, n)

    @classmethod
    def of(
        cls, family: _Family, target: NDArray[np.float64], inflation: NDArray[np.float64], there: NDArray[np.bool_]
    ) -> _FleetAverage:
        best, diagonal = _Best.of(family, target, inflation, there), np.arange(int(target.shape[1]))
        rows = family.rows * there[:, :, None]
        loaded = rows[:, None] * best.variance[:, :, None]  # (b, k, n, 3 + d)
        covariance = loaded @ rows.swapaxes(1, 2)[:, None]
        covariance[:, :, diagonal, diagonal] += np.where(there[:, None], best.noise[:, :, None] * inflation[:, None], 1)
        whiten = np.linalg.inv(np.linalg.cholesky(covariance))
        white_target = (whiten @ target[:, None, :, None])[..., 0]
        dual = (whiten.swapaxes(2, 3) @ white_target[..., None])[..., 0]
        precision = (whiten**2).sum(axis=2)  # diagonal of the inverse covariance
        n = there.sum(axis=1)[:, None]
        overall = (white_target**2).sum(axis=2) / n
        # leave-one-out in closed form (Rasmussen & Williams 2006, equation 5.12)
        error, variance = dual / precision, overall[:, :, None] / precision
        log_without = np.log(np.maximum(best.probability, 1e-300))[:, :, None] + 0.5 * np.log(variance)
        log_without += 0.5 * error**2 / variance
        without = np.exp(log_without - log_without.max(axis=1, keepdims=True))
        without /= without.sum(axis=1, keepdims=True)
        held_out = target - (without * error).sum(axis=1)
        spread = (without * (variance + (target[:, None] - error - held_out[:, None]) ** 2)).sum(axis=1)
        noise = (best.probability * overall * best.noise).sum(axis=1)
        used = best.noise * (precision * (inflation * there)[:, None]).sum(axis=2)
        return cls(
            best=best,
            white_rows=whiten @ loaded,
            means=(dual[:, :, None] @ loaded)[:, :, 0],
            overall=overall,
            noise=noise,
            freedom=np.maximum((best.probability * used).sum(axis=1), 1.0),
            held_out=held_out,
            held_out_variance=np.maximum(spread - noise[:, None] * (inflation - 1), noise[:, None]),
        )

    @property
    def coefficients(self) -> NDArray[np.float64]:
        return (self.best.probability[:, None] @ self.means)[:, 0]

    def covariance(self) -> NDArray[np.float64]:
        """Within the hypotheses and between them, ``(b, 3 + d, 3 + d)``."""
        weight = self.best.probability * self.overall
        between = (self.means - self.coefficients[:, None]) * np.sqrt(self.best.probability)[:, :, None]
        learnt = (self.white_rows * np.sqrt(weight)[:, :, None, None]).reshape(len(weight), -1, between.shape[2])
        total = between.swapaxes(1, 2) @ between - learnt.swapaxes(1, 2) @ learnt
        columns = np.arange(int(total.shape[1]))
        total[:, columns, columns] += (weight[:, None] @ self.best.variance)[:, 0]
        return total
