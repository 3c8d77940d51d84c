"""Whether two graphs compute the same: both run on random inputs in float64."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from nas_proxy.errors import InputError
from nas_proxy.graph import Constant, TensorGraph, Value, random_inputs, to_onnx
from nas_proxy.rewriting._constants import evaluate
from nas_proxy.rewriting._edit import Edit, apply

__all__ = ["TOLERANCE", "Verification", "run_float64", "verify", "verify_edit"]

#: Largest relative error of two equal graphs in float64: constants of substitutions are recomputed in float64 too.
TOLERANCE = 1e-10
_FLOATS = {"float16", "bfloat16", "float32"}
_CAST_TO_FLOAT = {1, 10, 16}  # float32, float16, bfloat16 in ONNX's numbers; 11 is float64


@dataclass(frozen=True)
class Verification:
    """``error`` is the largest difference of an output element, over the largest magnitude of its output."""

    error: float
    equal: bool


def verify(before: TensorGraph, after: TensorGraph, *, seed: int = 0, samples: int = 1) -> Verification:
    """Run both graphs on the same random inputs through ONNX's reference evaluator in float64, and compare.

    Raises:
        InputError: the graphs differ in inputs or outputs, or have an operator that the evaluator lacks.
    """
    for part in ("inputs", "outputs"):
        found = getattr(before, part), getattr(after, part)
        if found[0] != found[1]:
            raise InputError(f"graphs to compare must have the same {part}: found {found[0]} and {found[1]}.")
    runs = _evaluator(before), _evaluator(after)
    worst = 0.0
    for sample in range(samples):
        inputs = random_inputs(before, seed + sample, "float64")
        for a, b in zip(runs[0](inputs), runs[1](inputs), strict=True):
            worst = max(worst, relative_error(a, b))
    return Verification(worst, worst <= TOLERANCE)


def verify_edit(graph: TensorGraph, edit: Edit, *, seed: int = 0, after: TensorGraph | None = None) -> Verification:
    """Verify one substitution by running only the nodes it replaces and those that replace them.

    What both read is random; where some of it follows from the rest, the nodes between run too.
    """
    after = after or apply(graph, edit)
    if removed_all(graph, after):
        return Verification(0.0, True)  # dead code: no output changed
    return verify(*region(graph, after, edit), seed=seed)


def region(before: TensorGraph, after: TensorGraph, edit: Edit) -> tuple[TensorGraph, TensorGraph]:
    """The parts of two graphs that an edit makes differ, with the same inputs and outputs."""
    kept = {node.name for node in after.nodes}
    changed = {node.name for node in edit.nodes}
    old = [n for n in before.nodes if n.name not in kept or n.name in changed]
    new = [n for n in after.nodes if n.name in changed]
    gone = {name for node in old for name in node.makes}
    made = {name for node in new for name in node.makes}
    # Values that stand for the same in both graphs, and that the rest of either graph reads.
    outer = gone & made
    outer |= {name for name in edit.renames if name in gone}
    reads = {name for node in (*old, *new) for name in node.reads} | set(edit.renames.values())
    frontier = {
        n for n in reads if n not in gone and n not in made and n in before.values and not before.values[n].is_constant
    }
    frontier, between = _independent(before, frontier)
    inside = {n.name for n in between}
    old_names, new_names = ({n.name for n in nodes} | inside for nodes in (old, new))
    old = [n for n in before.nodes if n.name in old_names]
    new = [n for n in after.nodes if n.name in new_names]
    inputs = tuple(name for name in before.values if name in frontier)
    outputs = tuple(sorted(outer))
    aliases = tuple(edit.renames.get(name, name) for name in outputs)
    first = _part(before, old, inputs, outputs)
    second = _part(after, new, inputs, aliases)
    return first, _with_outputs(second, outputs)


def removed_all(before: TensorGraph, after: TensorGraph) -> bool:
    """Whether the nodes of ``after`` are nodes of ``before``, as they were."""
    names = {node.name: node for node in before.nodes}
    return all(names.get(node.name) is node for node in after.nodes)


def _independent(graph: TensorGraph, frontier: set[str]) -> tuple[set[str], list[Any]]:
    """Frontier values that follow from others are computed: the remaining frontier, and the nodes between."""
    position = {node.name: i for i, node in enumerate(graph.nodes)}
    makers = {name: graph.producers[name] for name in frontier if name in graph.producers}
    if not makers:
        return frontier, []
    # Nothing made before the first of them can follow from one; inputs of the graph are there from the start.
    first = min(position[node.name] for node in makers.values()) if len(makers) == len(frontier) else 0
    below: dict[str, bool] = {}

    def follows(node: Any) -> bool:
        """Whether a node reads, directly or not, a frontier value."""
        stack = [node]
        while stack:
            current = stack[-1]
            if current.name in below:
                stack.pop()
                continue
            before = [graph.producers[n] for n in current.reads if n in graph.producers]
            waiting = [b for b in before if position[b.name] >= first and b.name not in below]
            if waiting:
                stack += waiting
                continue
            below[current.name] = not frontier.isdisjoint(current.reads) or any(below.get(b.name) for b in before)
            stack.pop()
        return below[node.name]

    dependent = {name for name, node in makers.items() if follows(node)}
    if not dependent:
        return frontier, []
    between = {n.name for n in graph.nodes if below.get(n.name)}
    nodes = [n for n in graph.nodes if n.name in between]
    computed = {name for node in nodes for name in node.makes}
    open_reads = {n for node in nodes for n in node.reads if n not in computed and not graph.values[n].is_constant}
    return (frontier - dependent) | open_reads, nodes


def _part(graph: TensorGraph, nodes: list[Any], inputs: tuple[str, ...], outputs: tuple[str, ...]) -> TensorGraph:
    used = {name for node in nodes for name in (*node.reads, *node.makes)} | {*inputs, *outputs}
    values = {
        name: replace(value, constant=None) if name in inputs else value
        for name, value in graph.values.items()
        if name in used
    }
    kept = [n for n in nodes if not set(n.makes) & set(inputs)]
    return replace(graph, nodes=tuple(kept), values=values, inputs=inputs, outputs=outputs)


def _with_outputs(graph: TensorGraph, outputs: tuple[str, ...]) -> TensorGraph:
    """The graph with its outputs under other names."""
    from nas_proxy.graph import Node

    nodes, values = list(graph.nodes), dict(graph.values)
    for old, name in zip(graph.outputs, outputs, strict=True):
        if old != name:
            values[name] = Value(name, values[old].shape, values[old].dtype)
            nodes.append(Node(f"{name}@alias", "Identity", (old,), (name,)))
    return replace(graph, nodes=tuple(nodes), values=values, outputs=outputs)


def run_float64(graph: TensorGraph, inputs: Mapping[str, np.ndarray]) -> list[np.ndarray]:
    """The outputs of a graph, every floating-point step taken in float64."""
    return _evaluator(graph)(inputs)


def relative_error(a: np.ndarray, b: np.ndarray) -> float:
    """Largest difference over largest magnitude; infinite where shapes differ or one alone is not finite."""
    a, b = np.asarray(a), np.asarray(b)
    if a.shape != b.shape or a.dtype.kind != b.dtype.kind:
        return np.inf
    if a.dtype.kind not in "fc":
        return 0.0 if np.array_equal(a, b) else np.inf
    if not a.size:
        return 0.0
    finite = np.isfinite(a)
    if not np.array_equal(finite, np.isfinite(b)) or not np.array_equal(a[~finite], b[~finite], equal_nan=True):
        return np.inf
    scale = np.abs(a[finite]).max(initial=0.0)
    difference = np.abs(a[finite] - b[finite]).max(initial=0.0)
    return float(difference / scale) if scale > 0 else float(difference)


def _evaluator(graph: TensorGraph):
    from onnx.reference import ReferenceEvaluator

    from nas_proxy.rewriting._kernels import KERNELS

    try:
        evaluator = ReferenceEvaluator(to_onnx(_in_float64(graph)), new_ops=KERNELS)  # type: ignore[arg-type]
    except (NotImplementedError, RuntimeError, KeyError, ValueError) as error:
        raise InputError(f"graph {graph.name!r} cannot be verified: {error}") from None

    def run(inputs: Mapping[str, np.ndarray]) -> list[np.ndarray]:
        with np.errstate(all="ignore"):
            return evaluator.run(None, dict(inputs))  # type: ignore[return-value]

    return run


def _in_float64(graph: TensorGraph) -> TensorGraph:
    values = {}
    for name, value in graph.values.items():
        if value.dtype in _FLOATS:
            constant = value.constant and Constant(evaluate(value.constant, "float64"))
            value = Value(name, value.shape, "float64", constant)
        values[name] = value
    nodes = tuple(
        replace(node, attributes={**node.attributes, "to": 11})
        if node.operator == "Cast" and node.attribute("to") in _CAST_TO_FLOAT
        else node
        for node in graph.nodes
    )
    return replace(graph, nodes=nodes, values=values)
