"""The proxy's model: fit, predict, suggest, and what it refuses."""

from __future__ import annotations

import pickle
import sys
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

from nas_proxy import ProxyLatencyModel
from nas_proxy.datasets import LatencyTable
from nas_proxy.errors import InputError, UnknownNameError
from nas_proxy.ranking.fleet import recommend_fleet


@pytest.mark.parametrize(("space", "n"), [("nasbench201", 60), ("nasbench201", 600), ("fbnet", 60), ("fbnet", 600)])
def test_predicts_what_it_has_not_seen(space, n):
    """Sixty measurements of FBNet are fewer than its columns."""
    model = ProxyLatencyModel(space)
    archs = model.space.sample(n + 300, seed=1)
    features = dict(zip(model.space.feature_names, model.space.features(archs).T, strict=True))
    work = features["macs" if space == "fbnet" else "executed_macs"]
    rng = np.random.default_rng(0)
    latency = (1 + work / work.mean()) * np.exp(0.02 * rng.standard_normal(len(archs)))
    model.fit(archs[:n], latency[:n])
    predicted, sd = model.predict(archs[n:], return_std=True)
    assert stats.spearmanr(predicted, latency[n:])[0] > 0.95
    within = (np.abs(predicted - latency[n:]) < sd).mean()
    assert 0.5 < within < 0.9


def test_spikes_do_not_bend_the_model(population):
    latency = population.device(macs=2, noise=0.01)
    spiked = latency.copy()
    spiked[::10] *= 4
    clean, robust = (ProxyLatencyModel("nasbench201").fit(population.archs, y) for y in (latency, spiked))
    assert np.allclose(robust.predict(population.archs), clean.predict(population.archs), rtol=0.02)


def test_more_columns_than_measurements_and_constant_columns():
    model = ProxyLatencyModel("fbnet")
    archs = model.space.sample(5, seed=0)
    model.fit(archs, [1.0, 2.0, 3.0, 4.0, 5.0])
    predicted, sd = model.predict(model.space.sample(50, seed=1), return_std=True)
    assert (predicted > 0).all()
    assert np.isfinite(sd).all()


def test_architectures_that_the_columns_cannot_tell_apart():
    """No column varies over the measured: the model is their mean."""
    archs = [
        "|none~0|+|none~0|none~1|+|nor_conv_3x3~0|none~1|none~2|",
        "|none~0|+|none~0|nor_conv_3x3~1|+|none~0|none~1|none~2|",
        "|none~0|+|nor_conv_3x3~0|none~1|+|none~0|none~1|none~2|",
    ]
    model = ProxyLatencyModel("nasbench201").fit(archs, [1.0, 1.1, 0.9])
    assert np.isfinite(model.predict(archs)).all()
    assert np.isfinite(model.adapt(archs, [2.0, 2.2, 2.1]).predict(archs)).all()


@settings(max_examples=10, deadline=None)
@given(factor=st.floats(1e-3, 1e3))
def test_units_do_not_matter(population, factor):
    latency = population.device(kernels=1, noise=0.05)
    which = np.arange(0, 600, 30)
    given = [population.archs[i] for i in which]
    one, other = (ProxyLatencyModel("nasbench201").fit(population.archs, f * latency) for f in (1, factor))
    assert np.allclose(other.predict(population.archs), factor * one.predict(population.archs), rtol=1e-6)
    assert np.array_equal(one.suggest(population.archs, 10), other.suggest(population.archs, 10))
    target = population.device(macs=0.2, live=1, noise=0.05, seed=3)[which]
    slow = one.adapt(given, target).predict(population.archs)
    fast = other.adapt(given, target / factor).predict(population.archs)
    assert np.allclose(slow, factor * fast, rtol=1e-5)
    # the order is the same but for pairs that rounding decides
    assert stats.kendalltau(slow, fast)[0] > 0.9999


@settings(max_examples=5, deadline=None)
@given(seed=st.integers(0, 2**31))
def test_order_of_measurements_does_not_matter(population, seed):
    latency = population.device(kernels=1, noise=0.05)
    shuffled = np.random.default_rng(seed).permutation(len(latency))
    one = ProxyLatencyModel("nasbench201").fit(population.archs, latency)
    other = ProxyLatencyModel("nasbench201").fit([population.archs[i] for i in shuffled], latency[shuffled])
    assert np.allclose(one.predict(population.archs), other.predict(population.archs), rtol=1e-8)


def test_refitting_forgets(population):
    model = ProxyLatencyModel("nasbench201").fit(population.archs, population.device(macs=1))
    before = model.predict(population.archs)
    model.fit(population.archs, population.device(macs=0, kernels=1))
    assert not np.allclose(before, model.predict(population.archs))


