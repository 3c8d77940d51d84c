"""What every rewrite rule must satisfy. In your tests::

from nas_proxy.testing.rules import CHECKS

@pytest.mark.parametrize("check", CHECKS)
def test_my_rule(check):
    check(my_rule, graphs=graphs)

``graphs`` are networks in which the rule finds something to do; random ones are always added.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence

import numpy as np

from nas_proxy.graph import TensorGraph, from_onnx, to_onnx
from nas_proxy.rewriting import Edit, Rule, apply, structural_hash, verify, verify_edit
from nas_proxy.rewriting.synthetic import random_graph

__all__ = ["CHECKS", "random_graphs"]

_MOST = 6  # applications of a rule that are verified in one graph


def random_graphs(seeds: Iterable[int]) -> Iterator[TensorGraph]:
    """Small random networks, the same for the same seeds."""
    for seed in seeds:
        rng = np.random.default_rng(seed)
        yield random_graph(rng, int(rng.integers(4, 14)))


def applications(rule: Rule, graphs: Sequence[TensorGraph], seeds: Iterable[int]) -> Iterator[tuple[TensorGraph, Edit]]:
    """Places where a rule applies."""
    for graph in (*graphs, *random_graphs(seeds)):
        found = [edit for node in graph.nodes for edit in rule.edits(graph, node)]
        yield from ((graph, edit) for edit in found[:_MOST])


def check_it_applies(rule: Rule, graphs: Sequence[TensorGraph] = ()) -> None:
    """There is something that it does, on the graphs given or on random ones."""
    assert next(applications(rule, graphs, range(300)), None) is not None, f"{rule.name} never applies"


def check_results_are_equal(rule: Rule, graphs: Sequence[TensorGraph] = ()) -> None:
    """Every application leaves what the network computes, in float64; part by part and as a whole."""
    for graph, edit in applications(rule, graphs, range(30)):
        after = apply(graph, edit)
        whole, part = verify(graph, after), verify_edit(graph, edit, after=after)
        assert whole.equal, f"{edit} in {graph.nodes}: relative error {whole.error:.2g}"
        assert part.equal, f"{edit} in {graph.nodes}: relative error {part.error:.2g} of the part"


def check_shapes_are_right(rule: Rule, graphs: Sequence[TensorGraph] = ()) -> None:
    """Shapes that the rule states are those that ONNX infers, and the model is a valid one."""
    import onnx

    for graph, edit in applications(rule, graphs, range(10)):
        after = apply(graph, edit)
        model = to_onnx(after)
        onnx.checker.check_model(model, full_check=True)
        inferred = from_onnx(model, simplify=False)
        for node in after.nodes:
            for name in node.makes:
                assert inferred.values[name].shape == after.values[name].shape, f"{edit}: {name}"


def check_it_is_deterministic_and_changes_something(rule: Rule, graphs: Sequence[TensorGraph] = ()) -> None:
    """The same graph has the same applications, and none of them gives the graph back."""
    for graph, edit in applications(rule, graphs, range(10)):
        again = [e for node in graph.nodes if node.name == edit.anchor for e in rule.edits(graph, node)]
        assert str(edit) in map(str, again)
        assert structural_hash(apply(graph, edit)) != structural_hash(graph), f"{edit} changes nothing"


def check_it_looks_no_further_than_its_radius(rule: Rule, graphs: Sequence[TensorGraph] = ()) -> None:
    """Nodes that an edit replaces or reads are within ``radius`` edges of its anchor."""
    for graph, edit in applications(rule, graphs, range(10)):
        near = {edit.anchor}
        edges = list(graph.to_networkx().edges)
        shared = [{n.name for n in nodes} for name, nodes in graph.consumers.items()]
        for _ in range(rule.radius):
            grown = {a for a, b in edges if b in near} | {b for a, b in edges if a in near}
            near |= grown.union(*(group for group in shared if group & near))
        touched = {name for node in edit.nodes for name in node.makes} | set(edit.renames)
        for name in touched:
            if name in graph.producers:
                assert graph.producers[name].name in near, f"{edit} changes {name}, beyond radius {rule.radius}"


CHECKS = (
    check_it_applies,
    check_results_are_equal,
    check_shapes_are_right,
    check_it_is_deterministic_and_changes_something,
    check_it_looks_no_further_than_its_radius,
)
