"""Every scheduler against the conformance suite; exact ones against brute force."""

import itertools
from dataclasses import replace

import numpy as np
import pytest
from scipy.optimize import OptimizeResult

from nas_proxy import extensions
from nas_proxy.errors import InputError, UnknownNameError
from nas_proxy.scheduling import (
    DoesNotFitError,
    PipelineProblem,
    Schedule,
    Tensor,
    evaluate,
    synthetic_problem,
)
from nas_proxy.testing.schedulers import CHECKS, chain, wide

OPTIONS = {"milp": {"time_limit_s": 20.0}, "respect": {"samples": 4, "polished": 1}}


@pytest.mark.parametrize("check", CHECKS)
@pytest.mark.parametrize("name", extensions.names("schedulers"))
def test_conformance(name, check):
    check(extensions.get("schedulers", name, **OPTIONS.get(name, {})))


def brute_force(problem: PipelineProblem) -> float:
    best = np.inf
    for stages in itertools.product(range(problem.stages), repeat=problem.n):
        if all(stages[u] <= stages[v] for v in range(problem.n) for u in problem.predecessors[v]):
            best = min(best, evaluate(problem, stages).bottleneck_ms)
    return best


@pytest.mark.parametrize("name", ["ideal_dp", "milp"])
@pytest.mark.parametrize("seed", range(4))
def test_exact_schedulers_meet_brute_force(name, seed):
    problem = synthetic_problem(7, np.random.default_rng(seed), stages=3, width=2.5)
    schedule = extensions.get("schedulers", name).schedule(problem)
    assert schedule.optimal
    assert schedule.bottleneck_ms == pytest.approx(brute_force(problem), rel=2e-4)
    assert schedule.bound_ms == pytest.approx(schedule.bottleneck_ms, rel=2e-4)


def test_ideal_dp_says_when_it_gives_up():
    problem = synthetic_problem(40, np.random.default_rng(0), stages=4, width=10.0)
    schedule = extensions.get("schedulers", "ideal_dp", max_ideals=500).schedule(problem)
    assert not schedule.optimal
    assert schedule.bound_ms == problem.lower_bound_ms
    with pytest.raises(InputError, match="more than 500 order ideals"):
        extensions.get("schedulers", "ideal_dp", max_ideals=500, strict=True).schedule(problem)


def test_milp_out_of_time_still_has_a_bound_and_a_schedule():
    problem = synthetic_problem(60, np.random.default_rng(1), stages=5, width=8.0)
    schedule = extensions.get("schedulers", "milp", time_limit_s=0.2).schedule(problem)
    assert not schedule.optimal
    assert problem.lower_bound_ms <= schedule.bound_ms <= schedule.bottleneck_ms


def test_the_compilers_segments_by_hand():
    problem = PipelineProblem(
        time_ms=np.ones(5),
        parameter_bytes=np.array([3.0, 3, 1, 4, 1]) * 1e6,
        tensors=chain(5).tensors,
        stages=3,
        cache_bytes=8e6,
        stream_bytes_per_ms=1e6,
        link_bytes_per_ms=1e6,
    )
    # share 4 MB: 3 | 3 + 1 | 4 and the rest
    assert extensions.get("schedulers", "compiler").schedule(problem).stage_of == (0, 1, 1, 2, 2)


@pytest.mark.parametrize("name", ["ideal_dp", "milp", "respect"])
def test_without_streaming_a_cut_that_fits_is_found_where_the_execution_order_has_none(name):
    # only {0, 3} and {1, 2} fit, and unit 3 comes last in execution order
    problem = PipelineProblem(
        time_ms=np.ones(4),
        parameter_bytes=np.array([20.0, 60.0, 60.0, 100.0]),
        tensors=(Tensor(0, (1, 3), 1), Tensor(1, (2,), 1), Tensor(2, (), 1, True), Tensor(3, (), 1, True)),
        stages=2,
        cache_bytes=120.0,
        stream_bytes_per_ms=0.0,
        link_bytes_per_ms=1e6,
    )
    with pytest.raises(DoesNotFitError, match=r"dp found no cut that fits 2 stage\(s\): stage 1 would hold 240 bytes"):
        extensions.get("schedulers", "dp").schedule(problem)
    assert extensions.get("schedulers", name).schedule(problem).stage_of == (0, 1, 1, 0)


def test_milp_says_whether_no_cut_fits_or_none_was_found(monkeypatch):
    problem = replace(chain(3, 2), parameter_bytes=np.full(3, 100.0), cache_bytes=150.0, stream_bytes_per_ms=0.0)
    with pytest.raises(DoesNotFitError, match="no cut into 2 stages fits their caches of 150 bytes"):
        extensions.get("schedulers", "milp").schedule(problem)
    stopped = OptimizeResult(x=None, status=1, mip_dual_bound=None)
    monkeypatch.setattr("scipy.optimize.milp", lambda *_, **__: stopped)
    with pytest.raises(DoesNotFitError, match=r"as far as milp saw in 60 s, .* or a greater time_limit_s"):
        extensions.get("schedulers", "milp").schedule(problem)


def test_best_of_more_orders_is_no_worse():
    problem = synthetic_problem(30, np.random.default_rng(2), stages=4, width=5.0)
    costs = [extensions.get("schedulers", "dp", orders=n).schedule(problem).bottleneck_ms for n in (1, 20, 100)]
    assert costs == sorted(costs, reverse=True)
    assert costs[0] > costs[-1]


def test_unknown_and_registered_names():
    with pytest.raises(UnknownNameError, match=r"unknown scheduler 'respekt'. Did you mean 'respect'"):
        extensions.get("schedulers", "respekt")

    class AllInFront:
        name, never_worse_than_dp = "all in front", False

        def schedule(self, problem: PipelineProblem) -> Schedule:
            return evaluate(problem, np.zeros(problem.n, int), self.name)

    extensions.register("schedulers", "all-in-front", AllInFront)
    assert "all-in-front" in extensions.names("schedulers")
    for check in CHECKS:
        check(extensions.get("schedulers", "all-in-front"))


def test_wide_problem_uses_every_stage():
    schedule = extensions.get("schedulers", "ideal_dp").schedule(wide(9, 3))
    assert set(schedule.stage_of) == {0, 1, 2}