def test_sequences_of_mappings_are_architectures_too():
    model = ProxyLatencyModel("mobilenetv3")
    archs = model.space.sample(30, seed=0)
    latency = model.space.features(archs)[:, 0]
    model.fit(archs, 1 + latency / latency.mean() + 0.01 * np.arange(30))
    assert model.predict(archs).shape == (30,)
    assert len(model.suggest(archs, 5)) == 5


class TestSuggest:
    def test_distinct_deterministic_and_seeded(self):
        model = ProxyLatencyModel("nasbench201")
        archs = model.space.enumerate()
        model.fit(archs[::100], 1 + np.random.default_rng(0).random(len(archs[::100])))
        chosen = model.suggest(archs, 20, seed=0)
        assert chosen.shape == (20,)
        assert len(set(chosen)) == 20
        assert np.array_equal(chosen, model.suggest(archs, 20, seed=0))
        assert not np.array_equal(chosen, model.suggest(archs, 20, seed=1))

    def test_a_longer_list_begins_with_the_shorter(self, population):
        model = ProxyLatencyModel("nasbench201").fit(population.archs, population.device())
        assert np.array_equal(model.suggest(population.archs, 20)[:7], model.suggest(population.archs, 7))

    def test_all_of_the_pool(self, population):
        model = ProxyLatencyModel("nasbench201").fit(population.archs, population.device())
        assert sorted(model.suggest(population.archs[:12], 12)) == list(range(12))

    def test_tells_more_than_random_samples(self, population):
        model = ProxyLatencyModel("nasbench201").fit(population.archs, population.device())
        inputs = model.inputs(population.archs)

        def information(which):
            rows = np.column_stack([inputs.proxy, inputs.columns * np.sqrt(model.columns.share)])[which]
            return np.linalg.slogdet(np.eye(len(which)) + rows @ rows.T)[1]

        rng = np.random.default_rng(0)
        random = [information(rng.choice(600, 20, replace=False)) for _ in range(20)]
        assert information(model.suggest(population.archs, 20)) > max(random)

    def test_what_is_there_twice_is_suggested_once(self, population):
        model = ProxyLatencyModel("nasbench201").fit(population.archs, population.device())
        twice = population.archs[:10] * 2
        assert sorted(model.suggest(twice, 10)) == list(range(10))
        with pytest.raises(InputError, match="cannot suggest 11 architectures: there are 10 to choose from"):
            model.suggest(twice, 11)

    @pytest.mark.parametrize("n", [0, -1, 2.5, "3", True])
    def test_number_must_be_one(self, population, n):
        model = ProxyLatencyModel("nasbench201").fit(population.archs, population.device())
        with pytest.raises(InputError, match=f"to suggest must be an integer of at least 1, found {n!r}"):
            model.suggest(population.archs, n)
        with pytest.raises(InputError, match="cannot suggest 601 architectures: there are 600"):
            model.suggest(population.archs, 601)
        with pytest.raises(InputError, match="the seed must be an integer"):
            model.suggest(population.archs, 5, seed=-1)


class TestScale:
    """What is linear is a choice; latencies are ms on either scale."""

    def _models(self, population, **options):
        """A proxy and a target that is seven times as slow; both scatter by 10 %."""
        rng, exact = np.random.default_rng(0), np.exp(2 * population.device(kernels=2))
        latency, slower = (factor * exact * np.exp(0.1 * rng.standard_normal(len(exact))) for factor in (1, 7))
        proxy = ProxyLatencyModel("nasbench201", "log", **options).fit(population.archs[:300], latency[:300])
        return latency, slower, proxy, proxy.adapt(population.archs[:20], slower[:20])

    def test_predictions_are_ms(self, population):
        latency, slower, proxy, target = self._models(population)
        for model, measured in ((proxy, latency[300:]), (target, slower[300:])):
            predicted, sd = model.predict(population.archs[300:], return_std=True)
            error = np.log(predicted / measured)
            assert np.abs(np.median(error)) < 0.1
            assert np.std(error) < 0.3
            assert 0.4 < (np.abs(predicted - measured) < sd).mean() < 0.95
        low, high = target.interval(population.archs[300:]).T
        assert (low > 0).all()
        assert 0.75 < ((low < slower[300:]) & (slower[300:] < high)).mean() <= 1
        wider = target.interval(population.archs[300:], share=0.99)
        assert (wider[:, 0] < low).all()
        assert (wider[:, 1] > high).all()

    def test_by_measurement_what_was_measured_is_known(self, population):
        latency, _, proxy, target = self._models(population, by_measurement=True)
        np.testing.assert_allclose(proxy.predict(population.archs[:300]), latency[:300], rtol=1e-9)
        assert (proxy.uncertainty(population.archs[:300]) == 0).all()
        assert (proxy.uncertainty(population.archs[300:]) > 0).all()
        width = np.diff(np.log(target.interval(population.archs)), axis=1)[:, 0]
        assert np.median(width[300:]) > np.median(width[20:300])

    def test_linear_intervals_hold(self, population):
        latency = population.device(kernels=1, noise=0.05)
        proxy = ProxyLatencyModel("nasbench201").fit(population.archs, population.device(noise=0.02))
        low, high = proxy.adapt(population.archs[:40], latency[:40]).interval(population.archs[40:]).T
        assert 0.75 < ((low < latency[40:]) & (latency[40:] < high)).mean() <= 1

    def test_unknown_scale(self):
        with pytest.raises(UnknownNameError, match="Did you mean 'linear'"):
            ProxyLatencyModel("nasbench201", scale="liner")  # pyright: ignore[reportArgumentType]

    def test_a_fleet_is_linear(self, population):
        _, _, proxy, _ = self._models(population)
        table = LatencyTable("nasbench201", tuple(population.archs[:9]), ("a",), population.device()[:9, None])
        with pytest.raises(InputError, match="adapted on the linear scale, the proxy was fitted on the scale 'log'"):
            recommend_fleet(proxy, table, population.archs)


