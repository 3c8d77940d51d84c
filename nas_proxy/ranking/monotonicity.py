"""Latency monotonicity: how well a predicted ranking will agree with the device's own.

The few measured architectures were chosen because they differ, so they are easier to rank than the rest of the space,
and a rank correlation of their held-out predictions promises too much. What is stated is therefore the agreement to
expect over architectures that were not measured: targets are drawn from the posterior, measured with noise, and ranked.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import reduce

import numpy as np
from numpy.typing import NDArray
from scipy import stats

from nas_proxy.ranking._posterior import Inputs, Posterior
from nas_proxy.ranking._robust import DEGREES_OF_FREEDOM
from nas_proxy.ranking._scale import Scale
from nas_proxy.ranking.kendall import kendall_taus
from nas_proxy.ties import levels

__all__ = ["ARCHITECTURES", "GOOD_ENOUGH", "INFORMATION", "INTERVAL", "Monotonicity", "assess"]

GOOD_ENOUGH = 0.8
"""Kendall's tau: nine of ten pairs are in the right order."""
_DRAWS, _FEWER_DRAWS = 100, 30
ARCHITECTURES = 500
INTERVAL = (0.05, 0.95)
_MORE = (0.5, 1, 2, 4, 8)
_FINEST_STEP = 1e-3
INFORMATION = DEGREES_OF_FREEDOM / (DEGREES_OF_FREEDOM + 3)
"""What a measurement tells of the scale of Student-t noise, relative to normal noise (Lange et al., JASA 1989)."""
_TELLING = 5.0
"""Degrees of freedom from which the noise is known well enough to blame it."""


@dataclass(frozen=True)
class Monotonicity:
    """What to expect of the predicted ranking on architectures that were not measured.

    Attributes:
        kendall_tau: expected Kendall's tau-b between predicted and measured latencies.
        spearman: expected Spearman correlation.
        interval: 90 % interval of Kendall's tau.
        n: measurements of the target that this rests on.
        verdict: in words: good enough, or how many more measurements would be needed.
    """

    kendall_tau: float
    spearman: float
    interval: tuple[float, float]
    n: int
    verdict: str


def assess(posterior: Posterior, scale: Scale, measured_ms: NDArray[np.float64], population: Inputs) -> Monotonicity:
    """What to expect on ``population`` of a model of the measurements ``measured_ms`` ``(n,)``, made on ``scale``.

    The same random numbers go to the same architecture and column, so it matters in which order these are: callers put
    them in one that does not depend on how they were given.
    """
    rng = np.random.default_rng(0)
    n, step_ms = len(measured_ms), float(measured_ms.mean()) * _clock_step(measured_ms / measured_ms.mean())
    predicted = (population.matrix @ posterior.coefficients)[:, None]
    values, vectors = np.linalg.eigh(posterior.covariance)
    # the symmetric root: which eigenvectors a library gives, and of which sign, does not matter
    root = population.matrix @ ((vectors * np.sqrt(np.maximum(values, 0.0))) @ vectors.T)
    learnable, rest = (root @ rng.standard_normal((root.shape[1], _DRAWS)) for _ in range(2))
    noise = posterior.noise_sd * rng.standard_t(DEGREES_OF_FREEDOM, size=(len(population), _DRAWS))
    # how far the sizes of all these may be from their most probable ones
    freedom = posterior.freedom * INFORMATION
    spread = np.sqrt(freedom / rng.chisquare(freedom, size=_DRAWS))

    def measured_on(y: NDArray[np.float64]) -> NDArray[np.float64]:
        return np.round(scale.ms(y) / step_ms) if step_ms else y

    def tau_with(more: float) -> float:
        """Kendall's tau, had ``more`` times ``n`` further measurements been taken: the uncertain part of the
        latencies shrinks with their number, and what is learnt moves the prediction."""
        few, unknown = slice(_FEWER_DRAWS), 1 / (1 + more)
        model = predicted + np.sqrt(1 - unknown) * learnable[:, few]
        target = measured_on(model + np.sqrt(unknown) * rest[:, few] + noise[:, few])
        return float(kendall_taus(model, target).mean())

    target = measured_on(predicted + rest + noise)
    tau = float(kendall_taus(predicted, target).mean())
    low, high = np.quantile(kendall_taus(predicted, measured_on(predicted + spread * (rest + noise))), INTERVAL)
    return Monotonicity(
        kendall_tau=tau,
        spearman=float(_spearman(predicted, target).mean()),
        interval=(float(min(low, tau)), float(max(high, tau))),
        n=n,
        verdict=_verdict(n, tau, tau_with, posterior, scale),
    )


def _verdict(n: int, tau: float, tau_with: Callable[[float], float], posterior: Posterior, scale: Scale) -> str:
    if tau >= GOOD_ENOUGH:
        return f"good enough: of two architectures, the faster is predicted faster {(1 + tau) / 2:.0%} of the time"
    needed = next((int(np.ceil(more * n)) for more in _MORE if tau_with(more) >= GOOD_ENOUGH), None)
    if needed is not None:
        return f"not good enough yet: about {needed} more measurements would bring Kendall's tau to {GOOD_ENOUGH}"
    if posterior.freedom < _TELLING:
        return f"not good enough: {n} measurements cannot tell noise from what the model lacks; take about {n} more"
    most = tau_with(np.inf)
    if most < GOOD_ENOUGH:
        return (
            f"limited by the measurements, which scatter by about {scale.scatter(posterior.noise_sd):.0%} around the "
            f"model: none would agree with them beyond a Kendall's tau of {most:.2f}; repeat each measurement and take "
            "the median"
        )
    return f"not good enough: more than {int(_MORE[-1] * n)} further measurements would be needed; try another proxy"


def _spearman(model: NDArray[np.float64], target: NDArray[np.float64]) -> NDArray[np.float64]:
    """Spearman's correlation of each column, ``(draws,)``; ``model`` may be one column for all."""
    ranks = [stats.rankdata(levels(values), axis=0) for values in (model, target)]
    ranks = [(r - r.mean(axis=0)) / np.maximum(r.std(axis=0), 1e-300) for r in ranks]
    return (ranks[0] * ranks[1]).mean(axis=0)


def _clock_step(measured: NDArray[np.float64]) -> float:
    """The step that all measurements are multiples of (a clock of whole milliseconds), 0 where there is none."""

    def common(a: float, b: float) -> float:
        while b > 1e-6:
            a, b = b, abs(a - b * round(a / b))
        return a

    step = reduce(common, map(float, measured))
    return step if step > _FINEST_STEP else 0.0
