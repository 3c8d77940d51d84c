"""End to end on this machine: how much faster one graph is than another under ONNX Runtime."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from nas_proxy.devices._timing import Clock
from nas_proxy.graph import TensorGraph, to_onnx
from nas_proxy.rewriting._verify import random_inputs

__all__ = ["PairedSpeedup", "compare_latency", "session"]


@dataclass(frozen=True)
class PairedSpeedup:
    """``ratio`` is the median over rounds of (latency before / latency after), with its 95 % interval.

    ``before_ms`` and ``after_ms`` are the medians of each.
    """

    ratio: float
    low: float
    high: float
    before_ms: float
    after_ms: float
    rounds: int

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
    before: TensorGraph, after: TensorGraph, *, seconds: float = 20.0, rounds: int = 200, seed: int = 0
) -> PairedSpeedup:
    """Run two graphs in turn, on the same input, ENABLE_ALL and one thread, until ``rounds`` or ``seconds`` are over.

    In each round either graph runs as often, in random order; the lesser of two runs of each counts. At least 12 rounds
    are run. The interval of the median ratio is from order statistics.
    """
    from nas_proxy.devices._timing import _interval_of_median

    sessions = session(before), session(after)
    inputs, clock, rng = random_inputs(before, seed), Clock(1), np.random.default_rng(seed)
    for one in sessions * 2:
        one.run(None, inputs)
    times_ms: list[list[float]] = [[], []]
    started = clock()
    while len(times_ms[0]) < rounds and (len(times_ms[0]) < 12 or clock() - started < seconds):
        samples: list[list[float]] = [[], []]
        for which in rng.permutation([0, 0, 1, 1]):
            begun = clock()
            sessions[which].run(None, inputs)
            samples[which].append((clock() - begun) * 1e3)
        for kept, taken in zip(times_ms, samples, strict=True):
            kept.append(min(taken))
    ratios = [a / b for a, b in zip(*times_ms, strict=True)]
    low, high = _interval_of_median(ratios)
    medians = [float(np.median(ms)) for ms in times_ms]
    return PairedSpeedup(float(np.median(ratios)), low, high, *medians, len(ratios))
