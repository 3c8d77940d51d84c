"""Adapting to a target: both methods conform; the Bayesian one finds what differs and shrugs off spikes."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest
from scipy import stats

from nas_proxy import ProxyLatencyModel, extensions
from nas_proxy.errors import UnknownNameError
from nas_proxy.ranking import Inputs, ProxyKnowledge
from nas_proxy.ranking._adaproxy import AdaProxy, fit_adaproxy
from nas_proxy.ranking._spike_slab import Prior, _average, fit_bayes
from nas_proxy.testing.methods import CHECKS


@pytest.mark.parametrize("name", extensions.names("methods"))
@pytest.mark.parametrize("check", CHECKS, ids=lambda check: check.__name__)
def test_conformance(name, check):
    check(extensions.get("methods", name))


@pytest.fixture(scope="module")
def proxy(population):
    return ProxyLatencyModel("nasbench201").fit(population.archs, population.device(macs=2, noise=0.02))


def _adapted(proxy, population, latency, n=20, **options):
    which = proxy.suggest(population.archs, n)
    return proxy.adapt([population.archs[i] for i in which], latency[which], **options)


def _agreement(model, population, latency):
    return stats.spearmanr(model.predict(population.archs), latency)[0]


@pytest.mark.parametrize("noise", [0.0, 0.02])
def test_finds_what_makes_the_target_different(proxy, population, noise):
    """The target does not care about multiply-accumulates, but about kernels and dead edges."""
    latency = population.device(macs=0.1, kernels=2, live=1, noise=noise, seed=1)
    unadapted = stats.spearmanr(proxy.predict(population.archs), latency)[0]
    adapted = _adapted(proxy, population, latency)
    assert unadapted < 0.9
    assert _agreement(adapted, population, latency) > 0.97
    assert _agreement(adapted, population, latency) > _agreement(
        _adapted(proxy, population, latency, method="adaproxy"), population, latency
    )


def test_predicts_milliseconds(proxy, population):
    latency = 40 * population.device(macs=0.5, kernels=1, noise=0.02, seed=1)
    predicted = _adapted(proxy, population, latency).predict(population.archs)
    assert np.median(np.abs(predicted / latency - 1)) < 0.05


def test_a_spike_does_not_spoil_the_ranking(proxy, population):
    rng, which, agreement = np.random.default_rng(0), proxy.suggest(population.archs, 20), []
    for seed in range(16):
        latency = population.device(macs=0.5, kernels=1, noise=0.02, seed=seed)
        spiked = latency.copy()
        spiked[which[rng.choice(20, 2, replace=False)]] *= 3
        agreement.append(_agreement(_adapted(proxy, population, spiked), population, latency))
    assert np.mean(agreement) > 0.97  # .976, with a standard deviation of .003 for one


def test_three_measurements_keep_the_proxy_ranking(proxy, population):
    latency = population.device(macs=2, noise=0.02, seed=1)
    assert _agreement(_adapted(proxy, population, latency, n=3), population, latency) > 0.9


def test_predictions_are_positive_and_keep_their_order(proxy, population):
    """A linear model of a device that is a thousand times faster on small cells goes below zero."""
    latency = (population.device(macs=2) - 0.999) ** 3
    which = proxy.suggest(population.archs, 20)
    model = proxy.adapt([population.archs[i] for i in which], latency[which])
    linear = proxy.inputs(population.archs).matrix @ model.posterior.coefficients
    predicted = model.predict(population.archs)
    assert linear.min() < 0 < predicted.min()
    assert np.array_equal(np.argsort(linear, kind="stable"), np.argsort(predicted, kind="stable"))


def test_what_the_proxy_measured_counts(population):
    """Where proxy and target share what no column explains, the proxy's own measurements say it."""
    hidden = 0.5 * np.random.default_rng(7).standard_normal(len(population.archs))
    proxy = ProxyLatencyModel("nasbench201").fit(population.archs, population.device(macs=2) + hidden)
    latency = population.device(macs=2, noise=0.002, seed=1) + hidden
    model = _adapted(proxy, population, latency, n=40)
    assert _agreement(model, population, latency) > 1.02 * _agreement(proxy, population, latency)


def test_same_measurements_same_model(proxy, population):
    latency = population.device(macs=0.5, kernels=1, noise=0.05, seed=1)
    one, other = (_adapted(proxy, population, latency) for _ in range(2))
    assert np.array_equal(one.predict(population.archs), other.predict(population.archs))
    assert one.monotonicity == other.monotonicity