@pytest.mark.parametrize("method", ["bayes", "adaproxy"])
def test_models_can_be_pickled(population, method):
    proxy = ProxyLatencyModel("nasbench201").fit(population.archs, population.device(noise=0.02))
    target = proxy.adapt(population.archs[:20], population.device(kernels=1, noise=0.02)[:20], method=method)
    again = pickle.loads(pickle.dumps(target))
    for found, wanted in zip(*(m.predict(population.archs, return_std=True) for m in (again, target)), strict=True):
        np.testing.assert_array_equal(found, wanted)
    assert again.monotonicity == target.monotonicity


def test_a_model_is_asked_from_several_threads(population):
    proxy = ProxyLatencyModel("nasbench201").fit(population.archs, population.device(noise=0.02))
    sets = [population.archs[i : i + 5] for i in range(40)]  # more than are remembered
    wanted = [proxy.predict(archs) for archs in sets]
    interval = sys.getswitchinterval()
    sys.setswitchinterval(1e-5)
    try:
        with ThreadPoolExecutor(8) as pool:
            found = list(pool.map(lambda i: (i % 40, proxy.predict(sets[i % 40])), range(2000)))
    finally:
        sys.setswitchinterval(interval)
    for i, latency_ms in found:
        np.testing.assert_array_equal(latency_ms, wanted[i])


def test_fitting_anew_leaves_targets_as_they_were(population):
    model = ProxyLatencyModel("nasbench201").fit(population.archs, population.device(macs=2))
    target = model.adapt(population.archs[:20], population.device(kernels=2)[:20])
    before = target.predict(population.archs)
    model.fit(population.archs[::2], population.device(live=3)[::2])
    assert np.array_equal(target.predict(population.archs), before)


class TestRefusals:
    @pytest.mark.parametrize("stage", ["fit", "adapt"])
    @pytest.mark.parametrize(
        ("change", "message"),
        [
            (lambda a, y: (a, [*y[:4], np.nan]), r"architecture 4 .* is nan"),
            (lambda a, y: (a, [*y[:4], np.inf]), r"architecture 4 .* is inf"),
            (lambda a, y: (a, [0.0, *y[1:]]), r"architecture 0 .* is 0.0"),
            (lambda a, y: (a, [-1.0, *y[1:4], -2.0]), "and 1 others are not positive"),
            (lambda a, y: (a[:2], y[:2]), "at least 3 measurements, found 2: measure more"),
            (lambda a, y: (a, ["fast", *y[1:]]), "one number .* for each architecture: .*'fast'"),
            (lambda a, y: (a, y[:4]), r"each of the 5 architectures, found an array of shape \(4,\)"),
            (lambda a, y: (a, [[v] for v in y]), r"found an array of shape \(5, 1\)"),
            (lambda a, y: ([*a[:4], a[1]], y), r"architecture 4 .* was already given as architecture 1"),
            (lambda a, y: (a, [3.0] * 5), "all 5 latencies are 3.0 ms, so architectures have no rank"),
            (lambda a, y: ([*a[:4], "|x~0|"], y), "nasbench201"),
        ],
    )
    def test_measurements(self, population, stage, change, message):
        archs, latency = change(population.archs[:5], list(population.device()[:5]))
        model = ProxyLatencyModel("nasbench201")
        if stage == "adapt":
            model.fit(population.archs, population.device())
        with pytest.raises(InputError, match=message):
            getattr(model, stage)(archs, latency)

    def test_unknown_space(self):
        with pytest.raises(UnknownNameError, match="Did you mean 'nasbench201'"):
            ProxyLatencyModel("nasbench-201")
        with pytest.raises(InputError, match=r"expected a search space or the name of one, .* found None"):
            ProxyLatencyModel(None)

    def test_not_fitted(self, population):
        with pytest.raises(InputError, match="call fit"):
            ProxyLatencyModel("nasbench201").predict(population.archs)
