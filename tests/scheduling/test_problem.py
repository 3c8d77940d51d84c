"""What a cut costs, by hand; cutting an order exactly; local search; every bad problem named."""

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from nas_proxy import extensions
from nas_proxy.errors import InputError
from nas_proxy.scheduling import (
    HOST,
    DoesNotFitError,
    PipelineProblem,
    Tensor,
    evaluate,
    synthetic_problem,
)
from nas_proxy.scheduling._orders import best_cut, bottlenecks, random_orders
from nas_proxy.scheduling._refine import refine
from nas_proxy.testing.schedulers import chain


def diamond(**changes) -> PipelineProblem:
    """0 feeds 1 and 2 with one tensor, both feed 3."""
    made = {
        "time_ms": np.array([1.0, 2.0, 3.0, 4.0]),
        "parameter_bytes": np.array([0.0, 100.0, 250.0, 0.0]),
        "tensors": (
            Tensor(HOST, (0,), 10), Tensor(0, (1, 2), 20), Tensor(1, (3,), 30), Tensor(2, (3,), 40),
            Tensor(3, (), 50, True),
        ),
        "stages": 3,
        "cache_bytes": 200.0,
        "stream_bytes_per_ms": 100.0,
        "link_bytes_per_ms": 10.0,
        "stage_ms": 0.5,
        "names": ("a", "b", "c", "d"),
    }  # fmt: skip
    return PipelineProblem(**(made | changes))


def test_costs_by_hand():
    schedule = evaluate(diamond(), [0, 0, 1, 2])
    # stage 0: units 1 + 2, in 10, out 20 (to c) and 30 (to d, passing through), over 10 bytes/ms, and 0.5
    # stage 1: unit 3, 50 bytes streamed, in 20 + 30, out 30 + 40; stage 2: unit 4, in 70, out 50
    assert schedule.stage_ms == pytest.approx((3 + 1 + 5 + 0.5, 3 + 0.5 + 5 + 7 + 0.5, 4 + 7 + 5 + 0.5))
    assert schedule.bottleneck_ms == pytest.approx(16.5)
    assert schedule.latency_ms == pytest.approx(9.5 + 16.0 + 16.5)
    assert schedule.throughput_per_s == pytest.approx(1000 / 16.5)


def test_a_tensor_with_two_readers_is_charged_once():
    schedule = evaluate(diamond(), [0, 1, 1, 1])
    assert schedule.stage_ms[0] == pytest.approx(1 + 1 + 2 + 0.5)


def test_an_empty_stage_passes_tensors_on():
    schedule = evaluate(diamond(), [0, 0, 0, 2])
    assert schedule.stage_ms[1] == pytest.approx(0.5 + 7 + 7)


def test_wrong_schedules_are_named():
    with pytest.raises(InputError, match=r"b \(stage 2\) feeds d \(stage 1\): a tensor cannot go backwards"):
        evaluate(diamond(), [0, 2, 1, 1])
    with pytest.raises(InputError, match="b: stage 7 is not among 0 to 2"):
        evaluate(diamond(), [0, 7, 1, 1])
    with pytest.raises(InputError, match="one stage for each of 4 units"):
        evaluate(diamond(), [0, 1])


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"cache_bytes": 0.0}, "cache_bytes must be positive, found 0"),
        ({"link_bytes_per_ms": 0.0}, "link_bytes_per_ms must be positive"),
        ({"stages": 0}, "at least one stage, a whole number, found 0"),
        ({"stages": 2.5}, "a whole number, found 2.5"),
        ({"stream_bytes_per_ms": -1.0}, "stream_bytes_per_ms must be 0 or more, found -1"),
        ({"stage_ms": -0.5}, "stage_ms must be 0 or more, found -0.5"),
        ({"parameter_bytes": np.zeros(3)}, r"parameter_bytes has shape \(3,\): expected one for each of 4 units"),
        ({"names": ("a", "b")}, r"names has shape \(2,\): expected one for each of 4 units"),
        ({"tensors": (Tensor(0, (1, 2, 4), 1),)}, "units that are not among 0 to 3: .*consumers=.1, 2, 4."),
        ({"tensors": (Tensor(0, (1, 2, 3), -1),)}, "0 bytes or more, found .*bytes=-1"),
        ({"time_ms": np.array([1.0, np.nan, 1.0, 1.0])}, "b: time_ms is nan"),
        ({"stream_bytes_per_ms": 0.0}, "c fits no stage: 250 bytes of parameters, a cache of 200 bytes"),
        ({"tensors": (Tensor(0, (1,), 1), Tensor(1, (2,), 1), Tensor(2, (1, 3), 1))}, "cycle at or before b"),
        ({"tensors": (Tensor(0, (1,), 1), Tensor(2, (3,), 1))}, "not connected: no tensor joins c to a"),
    ],
)
def test_bad_problems_are_named(changes, message):
    with pytest.raises(InputError, match=message):
        diamond(**changes)


