"""Ranking the zoo: better than the proxy, measurements are kept, intervals hold, the front is one."""

from __future__ import annotations

import re

import numpy as np
import pytest

from nas_proxy.datasets import LatencyTable
from nas_proxy.datasets.timm import PretrainedWeights
from nas_proxy.errors import InputError
from nas_proxy.ranking.zoo import rank_zoo, suggest_networks


def test_networks_to_measure_are_distinct_and_not_extreme(zoo_tables, zoo_measured):
    assert len(set(zoo_measured.archs)) == 20
    low, high = np.quantile(zoo_tables[0].latency_ms("gpu"), [0.05, 0.9])
    assert all(low <= ms <= high for ms in zoo_tables[0].latency_ms("gpu", zoo_measured.archs))


def test_ranking_is_better_than_the_proxys(zoo_tables, zoo_measured, zoo):
    ranking = rank_zoo(zoo_tables[0], zoo_measured, zoo)
    archs = [network.arch for network in ranking.networks if not network.measured]
    truth = zoo_tables[1].latency_ms("phone", archs)

    def agreement(ms) -> float:
        return float(np.corrcoef(np.argsort(np.argsort(ms)), np.argsort(np.argsort(truth)))[0, 1])

    ours = agreement([network.latency_ms for network in ranking.networks if not network.measured])
    assert ours > agreement(zoo_tables[0].latency_ms("gpu", archs))
    assert ours > 0.99
    assert ranking.monotonicity.n == 20
    inside = [n.low_ms <= zoo_tables[1].latency_ms("phone", [n.arch])[0] <= n.high_ms for n in ranking.networks]
    assert 0.8 < np.mean(inside) < 0.99


def test_the_verdict_speaks_of_latencies_not_of_their_logarithms(zoo_tables, zoo_measured, zoo):
    noise = np.exp(np.random.default_rng(0).standard_normal(20))
    noisy = LatencyTable("timm", zoo_measured.archs, zoo_measured.devices, zoo_measured.values_ms * noise[:, None])
    verdict = rank_zoo(zoo_tables[0], noisy, zoo).monotonicity.verdict
    [scatter] = re.findall(r"scatter by about (\d+)% around the model", verdict)
    assert 60 < int(scatter) < 300  # by a factor of e**0.5 to e**1.4; drawn was e**1


def test_measurements_are_shown_as_they_are(zoo_tables, zoo_measured, zoo):
    for network in rank_zoo(zoo_tables[0], zoo_measured, zoo).networks:
        assert network.measured == (network.arch in zoo_measured.archs)
        if network.measured:
            assert network.low_ms == network.latency_ms == network.high_ms
            assert network.latency_ms == pytest.approx(zoo_measured.latency_ms("phone", [network.arch])[0])
        else:
            assert network.low_ms < network.latency_ms < network.high_ms


def test_the_front_is_fast_and_accurate(zoo_tables, zoo_measured, zoo):
    rng = np.random.default_rng(1)
    weights = [
        PretrainedWeights(f"{a.split('@')[0]}.tag", a, float(t))
        for a, t in zip(zoo_tables[0].archs, rng.uniform(60, 90, 300), strict=True)
    ]
    ranking = rank_zoo(
        zoo_tables[0], zoo_measured, zoo, [*weights, PretrainedWeights("unknown.tag", "unknown@224", 99.0)]
    )
    assert ranking.unknown == ("unknown@224",)
    assert [n.latency_ms for n in ranking.networks] == sorted(n.latency_ms for n in ranking.networks)
    best = -np.inf
    for network in ranking.networks:
        assert network.on_front == (network.top1 > best)
        best = max(best, network.top1)


def test_what_the_proxy_has_not_measured_is_less_certain(zoo_tables, zoo, some_of):
    few = some_of(zoo_tables[0], zoo_tables[0].archs[:150])
    target = some_of(zoo_tables[1], suggest_networks(few, 20, zoo))
    weights = [PretrainedWeights(arch, arch, 80.0) for arch in zoo_tables[0].archs]
    networks = [n for n in rank_zoo(few, target, zoo, weights).networks if not n.measured]
    truth = zoo_tables[1].latency_ms("phone", [network.arch for network in networks])
    new = np.array([network.arch not in few.archs for network in networks])
    low, ms, high = np.array([(network.low_ms, network.latency_ms, network.high_ms) for network in networks]).T
    assert np.median((high / low)[new]) > 1.5 * np.median((high / low)[~new])
    assert np.mean((low <= truth)[new] & (truth <= high)[new]) > 0.8
    assert np.std(np.log(ms / truth)[new]) < 0.5


def test_errors_say_what_is_wrong(zoo_tables, zoo_measured, zoo, some_of):
    with pytest.raises(InputError, match="the target's latencies: expected at least 3 measurements, found 2"):
        rank_zoo(zoo_tables[0], some_of(zoo_measured, zoo_measured.archs[:2]), zoo)
    both = LatencyTable("timm", zoo_tables[0].archs, ("a", "b"), np.ones((300, 2)))
    with pytest.raises(InputError, match="expected the latencies of one device, found a, b"):
        rank_zoo(both, zoo_measured, zoo)
    with pytest.raises(InputError, match="none of the 1 networks to rank is in a table of costs; one is 'x@1'"):
        rank_zoo(zoo_tables[0], zoo_measured, zoo, [PretrainedWeights("x", "x@1", 80.0)])
    with pytest.raises(InputError, match="cannot suggest 301 architectures"):
        suggest_networks(zoo_tables[0], 301, zoo)
