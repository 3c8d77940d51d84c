"""The protocol of measuring: networks take turns until the median of each is known well enough.

In its turn a network runs once untimed, which refills the caches, then a few times timed; the fastest of these is one
sample, since a disturbance only ever adds. The networks in memory take turns, so that a disturbance that lasts, such as
heat or another program, falls on all of them and not on one. A network leaves, and the next enters, when the 95 %
interval of the median of its samples is narrow enough or it has had all its turns, but not before ``min_seconds``: ten
turns of a network of a tenth of a millisecond could all lie within one disturbance.
"""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from timeit import Timer

import numpy as np
from pydantic import Field, model_validator

from nas_proxy.devices.results import LatencyResult
from nas_proxy.schema import Spec

__all__ = ["Clock", "MeasuredLatency", "Protocol", "take_turns"]


class Protocol(Spec):
    """Numbers of the protocol, as a device's YAML file states them."""

    warm_up_runs: int = Field(3, ge=0, description="untimed runs of a network before its first turn")
    runs_per_turn: int = Field(3, ge=1, description="timed runs of a turn; the fastest is one sample")
    min_turns: int = Field(10, ge=6, description="turns every network has; an interval of a median needs 6")
    max_turns: int = Field(50, description="turns after which a network leaves, however wide its interval")
    min_seconds: float = Field(1.0, ge=0, description="a network takes turns for so long, however many these are")
    interval: float = Field(0.02, gt=0, description="enough: half the interval's width, as a share of the median")
    networks_in_turn: int = Field(16, ge=1, description="networks held in memory, taking turns")

    @model_validator(mode="after")
    def _ordered(self) -> Protocol:
        if self.max_turns < self.min_turns:
            raise ValueError(f"max_turns ({self.max_turns}) must be at least min_turns ({self.min_turns})")
        return self


@dataclass(frozen=True)
class MeasuredLatency(LatencyResult):
    """A measured latency: the median of ``turns`` samples, its 95 % interval, and the quartiles of the samples."""

    low_ms: float = float("nan")
    high_ms: float = float("nan")
    q25_ms: float = float("nan")
    q75_ms: float = float("nan")
    turns: int = 0

    @property
    def interval_ms(self) -> tuple[float, float]:
        return self.low_ms, self.high_ms


class Clock:
    """Seconds, less the time in which this thread was ready to run but another program had its core.

    Linux counts that time (second number of ``schedstat``), per thread: so it is left out where the network runs on one
    thread, the calling one. Elsewhere, and with more threads, the clock is plain ``time.perf_counter``.
    """

    def __init__(self, threads: int) -> None:
        self._schedstat: int | None = None
        path = "/proc/thread-self/schedstat"
        if threads == 1 and os.path.exists(path):
            self._schedstat = os.open(path, os.O_RDONLY)

    @property
    def name(self) -> str:
        """What this clock is, for the record."""
        return "perf_counter" if self._schedstat is None else "perf_counter less waiting for a core"

    def __call__(self) -> float:
        after = self._waited_ns()
        while True:  # both at one instant: the core may be taken between two readings
            before, now, after = after, time.perf_counter(), self._waited_ns()
            if before == after:
                return now - after * 1e-9

    def _waited_ns(self) -> int:
        return 0 if self._schedstat is None else int(os.pread(self._schedstat, 64, 0).split()[1])

    def __del__(self) -> None:
        if self._schedstat is not None:
            os.close(self._schedstat)


@dataclass(eq=False)
class _Runner:
    index: int
    timer: Timer
    entered_s: float
    samples_ms: list[float] = field(default_factory=list)

    def take_turn(self, runs: int) -> None:
        _, *timed = self.timer.repeat(repeat=1 + runs, number=1)
        self.samples_ms.append(min(timed) * 1e3)

    def result(self) -> MeasuredLatency:
        low, high = _interval_of_median(self.samples_ms)
        q25, median, q75 = np.quantile(self.samples_ms, [0.25, 0.5, 0.75])
        return MeasuredLatency(float(median), None, low, high, float(q25), float(q75), len(self.samples_ms))

    def finished(self, protocol: Protocol, now_s: float) -> bool:
        turns = len(self.samples_ms)
        if turns < protocol.min_turns or now_s - self.entered_s < protocol.min_seconds:
            return False
        if turns >= protocol.max_turns:
            return True
        low, high = _interval_of_median(self.samples_ms)
        return (high - low) / 2 <= protocol.interval * float(np.median(self.samples_ms))


def _interval_of_median(samples: list[float]) -> tuple[float, float]:
    """95 % interval of the median from order statistics: no assumption on the distribution (at least 6 samples)."""
    from scipy.stats import binom

    ordered = sorted(samples)
    k = int(binom.ppf(0.025, len(ordered), 0.5))
    return ordered[k - 1], ordered[len(ordered) - k]


def take_turns(
    jobs: Iterable[Callable[[], object]], protocol: Protocol, threads: int
) -> Iterator[tuple[int, MeasuredLatency]]:
    """Time ``jobs``, each a function that runs a network once; at most ``networks_in_turn`` of them exist at a time.

    Yields:
        ``(index, latency)`` of each job as soon as it is known.
    """
    from torch.utils.benchmark.utils.common import set_torch_threads

    clock = Clock(threads)
    waiting = enumerate(jobs)
    active: list[_Runner] = []
    while True:
        while len(active) < protocol.networks_in_turn and (entering := next(waiting, None)) is not None:
            index, run = entering
            with set_torch_threads(threads):
                for _ in range(protocol.warm_up_runs):
                    run()
            active.append(_Runner(index, Timer(run, timer=clock), clock()))
        if not active:
            return
        with set_torch_threads(threads):
            for runner in active:
                runner.take_turn(protocol.runs_per_turn)
        now_s = clock()
        finished = [runner for runner in active if runner.finished(protocol, now_s)]
        active = [runner for runner in active if runner not in finished]
        yield from ((runner.index, runner.result()) for runner in finished)
