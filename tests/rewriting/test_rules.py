"""Rules keep what a network computes."""

from __future__ import annotations

import numpy as np
import pytest
from onnx.reference import ReferenceEvaluator

from nas_proxy import extensions
from nas_proxy.errors import InputError, UnknownNameError
from nas_proxy.graph import TensorGraph, Value, random_inputs, to_onnx
from nas_proxy.graph._builder import GraphBuilder
from nas_proxy.rewriting import Edit, apply, structural_hash, verify, verify_edit
from nas_proxy.rewriting._verify import _in_float64, run_float64
from nas_proxy.rewriting.synthetic import random_graph, random_images
from nas_proxy.testing.rules import CHECKS


def slices_of_slices() -> TensorGraph:
    b = GraphBuilder()
    b.values["x"] = Value("x", (1, 8, 3), "float32")
    first = b.emit("Slice", ["x", b.ints([1]), b.ints([7]), b.ints([1])], (1, 6, 3), "float32")
    second = b.emit("Slice", [first, b.ints([-4]), b.ints([-1]), b.ints([-2])], (1, 3, 3), "float32")
    return TensorGraph(tuple(b.nodes), b.values, ("x",), (second,))


@pytest.mark.parametrize("check", CHECKS)
@pytest.mark.parametrize("name", [rule.name for rule in extensions.every("rules")])
def test_every_rule(name, check):
    check(extensions.get("rules", name), graphs=[slices_of_slices()] if name == "shared-selection" else [])


def test_there_are_more_than_twenty_rules():
    assert len(extensions.every("rules")) >= 20


@pytest.mark.parametrize("seed", range(12))
def test_random_walks_keep_the_result(seed):
    """Rules one after the other, whatever they make of each other's work."""
    rng = np.random.default_rng(1000 + seed)
    graph = start = random_graph(rng, 10)
    for _ in range(6):
        edits = [edit for rule in extensions.every("rules") for node in graph.nodes for edit in rule.edits(graph, node)]
        if not edits:
            break
        graph = apply(graph, edits[int(rng.integers(len(edits)))])
    assert verify(start, graph).equal


def test_an_unknown_rule_is_named():
    with pytest.raises(UnknownNameError, match="conv-batchnorm"):
        extensions.get("rules", "conv-batchnrom")


def test_a_wrong_substitution_is_found():
    graph = random_graph(np.random.default_rng(3), 30)
    node = next(n for n in graph.nodes if n.operator in ("Relu", "Tanh"))
    wrong = Edit("wrong", node.name, (type(node)("y", "Sigmoid", node.inputs, node.outputs),))
    assert not verify_edit(graph, wrong).equal
    assert not verify(graph, apply(graph, wrong)).equal


def test_graphs_of_other_inputs_are_not_compared():
    a, b = (random_graph(np.random.default_rng(seed), 6) for seed in (0, 1))
    with pytest.raises(InputError, match="must have the same"):
        verify(a, TensorGraph(b.nodes, b.values, b.inputs, b.outputs[:0], b.name))


def test_the_structural_hash_ignores_names_and_sees_weights():
    a, b = (random_graph(np.random.default_rng(5), 8) for _ in range(2))
    assert structural_hash(a) == structural_hash(b)
    assert structural_hash(a) != structural_hash(random_graph(np.random.default_rng(6), 8))


def test_fast_kernels_agree_with_the_reference():
    """Convolution and pooling by torch, in float64, against ONNX's own reference implementation."""
    for seed in range(12):
        graph = random_images(np.random.default_rng(seed), 14)
        inputs = random_inputs(graph, 0, "float64")
        exact = ReferenceEvaluator(to_onnx(_in_float64(graph))).run(None, inputs)
        for ours, theirs in zip(run_float64(graph, inputs), exact, strict=True):
            np.testing.assert_allclose(ours, theirs, rtol=1e-10, atol=1e-10)


def test_a_part_is_verified_with_what_joins_its_inputs():
    """What an edit reads may follow from something else it reads, by nodes that it leaves alone."""
    b = GraphBuilder()
    b.values["x"] = Value("x", (2, 3), "float32")
    relu = b.emit("Relu", ["x"], (2, 3), "float32")
    kept = b.emit("Tanh", [relu], (2, 3), "float32")
    twin = b.emit("Tanh", [b.emit("Relu", ["x"], (2, 3), "float32")], (2, 3), "float32")
    out = b.emit("Add", [kept, twin], (2, 3), "float32")
    graph = TensorGraph(tuple(b.nodes), b.values, ("x",), (out,))
    node = graph.producers[out]
    edit = Edit("double", node.name, (type(node)("d", "Add", (kept, kept), (out,)),))
    assert verify_edit(graph, edit).equal
