"""From an ONNX model to an equivalent, cheaper one: what ``nas-proxy optimise`` does."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from nas_proxy import extensions
from nas_proxy.devices import Device, get_device
from nas_proxy.devices.paired_speedup import PairedSpeedup
from nas_proxy.errors import InputError
from nas_proxy.graph import Subgraph, TensorGraph, from_onnx, save_onnx
from nas_proxy.rewriting._edit import apply
from nas_proxy.rewriting._structure import structural_hash
from nas_proxy.rewriting._verify import verify_edit
from nas_proxy.rewriting.costs import cost_for, is_cost
from nas_proxy.rewriting.rewriters import Rewriter, Rewritten

__all__ = ["Optimised", "left_alone", "optimise", "rewrite_file", "verify_path"]

_QUANTISED = {"DequantizeLinear", "QuantizeLinear", "DynamicQuantizeLinear"}


@dataclass(frozen=True)
class Optimised:
    """What came of a model.

    Attributes:
        rewritten: the cheapest graph that is proven and, on this machine, measured not to be slower; or the original.
        error: the largest relative error of all substitutions, in float64.
        measured: before and after on this machine, where the target is this machine.
        refused: why a cheaper graph was not taken; empty where it was.
        unknown: operators that no rule touches, by name, and how many nodes there are of each.
    """

    rewritten: Rewritten
    error: float
    measured: PairedSpeedup | None
    refused: str
    unknown: dict[str, int]


def optimise(
    graph: TensorGraph,
    target: str | Path = "host-onnxruntime",
    *,
    rewriter: str | Rewriter = "learned",
    evaluations: int = 2000,
    seconds: float | None = None,
    seed: int = 0,
    measure_seconds: float = 20.0,
) -> Optimised:
    """Find a cheaper equivalent of a network for a device, prove every step, and measure it where that is possible.

    Raises:
        UnknownNameError: no such device, rewriter or option of it; the message names the closest.
        InputError: a device that graphs cannot be priced on, or a graph of too old an opset.
    """
    device = None if isinstance(target, str) and is_cost(target) else get_device(target)
    cost = cost_for(target if device is None else device)
    limits = {"evaluations": evaluations, "seconds": seconds, "seed": seed}
    chosen: Rewriter = extensions.get("rewriters", rewriter)
    found = chosen.rewrite(graph, cost, **limits)
    unknown, refused, measured = left_alone(graph), "", None
    if device is not None and device.timed:
        candidates = [found]
        if chosen.name != "greedy":  # operators' times are a model too: what little greedy changes may be the faster
            candidates.append(extensions.get("rewriters", "greedy").rewrite(graph, cost, **limits))
        cost.save()
        found, measured, refused = _fastest(device, graph, candidates, measure_seconds)
    return Optimised(found, verify_path(graph, found), measured, refused, unknown)


def _fastest(
    device: Device, graph: TensorGraph, candidates: Sequence[Rewritten], seconds: float
) -> tuple[Rewritten, PairedSpeedup | None, str]:
    """The candidate that measures fastest, or the original where none is surely faster, and what was measured."""
    changed = {structural_hash(found.graph): found for found in reversed(candidates) if found.edits}
    if not changed:
        return candidates[0], None, ""
    share_s = seconds / len(changed)
    compared = [(device.compare(graph, found.graph, seconds=share_s), found) for found in changed.values()]
    timed = [(pair, found) for pair, found in compared if pair is not None]
    if not timed:
        return candidates[0], None, ""
    measured, found = max(timed, key=lambda pair: pair[0].low)
    if measured.low > 1.0:
        return found, measured, ""
    kept = replace(candidates[0], graph=graph, edits=(), cost_after=candidates[0].cost_before)
    return kept, measured, f"measured, it is not surely faster: {measured}"


def verify_path(graph: TensorGraph, found: Rewritten) -> float:
    """The largest relative error, in float64, of the substitutions that led to a graph, each verified by itself.

    Raises:
        InputError: a substitution is wrong; a bug of its rule.
    """
    worst = 0.0
    for edit in found.edits:
        after = apply(graph, edit)
        result = verify_edit(graph, edit, after=after)
        if not result.equal:
            raise InputError(
                f"{edit}: the result differs by {result.error:.2g} in float64. Please report the model; leave the rule "
                f"{edit.rule!r} out meanwhile."
            )
        worst, graph = max(worst, result.error), after
    return worst


def left_alone(graph: TensorGraph) -> dict[str, int]:
    """Operators that no rule understands: of other domains, with control flow, or quantised; and how many of each."""
    names = [
        f"{node.domain}.{node.operator}" if node.domain not in ("", "ai.onnx") else node.operator
        for node in graph.nodes
        if node.domain not in ("", "ai.onnx")
        or node.operator in _QUANTISED
        or any(isinstance(value, Subgraph) for value in node.attributes.values())
    ]
    return dict(Counter(names).most_common())


def rewrite_file(
    model: Path,
    output: Path,
    target: str,
    *,
    batch: int | None = None,
    input_shapes: Mapping[str, Sequence[int]] | None = None,
    **options,
) -> Optimised:
    """:func:`optimise` a file and write the result to another.

    Args:
        batch, input_shapes: of inputs that the file leaves open, see :func:`nas_proxy.graph.from_onnx`.

    Raises:
        InputError: the file cannot be read as a model, or ``output`` is the model itself.
    """
    if output.resolve() == model.resolve():
        raise InputError(f"{output} is the model itself: choose another file for the result.")
    done = optimise(from_onnx(model, batch=batch, input_shapes=input_shapes), target, **options)
    save_onnx(done.rewritten.graph, output)
    return done
