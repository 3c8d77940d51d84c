"""End to end on this machine: how much faster one graph is than another under ONNX Runtime."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy import stats

from nas_proxy.devices._timing import Clock, MeasuredLatency
from nas_proxy.devices.results import LatencyResult
from nas_proxy.graph import TensorGraph, random_inputs, to_onnx

__all__ = ["PairedSpeedup", "compare_latency", "session"]


@dataclass(frozen=True)
class PairedSpeedup:
    """``ratio`` is latency before over latency after, with its 95 % interval; times are medians."""

    ratio: float
    low: float
    high: float
    before_ms: float
    after_ms: float
    rounds: int

    def of(self, before: LatencyResult) -> MeasuredLatency:
        """What the second network takes, where the first was measured to take ``before``; 95 % of both intervals."""
        low_ms, high_ms = before.interval_ms or (before.latency_ms, before.latency_ms)
        return MeasuredLatency(before.latency_ms / self.ratio, None, low_ms / self.high, high_ms / self.low)

    def __str__(self) -> str:
        return (
            f"{self.before_ms:.2f} ms -> {self.after_ms:.2f} ms, {self.ratio:.3f} times as fast "
            f"(95 % interval {self.low:.3f} .. {self.high:.3f}, {self.rounds} rounds)"
        )


def session(graph: TensorGraph, *, optimise: bool = True):
    """A session of ONNX Runtime's CPU provider on one thread, with all of its graph optimisations or none."""
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = options.inter_op_num_threads = 1
    options.log_severity_level = 3
    level = onnxruntime.GraphOptimizationLevel
    options.graph_optimization_level = level.ORT_ENABLE_ALL if optimise else level.ORT_DISABLE_ALL
    model = to_onnx(graph).SerializeToString()
    return onnxruntime.InferenceSession(model, options, providers=["CPUExecutionProvider"])


def compare_latency(
    before: TensorGraph, after: TensorGraph, *, seconds: float = 20.0, blocks: int = 8, rounds: int = 60, seed: int = 0
) -> PairedSpeedup:
    """Run two graphs in turn, on the same input, ENABLE_ALL and one thread, for about ``seconds``.

    Where a session's memory lies can make it a percent or two faster for good, so both are made anew in each of several
    blocks of rounds, in alternating order. Within a round each graph runs twice, in random order, and its lesser time
    counts. The interval is that of the mean over blocks of the median log ratio (Student's t): what differs between
    blocks is in it.
    """
    clock, rng, inputs = Clock(1), np.random.default_rng(seed), random_inputs(before, seed)
    times_ms: list[list[float]] = [[], []]
    logs: list[float] = []
    started = clock()
    while len(logs) < blocks and (len(logs) < 4 or clock() - started < seconds):
        block = _block((before, after), inputs, clock, rng, seconds / blocks, rounds, flip=len(logs) % 2 == 1)
        logs.append(float(np.median(np.log(np.array(block[0]) / np.array(block[1])))))
        for kept, taken in zip(times_ms, block, strict=True):
            kept += taken
    mean, error = float(np.mean(logs)), float(np.std(logs, ddof=1)) / len(logs) ** 0.5
    half = float(stats.t.ppf(0.975, len(logs) - 1)) * error
    ratio, low, high = (float(np.exp(x)) for x in (mean, mean - half, mean + half))
    before_ms, after_ms = (float(np.median(ms)) for ms in times_ms)
    return PairedSpeedup(ratio, low, high, before_ms, after_ms, len(times_ms[0]))


def _block(
    graphs: tuple[TensorGraph, TensorGraph],
    inputs: dict[str, np.ndarray],
    clock: Clock,
    rng: np.random.Generator,
    seconds: float,
    rounds: int,
    flip: bool,
) -> list[list[float]]:
    """Milliseconds of each graph in every round of one block, between 3 rounds and ``rounds``."""
    made = {which: session(graphs[which]) for which in ((1, 0) if flip else (0, 1))}
    for which in (0, 1, 0, 1):
        made[which].run(None, inputs)
    times_ms: list[list[float]] = [[], []]
    started = clock()
    while len(times_ms[0]) < rounds and (len(times_ms[0]) < 3 or clock() - started < seconds):
        samples: list[list[float]] = [[], []]
        for which in rng.permutation([0, 0, 1, 1]):
            begun = clock()
            made[which].run(None, inputs)
            samples[which].append((clock() - begun) * 1e3)
        for kept, taken in zip(times_ms, samples, strict=True):
            kept.append(min(taken))
    return times_ms
