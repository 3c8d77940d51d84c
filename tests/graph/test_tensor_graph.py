"""The structure itself: order, cycles, equality by content, views."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from nas_proxy.errors import InputError
from nas_proxy.graph import Constant, Node, TensorGraph, Value, sort_nodes


def relu(name: str, reads: str, makes: str) -> Node:
    return Node(name, "Relu", (reads,), (makes,))


def chain(*names: str) -> TensorGraph:
    tensors = ["x", *(f"{name}:0" for name in names)]
    nodes = tuple(relu(name, tensors[i], tensors[i + 1]) for i, name in enumerate(names))
    values = {tensor: Value(tensor, (1, 4), "float32") for tensor in tensors}
    return TensorGraph(nodes, values, ("x",), (tensors[-1],))


def test_producers_consumers_and_networkx():
    graph = chain("a", "b", "c")
    assert graph.producers["b:0"].name == "b"
    assert [node.name for node in graph.consumers["a:0"]] == ["b"]
    pytest.importorskip("networkx", reason="needs the extra draw")
    view = graph.to_networkx()
    assert list(view.edges) == [("a", "b"), ("b", "c")]
    assert view.edges["a", "b"]["values"] == ["a:0"]
    assert view.nodes["a"]["node"] is graph.nodes[0]


def test_constants_are_equal_by_content_not_by_identity():
    a, b = np.arange(6.0).reshape(2, 3), np.arange(6.0).reshape(2, 3)
    assert Constant(a) == Constant(b)
    assert Constant(a) == Constant(np.asfortranarray(b))
    assert Constant(a) != Constant(b.astype(np.float32))
    assert Constant(a) != Constant(b.reshape(3, 2))
    assert Constant(a) != Constant(b + 1)
    assert len({Constant(a), Constant(b)}) == 1


def test_bytes_of_packed_types():
    assert Value("v", (3, 3), "int4").bytes == 5
    assert Value("v", (3,), "bfloat16").bytes == 6
    assert Value("v", (), "float32").bytes == 4


def test_a_cycle_is_named():
    with pytest.raises(InputError, match=r"cycle through node 'a' \(Relu\).*a -> "):
        sort_nodes([relu("a", "c:0", "a:0"), relu("b", "a:0", "b:0"), relu("c", "b:0", "c:0")])


def test_disorder_missing_and_duplicate_values_are_named():
    graph = chain("a", "b")
    with pytest.raises(InputError, match=r"node 'b' .* reads 'a:0' before"):
        TensorGraph(graph.nodes[::-1], graph.values, graph.inputs, graph.outputs)
    with pytest.raises(InputError, match=r"output 'nowhere' .* made by no node"):
        TensorGraph(graph.nodes, graph.values, graph.inputs, ("nowhere",))
    with pytest.raises(InputError, match="makes 'a:0', which exists already"):
        TensorGraph((*graph.nodes, relu("again", "x", "a:0")), graph.values, graph.inputs, graph.outputs)
    with pytest.raises(InputError, match="shape of 'new' is not described"):
        TensorGraph((*graph.nodes, relu("last", "x", "new")), graph.values, graph.inputs, graph.outputs)


@given(st.permutations(range(8)), st.sets(st.tuples(st.integers(0, 7), st.integers(0, 7)), max_size=14))
def test_sorting_any_acyclic_set_of_nodes(order, pairs):
    inputs = {i: tuple(f"{a}:0" for a, b in pairs if b == i and a < b) for i in range(8)}
    nodes = [Node(str(i), "Sum", inputs[i], (f"{i}:0",)) for i in order]
    place = {node.name: i for i, node in enumerate(sort_nodes(nodes))}
    assert len(place) == 8
    assert all(place[name[:-2]] < place[node.name] for node in nodes for name in node.inputs)


def test_a_sorted_order_is_kept():
    nodes = chain(*"abcdef").nodes
    assert sort_nodes(nodes) == nodes