def test_unknown_method_is_answered_with_the_closest(proxy, population):
    with pytest.raises(UnknownNameError, match=r"Did you mean 'bayes'.*adaproxy"):
        _adapted(proxy, population, population.device(), method="bayess")


def test_own_method(proxy, population):
    extensions.register("methods", "own", AdaProxy)
    assert _adapted(proxy, population, population.device(), method="own").method == "own"


class TestClosedForms:
    """Against what they are short for."""

    def _problem(self):
        rng = np.random.default_rng(0)
        columns = rng.standard_normal((14, 5))
        weights = rng.standard_normal(5)
        inputs = Inputs(columns @ weights, 0.1 * rng.standard_normal(14), columns)
        y = 1 + 0.1 * inputs.proxy + 0.2 * columns[:, 1] + 0.05 * rng.standard_normal(14)
        return inputs, y, ProxyKnowledge(np.full(5, 0.2), 4, weights)

    def test_leaving_one_out_is_fitting_without_it(self):
        """With one hypothesis, so that no average is in between."""
        inputs, y, known = self._problem()
        prior = Prior(dense=(0.3,), noise=(0.1,), slab=(), residual_counts=1e-12)
        inflation = np.linspace(1, 3, len(y))
        held_out = _average(inputs, y, known, prior, inflation).held_out
        for i in range(len(y)):
            rest = np.setdiff1d(np.arange(len(y)), i)
            without = _average(inputs[rest], y[rest], known, prior, inflation[rest]).coefficients
            assert held_out[i] == pytest.approx(inputs.matrix[i] @ without, abs=1e-8)

    def test_evidence_of_slabs_is_that_of_their_covariance(self):
        """Every hypothesis enumerated with its full covariance gives the same total evidence."""
        inputs, y, known = self._problem()
        n, prior = len(y), Prior(dense=(0.1,), noise=(0.1,), slab=(1.0,), residual=1.0, residual_counts=0.5)
        rows, d = inputs.matrix, known.n_features
        slabs = [()] + [(i,) for i in range(d)] + [(i, j) for i in range(d) for j in range(i + 1, d)]
        count = {0: 1, 1: d, 2: d * (d - 1) // 2}
        total = []
        for residual in (0.0, prior.residual):
            for chosen in slabs:
                variance = np.concatenate([[prior.constant, prior.proxy, residual], 0.1 * known.share])
                variance[[3 + i for i in chosen]] += 1.0
                covariance = rows @ np.diag(variance) @ rows.T + 0.1 * np.eye(n)
                _, log_det = np.linalg.slogdet(covariance)
                quadratic = y @ np.linalg.solve(covariance, y)
                total.append(-0.5 * n * np.log(quadratic) - 0.5 * log_det - np.log(count[len(chosen)]) + np.log(0.5))
        found = _average(inputs, y, known, prior, np.ones(n)).log_evidence
        assert found == pytest.approx(np.logaddexp.reduce(total), abs=1e-8)

    def test_covariance_of_one_hypothesis(self):
        inputs, y, known = self._problem()
        prior = Prior(dense=(0.3,), noise=(0.1,), slab=(), residual_counts=1e-12)
        average = _average(inputs, y, known, prior, np.ones(len(y)))
        variance = average.hypotheses.variance[0]
        precision = inputs.matrix.T @ inputs.matrix / 0.1 + np.diag(1 / np.maximum(variance, 1e-12))
        expected = average.overall[0] * np.linalg.inv(precision)
        assert np.allclose(average.covariance(), expected, atol=1e-6)

    def test_adaproxy_without_penalty_limit_is_scaling_and_shifting(self):
        """A target that is the proxy scaled and shifted needs no b."""
        inputs, _, known = self._problem()
        found = fit_adaproxy(inputs, 1 + 0.3 * inputs.proxy, known)
        assert found.coefficients[:2] == pytest.approx([1, 0.3], abs=1e-3)
        assert found.coefficients[3:] == pytest.approx(np.zeros(5), abs=1e-3)

    def test_few_or_many_features(self):
        """No feature, one, and more than are tried in pairs."""
        rng = np.random.default_rng(0)
        for d in (0, 1, 2, 90):
            columns = rng.standard_normal((15, d))
            inputs = Inputs(rng.standard_normal(15), np.zeros(15), columns)
            known = ProxyKnowledge(np.full(d, 1 / max(d, 1)), d, np.zeros(d))
            found = fit_bayes(inputs, 1 + 0.1 * inputs.proxy + 0.01 * rng.standard_normal(15), known)
            assert found.coefficients[1] == pytest.approx(0.1, abs=0.02)
            assert dataclasses.asdict(found)["coefficients"].shape == (3 + d,)
