"""What the models say of themselves is so: monotonicity, verdict, standard deviations, choice of proxy."""

from __future__ import annotations

import re

import numpy as np
import pytest

from nas_proxy import Monotonicity, ProxyLatencyModel, select_proxy
from nas_proxy.errors import InputError
from nas_proxy.ranking import Inputs, Posterior
from nas_proxy.ranking._scale import Scale
from nas_proxy.ranking.kendall import kendall_tau
from nas_proxy.ranking.monotonicity import GOOD_ENOUGH, _clock_step, assess


def _adapt(proxy, population, latency, n=20):
    which = proxy.suggest(population.archs, n)
    rest = np.setdiff1d(np.arange(len(population.archs)), which)
    return proxy.adapt([population.archs[i] for i in which], latency[which]), rest


def _true_tau(model, population, latency, rest):
    return kendall_tau(model.predict(population.archs)[rest], latency[rest])


@pytest.fixture(scope="module")
def proxy(population):
    return ProxyLatencyModel("nasbench201").fit(population.archs, population.device(macs=2, noise=0.02))


# Means over so many draws that chance fails a right model less than once in a million: the bounds are five standard
# errors and more away from what was found over a hundred draws, which the comments say.


# found: .011 (each draw +- .009) and .050 (+- .037)
@pytest.mark.parametrize(("noise", "draws", "most"), [(0.02, 20, 0.03), (0.15, 58, 0.075)])
def test_stated_tau_is_the_true_one(proxy, population, noise, draws, most):
    gaps, optimism = [], []
    for seed in range(draws):
        latency = population.device(macs=1, kernels=1, noise=noise, seed=10 + seed)
        model, rest = _adapt(proxy, population, latency)
        true = _true_tau(model, population, latency, rest)
        gaps.append(model.monotonicity.kendall_tau - true)
        measured = [population.archs.index(arch) for arch in model.archs]
        optimism.append(kendall_tau(model.posterior.held_out, latency[measured]) - true)
    assert np.mean(np.abs(gaps)) < most
    if noise > 0.1:  # .048 +- .075 better
        assert np.mean(np.abs(gaps)) < np.mean(np.abs(optimism)), "the held-out tau itself would have been as honest"


def test_good_enough(proxy, population):
    model, _ = _adapt(proxy, population, population.device(macs=1, kernels=1, noise=0.01, seed=1))
    found = model.monotonicity
    assert isinstance(found, Monotonicity)
    assert found.n == 20
    assert found.kendall_tau > GOOD_ENOUGH
    assert found.interval[0] <= found.kendall_tau <= found.interval[1]
    assert found.spearman > found.kendall_tau
    assert found.verdict.startswith("good enough")


def test_noise_is_named_as_the_limit(proxy, population):
    model, _ = _adapt(proxy, population, population.device(macs=1, kernels=1, noise=0.3, seed=1))
    assert "limited by the measurements" in model.monotonicity.verdict


def test_too_few_to_tell(population):
    """A proxy that has nothing in common with the target, and four measurements."""
    latency = 1 + np.random.default_rng(0).random(len(population.archs))
    unrelated = ProxyLatencyModel("nasbench201").fit(population.archs, latency)
    latency = population.device(macs=1, kernels=2, live=-0.5, noise=0.05, seed=1)
    model, _ = _adapt(unrelated, population, latency, n=4)
    assert "4 measurements cannot tell noise from" in model.monotonicity.verdict


@pytest.mark.parametrize(
    ("uncertainty", "noise", "freedom", "scale", "verdict"),
    [
        (0.01, 0.01, 15.0, "linear", "good enough: of two architectures, the faster is predicted faster 9"),
        (0.06, 0.001, 15.0, "linear", r"about \d+ more measurements would bring Kendall's tau to 0.8"),
        (1.0, 0.001, 15.0, "linear", "more than 160 further measurements would be needed; try another proxy"),
        (0.01, 0.3, 15.0, "linear", "scatter by about 30% around the model: none would agree with them beyond .* 0.1"),
        (0.01, 0.6, 15.0, "log", "scatter by about 82% around the model: none would agree with them beyond .* 0.09"),
        (0.01, 0.3, 2.0, "linear", "20 measurements cannot tell noise from what the model lacks; take about 20 more"),
    ],
)
def test_verdict(uncertainty, noise, freedom, scale, verdict):
    """A posterior of which everything is known: the proxy counts 0.1, a feature is uncertain."""
    rng = np.random.default_rng(0)
    population = Inputs(rng.standard_normal(300), np.zeros(300), rng.standard_normal((300, 1)))
    posterior = Posterior(
        coefficients=np.array([1.0, 0.1, 0.0, 0.0]),
        noise_sd=noise,
        freedom=freedom,
        held_out=np.ones(20),
        held_out_sd=np.ones(20),
        log_evidence=0.0,
        make_covariance=lambda: np.diag([0, 0, 0, uncertainty**2]),
    )
    measured_ms = rng.random(20)
    found = assess(posterior, Scale.of(scale, measured_ms), measured_ms, population)
    assert re.search(verdict, found.verdict), found


@pytest.mark.parametrize(
    ("measured", "step"),
    [([14, 21, 35], 7), ([1.5, 2.0, 7.5], 0.5), ([1.234567, 2.7182818, 3.1415926], 0.0), ([0.3, 0.2, 0.7], 0.1)],
)
def test_clock_step(measured, step):
    assert _clock_step(np.array(measured)) == pytest.approx(step, abs=1e-6)


# found: 66 % (each draw +- 18, 11, 8) and 88, 90, 91 % (+- 14, 7, 5) of 68 and 95 %
@pytest.mark.parametrize(("n", "draws", "least"), [(10, 210, 0.83), (20, 160, 0.87), (40, 60, 0.88)])
def test_standard_deviations_are_calibrated(proxy, population, n, draws, least):
    within = []
    for seed in range(draws):
        latency = population.device(macs=1, kernels=1, live=0.5, noise=0.08, seed=20 + seed)
        model, rest = _adapt(proxy, population, latency, n)
        mean, sd = model.predict(population.archs, return_std=True)
        error = np.abs(mean - latency)[rest] / sd[rest]
        within.append([(error < 1).mean(), (error < 1.96).mean()])
    at_68, at_95 = np.mean(within, axis=0)
    assert 0.58 < at_68 < 0.88
    assert least < at_95 <= 1.0


class TestSelectProxy:
    def test_the_device_alike_is_chosen(self, population):
        devices = {
            "alike": population.device(macs=0.2, kernels=2, noise=0.03),
            "other": population.device(macs=2, noise=0.03, seed=1),
            "noise": 1 + np.random.default_rng(0).random(len(population.archs)),
        }
        models = {name: ProxyLatencyModel("nasbench201").fit(population.archs, y) for name, y in devices.items()}
        latency = population.device(macs=0.2, kernels=2, noise=0.03, seed=2)
        which = models["other"].suggest(population.archs, 20)
        measured = [population.archs[i] for i in which], latency[which]
        assert select_proxy(models, *measured) == "alike"
        assert select_proxy(dict(reversed(models.items())), *measured) == "alike"

    def test_one_or_none(self, proxy, population):
        latency = population.device()
        assert select_proxy({"only": proxy}, population.archs[:5], latency[:5]) == "only"
        with pytest.raises(InputError, match="no model was given"):
            select_proxy({}, population.archs[:5], latency[:5])
        with pytest.raises(InputError, match="at least 3"):
            select_proxy({"only": proxy}, population.archs[:2], latency[:2])
