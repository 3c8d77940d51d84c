"""The protocol of measuring, on a clock that the tests turn themselves."""

from __future__ import annotations

import itertools
import os
import subprocess
import sys
import time

import numpy as np
import pytest
import torch

from nas_proxy.devices import _timing
from nas_proxy.devices._timing import Clock, Protocol, _interval_of_median, take_turns


class FakeClock:
    """Time passes only when a job runs."""

    name = "fake"

    def __init__(self) -> None:
        self.now = 0.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock(monkeypatch):
    clock = FakeClock()
    monkeypatch.setattr(_timing, "Clock", lambda threads: clock)
    return clock


def job(clock, durations_ms, log=None, name=None):
    durations = iter(durations_ms)

    def run():
        clock.now += next(durations) * 1e-3
        if log is not None:
            log.append(name)

    return run


def test_a_steady_network_leaves_after_the_fewest_turns(clock):
    protocol = Protocol(warm_up_runs=2, runs_per_turn=3, min_turns=7, max_turns=50, min_seconds=0)
    [(index, result)] = take_turns([job(clock, itertools.repeat(5.0))], protocol, threads=1)
    assert index == 0
    assert result.latency_ms == pytest.approx(5.0)
    assert result.turns == 7
    assert (result.low_ms, result.high_ms) == pytest.approx((5.0, 5.0))


def test_a_fast_network_takes_turns_for_a_while(clock):
    """What makes the core half as fast for a third of a second does not decide the median."""
    slow = itertools.repeat(2.0, 150)
    protocol = Protocol(warm_up_runs=0, runs_per_turn=1, min_turns=10, max_turns=50, min_seconds=1.0)
    [(_, result)] = take_turns([job(clock, itertools.chain(slow, itertools.repeat(1.0)))], protocol, threads=1)
    assert result.turns == 75 + 350  # each turn has an untimed run
    assert result.latency_ms == pytest.approx(1.0)


def test_a_noisy_network_gets_all_its_turns(clock):
    noise = iter(np.random.default_rng(0).lognormal(0, 1, 10_000))
    protocol = Protocol(min_turns=6, max_turns=20, min_seconds=0)
    [(_, result)] = take_turns([job(clock, noise)], protocol, threads=1)
    assert result.turns == 20
    assert result.low_ms < result.latency_ms < result.high_ms
    assert result.q25_ms < result.latency_ms < result.q75_ms


def test_one_sample_is_the_fastest_run_of_a_turn_and_the_first_run_is_not_timed(clock):
    turns = [[99, 7, 5, 6], [0.1, 9, 8, 9], [99, 6, 6, 6], [99, 5, 5, 5], [99, 9, 9, 9], [99, 7, 7, 7]]
    protocol = Protocol(warm_up_runs=1, runs_per_turn=3, min_turns=6, max_turns=6, min_seconds=0)
    [(_, result)] = take_turns([job(clock, [1000, *itertools.chain(*turns)])], protocol, threads=1)
    samples = [5, 8, 6, 5, 9, 7]
    assert result.latency_ms == pytest.approx(np.median(samples))
    assert (result.q25_ms, result.q75_ms) == pytest.approx(tuple(np.quantile(samples, [0.25, 0.75])))
    assert (result.low_ms, result.high_ms) == pytest.approx((5, 9))


def test_networks_take_turns_and_enter_one_by_one(clock):
    log, made = [], []

    def jobs():
        for name in "abcd":
            made.append(name)
            yield job(clock, itertools.repeat(1.0), log, name)

    protocol = Protocol(warm_up_runs=0, runs_per_turn=1, min_turns=6, max_turns=6, networks_in_turn=3, min_seconds=0)
    results = take_turns(jobs(), protocol, threads=1)
    assert [next(results)[0] for _ in range(3)] == [0, 1, 2]
    assert made == ["a", "b", "c"]  # the fourth is not in memory yet
    assert log == list("aabbcc") * 6  # an untimed and a timed run each turn
    assert [index for index, _ in results] == [3]
    assert made == ["a", "b", "c", "d"]


