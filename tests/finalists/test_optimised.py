"""Rewriting beside what a device optimises by itself: which of them is taken."""

from __future__ import annotations

import numpy as np
import pytest

from nas_proxy.devices import Device, LatencyResult, Outcome, Variant
from nas_proxy.devices._timing import MeasuredLatency
from nas_proxy.devices.paired_speedup import PairedSpeedup
from nas_proxy.finalists.optimised import optimised
from nas_proxy.finalists.rewritten import Cheaper
from nas_proxy.graph import TensorGraph
from nas_proxy.rewriting.synthetic import random_graph

GRAPH, OTHER = (random_graph(np.random.default_rng(seed), 8) for seed in (0, 1))
CHEAPER = Cheaper(OTHER, {"some-rule": 2}, 7)
MEASURED = MeasuredLatency(8.0, None, 7.0, 9.0)


class Tuned(Device):
    """Takes 8 ms for one graph and ``other_ms`` for the other, and three quarters of that once it is tuned."""

    simulated = True

    def __init__(self, other_ms: float) -> None:
        super().__init__("tuned")
        self.other_ms = other_ms

    def latency(self, network: TensorGraph) -> LatencyResult:
        return LatencyResult(8.0 if network is GRAPH else self.other_ms)

    def optimise(self, graph: TensorGraph, measured: LatencyResult | None = None) -> Outcome:
        plain_ms = self.latency(graph).latency_ms
        best_ms = 0.75 * plain_ms
        variants = Variant("nothing", plain_ms), Variant("tuning", best_ms), Variant("all", best_ms)
        return Outcome(variants, (best_ms,), evaluations=5)


class Timed(Device):
    """Measured; a second graph is ``ratio`` times as fast, within the interval."""

    timed = True

    def __init__(self, ratio: float, low: float, high: float) -> None:
        super().__init__("timed")
        self.pair = PairedSpeedup(ratio, low, high, 8.0, 8.0 / ratio, 9)

    def latency(self, network: object) -> LatencyResult:
        raise AssertionError("what was measured is not measured again")

    def compare(self, before: TensorGraph, after: TensorGraph, *, seconds: float = 20.0) -> PairedSpeedup:
        assert (before, after, seconds) == (GRAPH, OTHER, 3.0)
        return self.pair


def figures(outcome: Outcome) -> dict[str, float]:
    return {variant.name: variant.latency_ms for variant in outcome.variants}


def test_nothing_to_rewrite() -> None:
    outcome, better = optimised(Tuned(1.0), GRAPH, None, None, 3.0)
    assert (figures(outcome), better) == ({"nothing": 8.0, "tuning": 6.0, "all": 6.0}, False)


def test_nothing_was_found() -> None:
    outcome, better = optimised(Tuned(1.0), GRAPH, Cheaper(GRAPH, {}, 7), None, 3.0)
    assert figures(outcome) == {"nothing": 8.0, "rewriting": 8.0, "tuning": 6.0, "all": 6.0}
    assert (outcome.evaluations, better) == (5, False)


@pytest.mark.parametrize(("other_ms", "all_ms"), [(4.0, 3.0), (8.0, 6.0), (12.0, 6.0)])
def test_the_better_of_both_graphs(other_ms: float, all_ms: float) -> None:
    outcome, better = optimised(Tuned(other_ms), GRAPH, CHEAPER, None, 3.0)
    assert figures(outcome) == {"nothing": 8.0, "rewriting": other_ms, "tuning": 6.0, "all": all_ms}
    assert better == (other_ms < 8.0), "of equals the network as it is"
    assert (outcome.value, outcome.evaluations) == ((all_ms,), 10)


def test_measured_it_must_surely_be_faster() -> None:
    outcome, better = optimised(Timed(2.0, 1.6, 2.5), GRAPH, CHEAPER, MEASURED, 3.0)
    assert (figures(outcome), better) == ({"nothing": 8.0, "rewriting": 4.0, "all": 4.0}, True)
    assert outcome.interval_ms == pytest.approx((7.0 / 2.5, 9.0 / 1.6))
    outcome, better = optimised(Timed(2.0, 0.9, 2.5), GRAPH, CHEAPER, MEASURED, 3.0)
    assert (figures(outcome), better) == ({"nothing": 8.0, "rewriting": 4.0, "all": 8.0}, False)
    assert outcome.interval_ms == (7.0, 9.0)
