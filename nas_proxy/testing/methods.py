"""What every adaptation method must satisfy. In your tests::

from nas_proxy.testing.methods import CHECKS

@pytest.mark.parametrize("check", CHECKS)
def test_my_method(check):
    check(MyMethod())
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from nas_proxy.ranking import AdaptationMethod, Inputs, ProxyKnowledge

__all__ = [
    "CHECKS",
    "check_covariance",
    "check_determinism",
    "check_held_out",
    "check_order",
    "check_shapes",
    "check_shifted_proxy",
]

_FEATURES, _INDICATORS, _N, _POPULATION = 6, 4, 12, 200


def _problem(noise: float = 0.01) -> tuple[Inputs, NDArray[np.float64], ProxyKnowledge]:
    """A population, the noise-free latencies of a target that differs from its proxy in one feature, and the rest."""
    rng = np.random.default_rng(0)
    d = _FEATURES + _INDICATORS
    columns = rng.standard_normal((_POPULATION, d))
    weights = rng.standard_normal(d) / np.sqrt(d)
    proxy = columns @ weights
    inputs = Inputs(proxy, noise * rng.standard_normal(_POPULATION), columns)
    latency = 1 + 0.1 * proxy + 0.1 * columns[:, 0]
    return inputs, latency, ProxyKnowledge(np.full(d, 1 / d), _FEATURES, weights)


_SAMPLED = np.arange(_N)


def check_shapes(method: AdaptationMethod) -> None:
    """One coefficient for each input, one held-out prediction for each measurement, nothing infinite."""
    inputs, latency, known = _problem()
    found = method.fit(inputs[_SAMPLED], latency[_SAMPLED], known)
    assert found.coefficients.shape == (inputs.matrix.shape[1],)
    assert found.held_out.shape == found.held_out_sd.shape == (_N,)
    assert (found.held_out_sd > 0).all(), "a held-out prediction without uncertainty"
    assert found.noise_sd >= 0
    assert found.freedom > 0
    for value in (found.coefficients, found.held_out, found.held_out_sd, found.log_evidence, found.noise_sd):
        assert np.isfinite(value).all()


def check_covariance(method: AdaptationMethod) -> None:
    """The covariance is symmetric and has no negative variance."""
    inputs, latency, known = _problem()
    covariance = method.fit(inputs[_SAMPLED], latency[_SAMPLED], known).covariance
    assert covariance.shape == (inputs.matrix.shape[1],) * 2
    size = np.abs(covariance).max()
    assert np.allclose(covariance, covariance.T, atol=1e-9 * size), "the covariance is not symmetric"
    assert np.linalg.eigvalsh(covariance).min() >= -1e-6 * size, "a combination of coefficients has negative variance"


def check_determinism(method: AdaptationMethod) -> None:
    """The same measurements give the same model."""
    inputs, latency, known = _problem()
    one, other = (method.fit(inputs[_SAMPLED], latency[_SAMPLED], known) for _ in range(2))
    assert np.array_equal(one.coefficients, other.coefficients)


def check_order(method: AdaptationMethod) -> None:
    """The order of the measurements does not matter."""
    inputs, latency, known = _problem()
    forwards = method.fit(inputs[_SAMPLED], latency[_SAMPLED], known)
    backwards = method.fit(inputs[_SAMPLED[::-1]], latency[_SAMPLED[::-1]], known)
    assert np.allclose(inputs.matrix @ forwards.coefficients, inputs.matrix @ backwards.coefficients, atol=1e-6)
    assert np.allclose(forwards.held_out, backwards.held_out[::-1], atol=1e-6)


def check_shifted_proxy(method: AdaptationMethod) -> None:
    """A target that is its proxy but slower and with an overhead is predicted as well as it can be measured."""
    inputs, _, known = _problem()
    latency = 1 + 0.2 * inputs.proxy
    found = method.fit(inputs[_SAMPLED], latency[_SAMPLED], known)
    error = inputs.matrix @ found.coefficients - latency
    assert error.std() < 0.1 * latency.std(), "the proxy's own ranking is not found"


def check_held_out(method: AdaptationMethod) -> None:
    """Held-out predictions err as predictions of what was not measured do, not less."""
    inputs, latency, known = _problem()
    latency = latency + 0.05 * np.random.default_rng(1).standard_normal(len(latency))
    found = method.fit(inputs[_SAMPLED], latency[_SAMPLED], known)
    rest = np.setdiff1d(np.arange(_POPULATION), _SAMPLED)
    error = (inputs.matrix @ found.coefficients - latency)[rest]
    held_out = found.held_out - latency[_SAMPLED]
    assert 0.4 < np.sqrt(np.mean(held_out**2)) / np.sqrt(np.mean(error**2)) < 2.5


CHECKS: tuple[Callable[[AdaptationMethod], None], ...] = (
    check_shapes,
    check_covariance,
    check_determinism,
    check_order,
    check_shifted_proxy,
    check_held_out,
)