def test_a_disturbance_that_lasts_falls_on_all(clock):
    """Twice as slow for half the time: all medians shift alike, none alone."""
    shared = itertools.chain(itertools.repeat(1.0, 60), itertools.repeat(2.0))
    protocol = Protocol(warm_up_runs=0, runs_per_turn=1, min_turns=20, max_turns=20, networks_in_turn=3, min_seconds=0)
    jobs = [job(clock, map(ms.__mul__, shared)) for ms in (3.0, 2.0, 1.0)]
    latencies = dict(take_turns(jobs, protocol, threads=1))
    assert [latencies[i].latency_ms for i in range(3)] == pytest.approx([4.5, 3.0, 1.5])


def test_threads_are_fixed_during_a_turn_and_restored(clock):
    before, seen = torch.get_num_threads(), set()
    run = job(clock, itertools.repeat(1.0))

    def spy():
        seen.add(torch.get_num_threads())
        run()

    for _ in take_turns([spy], Protocol(min_turns=6, max_turns=6, min_seconds=0), threads=before + 1):
        assert torch.get_num_threads() == before
    assert seen == {before + 1}


def test_no_jobs():
    assert list(take_turns([], Protocol(), threads=1)) == []


@pytest.mark.parametrize(("n", "expected"), [(6, (1, 6)), (10, (2, 9)), (20, (6, 15)), (50, (18, 33))])
def test_the_interval_of_a_median_is_of_order_statistics(n, expected):
    """Golden: tables of the binomial interval for the median at 95 %."""
    assert _interval_of_median([float(i) for i in range(1, n + 1)]) == expected


def test_the_interval_covers_the_median_as_often_as_it_says():
    rng = np.random.default_rng(0)
    for n in (6, 10, 25):
        intervals = [_interval_of_median(list(rng.exponential(size=n))) for _ in range(1000)]
        covered = np.mean([low <= np.log(2) <= high for low, high in intervals])
        assert covered > 0.935


def test_waiting_for_a_core_does_not_count():
    if Clock(1).name == "perf_counter":
        pytest.skip("this kernel does not say how long a thread waited for a core")
    core = {min(os.sched_getaffinity(0))}
    mine = os.sched_getaffinity(0)
    rival = subprocess.Popen(
        [sys.executable, "-c", f"import os; os.sched_setaffinity(0, {core})\nprint(1, flush=True)\nwhile 1: pass"],
        stdout=subprocess.PIPE,
    )
    try:
        os.sched_setaffinity(0, core)
        assert rival.stdout is not None
        rival.stdout.readline()
        clock = Clock(1)
        start, wall, cpu = clock(), time.perf_counter(), time.thread_time()
        while time.thread_time() - cpu < 0.2:
            pass
        counted, passed, worked = clock() - start, time.perf_counter() - wall, time.thread_time() - cpu
    finally:
        os.sched_setaffinity(0, mine)
        rival.kill()
        rival.communicate()
    assert counted < 0.8 * passed, "another program on the same core must not count"
    assert counted > 0.9 * worked, "what was worked must count"


def test_the_clock_is_the_plain_one_for_several_threads():
    clock = Clock(2)
    assert clock.name == "perf_counter"
    assert clock() <= clock()


@pytest.mark.parametrize(
    "wrong",
    [
        {"min_turns": 5},
        {"min_seconds": -1},
        {"min_turns": 60},
        {"interval": 0},
        {"runs_per_turn": 0},
        {"networks_in_turn": 0},
    ],
)
def test_numbers_that_make_no_protocol(wrong):
    with pytest.raises(ValueError, match=next(iter(wrong)) if wrong != {"min_turns": 60} else "at least min_turns"):
        Protocol(**wrong)