def test_a_network_that_fits_no_pipeline_without_streaming_is_refused():
    made = {"stream_bytes_per_ms": 0.0, "parameter_bytes": np.array([90.0, 100.0, 150.0, 90.0]), "cache_bytes": 200.0}
    message = r"fits no 2 stage\(s\): 430 bytes of parameters \(150 of them in c\), caches of 200 .* 3 stages at least"
    with pytest.raises(DoesNotFitError, match=message):
        diamond(**made, stages=2)
    with pytest.raises(DoesNotFitError, match=r"^stage 1 would hold 250 bytes of parameters \(150 of them in c\)"):
        evaluate(diamond(**made), [0, 1, 1, 2])
    assert evaluate(diamond(**made), [0, 0, 1, 2]).bottleneck_ms < np.inf


def test_nothing_to_schedule():
    with pytest.raises(InputError, match="no operators"):
        PipelineProblem(np.empty(0), np.empty(0), (), 2, 1.0, 1.0, 1.0)


@settings(max_examples=30, deadline=None)
@given(st.integers(1, 14), st.integers(1, 5), st.integers(0, 10_000))
def test_cutting_an_order_is_exact_and_its_bottleneck_true(n, stages, seed):
    problem = replace(synthetic_problem(n, np.random.default_rng(seed), stages=stages), stage_ms=0.1)
    orders = random_orders(problem, 3, np.random.default_rng(seed))
    values = bottlenecks(problem, orders)
    schedules = [best_cut(problem, order) for order in orders]
    assert [s.bottleneck_ms for s in schedules] == pytest.approx(values)
    assert best_cut(problem, orders).bottleneck_ms == pytest.approx(values.min())
    for order, schedule in zip(orders, schedules, strict=True):
        cuts = np.sort(np.random.default_rng(seed).integers(0, n + 1, stages - 1))
        stage_of = np.empty(n, int)
        stage_of[order] = np.searchsorted(cuts, np.arange(n), side="right")
        assert schedule.bottleneck_ms <= evaluate(problem, stage_of).bottleneck_ms * (1 + 1e-9)
        assert schedule.bottleneck_ms >= problem.lower_bound_ms * (1 - 1e-9)


@settings(max_examples=20, deadline=None)
@given(st.integers(2, 20), st.integers(2, 5), st.integers(0, 10_000))
def test_local_search_never_loses_and_keeps_its_books(n, stages, seed):
    problem = synthetic_problem(n, np.random.default_rng(seed), stages=stages)
    start = best_cut(problem, random_orders(problem, 1, np.random.default_rng(seed)))
    stages, bottleneck_ms = refine(problem, np.array([start.stage_of, problem.n * [0]]))
    for row, value in zip(stages, bottleneck_ms, strict=True):
        assert evaluate(problem, row).bottleneck_ms == pytest.approx(value)  # raises where a tensor goes backwards
    assert bottleneck_ms[0] <= start.bottleneck_ms * (1 + 1e-9)


def test_local_search_solves_small_problems():
    found, best = [], []
    for seed in range(10):
        problem = synthetic_problem(12, np.random.default_rng(seed), stages=3, width=3.0)
        start = best_cut(problem, np.array(problem.order))
        found.append(refine(problem, np.array(4 * [start.stage_of]))[1].min())
        best.append(extensions.get("schedulers", "ideal_dp", strict=True).schedule(problem).bottleneck_ms)
    assert np.mean(np.divide(found, best)) < 1.02


def test_synthetic_problems_are_connected_and_reproducible():
    for n in (1, 2, 5, 30, 100):
        a, b = (synthetic_problem(n, np.random.default_rng(n)) for _ in range(2))  # connectedness is checked when made
        np.testing.assert_array_equal(a.time_ms, b.time_ms)
        assert a.tensors == b.tensors
    with pytest.raises(InputError, match="at least one unit, found 0"):
        synthetic_problem(0, np.random.default_rng(0))


def test_stages_can_be_changed():
    assert chain(5, 2).with_stages(4).stages == 4
