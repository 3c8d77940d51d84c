"""On published measurements: the figures of the benchmark, one target of each kind."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import stats

from nas_proxy import ProxyLatencyModel, load_latencies, select_proxy


@pytest.fixture(scope="module")
def tables(measurements):
    return {space: load_latencies("help", measurements("help", space)) for space in ("nasbench201", "fbnet")}


@pytest.mark.parametrize(
    ("space", "pool", "target", "chosen", "spearman"),
    [
        ("nasbench201", ("eyeriss", "pixel2"), "1080ti_1", "pixel2", 0.984),
        ("nasbench201", ("eyeriss",), "2080ti_32", "eyeriss", 0.983),
        ("fbnet", ("raspi4", "essential_ph_1", "gold_6240"), "titan_rtx_1", None, 0.996),
        ("fbnet", ("pixel3", "samsung_a50", "1080ti_64"), "eyeriss", "pixel3", 0.994),
    ],
)
def test_twenty_measurements(tables, space, pool, target, chosen, spearman):
    table = tables[space]
    truth = table.latency_ms(target)
    models = {device: ProxyLatencyModel(space).fit(table.archs, table.latency_ms(device)) for device in pool}
    which = models[pool[0]].suggest(table.archs, 20)
    archs, latency_ms = [table.archs[i] for i in which], truth[which]
    name = select_proxy(models, archs, latency_ms)
    assert name == (chosen or name)
    adapted = models[name].adapt(archs, latency_ms)
    rest = np.setdiff1d(np.arange(len(truth)), which)
    predicted = adapted.predict(table.archs)[rest]
    found = stats.spearmanr(predicted, truth[rest])[0]
    assert found == pytest.approx(spearman, abs=0.006)
    assert found > stats.spearmanr(models[name].predict(table.archs)[rest], truth[rest])[0]
    assert adapted.monotonicity.kendall_tau == pytest.approx(stats.kendalltau(predicted, truth[rest])[0], abs=0.08)


def test_whole_milliseconds_with_spikes(tables):
    """A phone whose clock counts milliseconds: a model trained on 4,000 networks reaches 0.81."""
    table = tables["fbnet"]
    truth = table.latency_ms("pixel2")
    proxy = ProxyLatencyModel("fbnet").fit(table.archs, table.latency_ms("samsung_s7"))
    which = proxy.suggest(table.archs, 20)
    adapted = proxy.adapt([table.archs[i] for i in which], truth[which])
    assert stats.spearmanr(adapted.predict(table.archs), truth)[0] > 0.77
    assert adapted.monotonicity.kendall_tau < 0.75
