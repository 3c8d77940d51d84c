"""What acting takes: bytes, memory, operations, energy, and time on this machine."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from nas_proxy.compression._observations import Arrays
from nas_proxy.compression._onnx import Actor, weight_bytes

__all__ = ["ENERGY_MODEL", "Footprint", "Timing", "count_macs", "footprint", "memory_of", "time_in_turns"]

BATCHES = (1, 256)

_MAC_PJ = {"float32": 4.6, "int8": 0.3}
_BYTE_PJ = 12.5
ENERGY_MODEL = (
    f"per decision: {_MAC_PJ['float32']} pJ a float32 and {_MAC_PJ['int8']} pJ an int8 multiply-accumulate (with int32 "
    f"sums), {_BYTE_PJ} pJ a byte of weights, read once from 1 MB of on-chip memory; Horowitz, ISSCC 2014, "
    "45 nm. Neither activations nor a processor's control: a floor for hardware made for it, no measurement"
)


@dataclass(frozen=True)
class Timing:
    """Microseconds of one call: quartiles over many turns, and the 95 % interval of the median."""

    median_us: float
    q25_us: float
    q75_us: float
    low_us: float
    high_us: float


@dataclass(frozen=True)
class Footprint:
    """What a deployed policy takes.

    Attributes:
        file_bytes: of the ONNX file.
        weight_bytes: of the weights in it.
        memory_bytes: what a fresh process that loads onnxruntime grows by (resident) when it takes the policy in and
            acts once; None where the system does not tell (other than Linux).
        macs: multiply-accumulates of one decision on a typical observation; ``int8_macs`` are those in int8.
        energy_nj: an estimate, see :data:`ENERGY_MODEL`.
        batch_1, batch_256: time of one call with one observation, and with 256.
    """

    file_bytes: int
    weight_bytes: int
    memory_bytes: int | None
    macs: int
    int8_macs: int
    energy_nj: float
    batch_1: Timing
    batch_256: Timing


def footprint(actor: Actor, memory_bytes: int | None, macs: tuple[int, int], times: Sequence[Timing]) -> Footprint:
    """Of an actor with ``macs`` (all, those in int8), timed by :func:`time_in_turns`."""
    every, small = macs
    held, _ = weight_bytes(actor.model)
    energy_pj = (every - small) * _MAC_PJ["float32"] + small * _MAC_PJ["int8"] + held * _BYTE_PJ
    return Footprint(len(actor.model), held, memory_bytes, every, small, energy_pj / 1e3, *times)


def count_macs(model: bytes, inputs: Arrays) -> tuple[int, int]:
    """Multiply-accumulates of a float32 file on inputs of these shapes: all, and those of layers with weights."""
    import onnx

    from nas_proxy.graph import annotate, from_onnx

    names = [given.name for given in onnx.load_model_from_string(model).graph.input]
    shapes = {name: array.shape for name, array in zip(names, inputs, strict=False)}
    cost = annotate(from_onnx(model, input_shapes=shapes))
    weighted = ("convolution", "depthwise", "dense", "recurrent")
    return cost.macs, sum(of.macs for kind, of in cost.by_kind.items() if kind in weighted)


def time_in_turns(actors: Sequence[Actor], inputs: Arrays, turns: int = 20) -> list[list[Timing]]:
    """Times of every actor at each of :data:`BATCHES`; actors take turns: a disturbance falls on all of them."""
    from nas_proxy.devices._timing import Clock, Protocol, take_turns

    protocol = Protocol(
        interval=0.02,
        min_turns=turns,
        max_turns=turns,
        min_seconds=0,
        runs_per_turn=2,
        warm_up_runs=1,
        networks_in_turn=len(actors),
    )
    found: list[list[Timing]] = [[] for _ in actors]
    for batch in BATCHES:
        repeated = tuple(np.repeat(array, batch, axis=0) for array in inputs)
        calls = _calls_of(actors[0], repeated, Clock(1))

        def job(actor: Actor, repeated: Arrays = repeated, calls: int = calls):
            def run() -> None:
                for _ in range(calls):
                    actor(*repeated)

            return run

        for index, timed in take_turns([job(actor) for actor in actors], protocol, 1):
            scale = 1e3 / calls
            figures = (timed.latency_ms, timed.q25_ms, timed.q75_ms, timed.low_ms, timed.high_ms)
            found[index].append(Timing(*(scale * figure for figure in figures)))
    return found


def _calls_of(actor: Actor, inputs: Arrays, clock) -> int:
    """As many calls as take about a millisecond: reading the clock must not count."""
    actor(*inputs)
    begin = clock()
    actor(*inputs)
    return max(1, min(100, int(1e-3 / max(clock() - begin, 1e-7))))


def memory_of(actor: Actor, inputs: Arrays) -> int | None:
    """See :class:`Footprint`."""
    given = [[list(array.shape), str(array.dtype)] for array in inputs]
    command = [sys.executable, "-c", _PROGRAM, json.dumps(given)]
    result = subprocess.run(command, input=actor.model, capture_output=True, check=False)
    return int(result.stdout) if result.returncode == 0 else None


_PROGRAM = """
import json, resource, sys
import numpy, onnxruntime

def resident():
    with open("/proc/self/statm") as file:
        return int(file.read().split()[1]) * resource.getpagesize()

model, shapes = sys.stdin.buffer.read(), json.loads(sys.argv[1])
before = resident()
options = onnxruntime.SessionOptions()
options.intra_op_num_threads = options.inter_op_num_threads = 1
session = onnxruntime.InferenceSession(model, options, providers=["CPUExecutionProvider"])
session.run(None, {given.name: numpy.zeros(shape, kind) for given, (shape, kind) in zip(session.get_inputs(), shapes)})
print(resident() - before)
"""
