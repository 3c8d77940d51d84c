"""What every scheduler must satisfy. In your tests::

from nas_proxy import extensions
from nas_proxy.testing.schedulers import CHECKS

@pytest.mark.parametrize("check", CHECKS)
def test_my_scheduler(check):
    check(MyScheduler())
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import replace

import numpy as np

from nas_proxy import extensions
from nas_proxy.scheduling import (
    HOST,
    DoesNotFitError,
    PipelineProblem,
    Scheduler,
    Tensor,
    evaluate,
    synthetic_problem,
)

__all__ = ["CHECKS", "chain", "wide"]


def chain(n: int = 8, stages: int = 3) -> PipelineProblem:
    """Units one after the other."""
    tensors = [Tensor(i - 1, (i,), 1000 + 100 * i) for i in range(n)]
    return _problem(n, [*tensors, Tensor(n - 1, (), 500, to_host=True)], stages)


def wide(n: int = 9, stages: int = 3) -> PipelineProblem:
    """One unit feeds all the others but the last, which reads them all."""
    middle = tuple(range(1, n - 1))
    tensors = [Tensor(HOST, (0,), 1000), Tensor(0, middle, 2000), *(Tensor(i, (n - 1,), 700) for i in middle)]
    return _problem(n, [*tensors, Tensor(n - 1, (), 500, to_host=True)], stages)


def _problem(n: int, tensors: list[Tensor], stages: int) -> PipelineProblem:
    rng = np.random.default_rng(n)
    return PipelineProblem(
        time_ms=rng.uniform(0.1, 1.0, n),
        parameter_bytes=rng.uniform(0, 2e6, n),
        tensors=tuple(tensors),
        stages=stages,
        cache_bytes=3e6,
        stream_bytes_per_ms=1e6,
        link_bytes_per_ms=1e4,
        stage_ms=0.05,
    )


def _problems() -> list[PipelineProblem]:
    rng = np.random.default_rng(7)
    drawn = [synthetic_problem(n, rng, stages=k, width=w) for n, k, w in [(12, 3, 2.0), (20, 4, 4.0), (25, 5, 1.5)]]
    return [chain(), wide(), *drawn]


def check_schedules_are_feasible_and_priced_truly(scheduler: Scheduler) -> None:
    """A stage for every unit, no tensor backwards, and the times that evaluating the stage map gives."""
    for problem in _problems():
        schedule = scheduler.schedule(problem)
        priced = evaluate(problem, schedule.stage_of)  # raises where it is not feasible
        np.testing.assert_allclose(schedule.stage_ms, priced.stage_ms, rtol=1e-9)
        assert len(schedule.stage_ms) == problem.stages
        assert schedule.scheduler == scheduler.name
        assert schedule.bottleneck_ms >= problem.lower_bound_ms * (1 - 1e-9)


def check_claims_hold(scheduler: Scheduler) -> None:
    """A bound is below the bottleneck, and what is called optimal is not beaten by the exact scheduler."""
    exact = extensions.get("schedulers", "ideal_dp", max_ideals=20_000)
    for problem in [chain(6), wide(7)]:
        schedule, best = scheduler.schedule(problem), exact.schedule(problem)
        assert best.optimal
        assert best.bottleneck_ms <= schedule.bottleneck_ms * (1 + 1e-9)
        if schedule.bound_ms is not None:
            assert schedule.bound_ms <= best.bottleneck_ms * (1 + 1e-6)
        if schedule.optimal:
            np.testing.assert_allclose(schedule.bottleneck_ms, best.bottleneck_ms, rtol=1e-3)


def check_never_worse_than_dp(scheduler: Scheduler) -> None:
    """At least as good as cutting the execution order, unless the scheduler is declared a baseline."""
    dp = extensions.get("schedulers", "dp")
    for problem in _problems() if scheduler.never_worse_than_dp else []:
        assert scheduler.schedule(problem).bottleneck_ms <= dp.schedule(problem).bottleneck_ms * (1 + 1e-9)


def check_deterministic(scheduler: Scheduler) -> None:
    """The same problem gives the same schedule, whatever global random state was left."""
    problem = _problems()[2]
    np.random.seed(int(time.time()) % 1000)  # noqa: NPY002  # a scheduler that used it would be found out
    first = scheduler.schedule(problem)
    np.random.seed(1)  # noqa: NPY002
    assert scheduler.schedule(problem).stage_of == first.stage_of


def check_one_node(scheduler: Scheduler) -> None:
    """One unit, on one device and on three."""
    for stages in (1, 3):
        schedule = scheduler.schedule(chain(1, stages))
        assert len(schedule.stage_of) == 1


def check_one_node_without_cost(scheduler: Scheduler) -> None:
    """One unit that takes no time and has no parameters; then without transfers and fixed times, too."""
    problem = replace(chain(1, 3), time_ms=np.zeros(1), parameter_bytes=np.zeros(1))
    assert len(scheduler.schedule(problem).stage_of) == 1
    free = replace(problem, stage_ms=0.0, tensors=(Tensor(HOST, (0,), 0), Tensor(0, (), 0, to_host=True)))
    assert scheduler.schedule(free).bottleneck_ms == 0


def check_no_cut_that_fits_is_an_error(scheduler: Scheduler) -> None:
    """Three units of 100 bytes on two devices that keep 150 and cannot stream: refused, never an infinite time."""
    problem = replace(chain(3, 2), parameter_bytes=np.full(3, 100.0), cache_bytes=150.0, stream_bytes_per_ms=0.0)
    try:
        schedule = scheduler.schedule(problem)
    except DoesNotFitError:
        return
    raise AssertionError(f"expected a DoesNotFitError, found {schedule}")


def check_one_stage(scheduler: Scheduler) -> None:
    """One device takes everything."""
    assert set(scheduler.schedule(wide(stages=1)).stage_of) == {0}


def check_more_stages_than_nodes(scheduler: Scheduler) -> None:
    """Some stages stay empty; tensors still pass through them."""
    problem = chain(3, 6)
    evaluate(problem, scheduler.schedule(problem).stage_of)


#: All checks, to parametrise tests with.
CHECKS: list[Callable[[Scheduler], None]] = [
    check_schedules_are_feasible_and_priced_truly,
    check_claims_hold,
    check_never_worse_than_dp,
    check_deterministic,
    check_one_node,
    check_one_node_without_cost,
    check_no_cut_that_fits_is_an_error,
    check_one_stage,
    check_more_stages_than_nodes,
]
