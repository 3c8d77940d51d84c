"""TASO's rule file: read, doubted, admitted, applied."""

from __future__ import annotations

import numpy as np
import pytest

from nas_proxy.errors import InputError
from nas_proxy.graph import TensorGraph, Value
from nas_proxy.graph._builder import GraphBuilder
from nas_proxy.rewriting import apply, verify
from nas_proxy.rewriting.taso import _message, admit, read_patterns, taso_rules

ADD, CONCAT, CONV, ENLARGE, MATMUL, RELU, SPLIT = 16, 12, 3, 20, 18, 8, 13


def operator(type_: int, *inputs: tuple[int, int], **parameters: int) -> dict:
    given = [{"key": int(key[1:]), "value": value} for key, value in parameters.items()]
    return {"type": type_, "input": [{"opId": op, "tsId": out} for op, out in inputs], "para": given}


def conv(x: tuple[int, int], w: tuple[int, int], activation: int = 0) -> dict:
    return operator(CONV, x, w, k6=1, k7=1, k8=0, k9=activation)


def concat(axis: int, rank: int, *inputs: tuple[int, int]) -> dict:
    return operator(CONCAT, *inputs, k11=axis, k10=rank)


X, Y, W, V = (-1, 0), (-2, 0), (-3, 0), (-4, 0)
#: (source, target, outputs): conv + relu twice as one; a product of a sum; the same, wrong; enlarge and merge.
RULES = [
    ([conv(X, W, 2), conv(X, V, 2)],
     [concat(0, 4, W, V), conv(X, (0, 0), 2), operator(SPLIT, (1, 0), k11=1, k2=2)],
     [(0, 2, 0, 0), (1, 2, 0, 1)]),
    ([operator(MATMUL, X, W, k9=0), operator(MATMUL, Y, W, k9=0), operator(ADD, (0, 0), (1, 0))],
     [operator(ADD, X, Y), operator(MATMUL, (0, 0), W, k9=0)], [(2, 1, 0, 0)]),
    ([operator(MATMUL, X, W, k9=0), operator(RELU, (0, 0))],
     [operator(RELU, X), operator(MATMUL, (0, 0), W, k9=0)], [(1, 1, 0, 0)]),
    ([conv(X, W), conv(X, V)],
     [operator(ENLARGE, W, V), concat(0, 4, (0, 0), V), conv(X, (1, 0)), operator(SPLIT, (2, 0), k11=1, k2=2)],
     [(0, 3, 0, 0), (1, 3, 0, 1)]),
    ([operator(77, X)], [operator(RELU, X)], [(0, 0, 0, 0)]),
]  # fmt: skip


@pytest.fixture
def file(tmp_path):
    collection = _message("RuleCollection")()
    for source, target, outputs in RULES:
        mapped = [dict(zip(("srcOpId", "dstOpId", "srcTsId", "dstTsId"), m, strict=True)) for m in outputs]
        collection.rule.add(srcOp=source, dstOp=target, mappedOutput=mapped)
    path = tmp_path / "graph_subst.pb"
    path.write_bytes(collection.SerializeToString())
    return path


def test_a_rule_is_admitted_only_if_it_holds(file):
    patterns = read_patterns(file)
    assert [p.name for p in patterns] == ["taso-0", "taso-1", "taso-2", "taso-3"], "the unknown operator is left out"
    assert [admit(p) for p in patterns] == [True, True, False, True]
    assert [rule.name for rule in taso_rules(file)] == ["taso-0", "taso-1", "taso-3"]


def branches(kernels: tuple[int, int], *, activation: bool) -> TensorGraph:
    b, rng = GraphBuilder(), np.random.default_rng(0)
    b.values["x"] = Value("x", (1, 3, 6, 6), "float32")
    outs = []
    for kernel, k in zip(kernels, (2, 5), strict=True):
        w = b.constant(rng.standard_normal((k, 3, kernel, kernel)).astype(np.float32))
        attributes = {"kernel_shape": (kernel,) * 2, "pads": (kernel // 2,) * 4, "strides": (1, 1)}
        made = b.emit("Conv", ["x", w], (1, k, 6, 6), "float32", dilations=(1, 1), group=1, **attributes)
        outs.append(b.emit("Relu", [made], (1, k, 6, 6), "float32") if activation else made)
    return TensorGraph(tuple(b.nodes), b.values, ("x",), tuple(outs))


@pytest.mark.parametrize(("name", "graph"), [("taso-0", branches((3, 3), activation=True)),
                                             ("taso-3", branches((1, 3), activation=False))])  # fmt: skip
def test_an_admitted_rule_applies(file, name, graph):
    rule = next(rule for rule in taso_rules(file) if rule.name == name)
    edits = [edit for node in graph.nodes for edit in rule.edits(graph, node)]
    assert edits
    for edit in edits:
        assert verify(graph, apply(graph, edit)).equal


def test_another_stride_does_not_match(file):
    graph = branches((3, 3), activation=True)
    nodes = tuple(
        type(n)(n.name, n.operator, n.inputs, n.outputs, {**n.attributes, "strides": (2, 2)})
        if n.operator == "Conv"
        else n
        for n in graph.nodes
    )
    other = TensorGraph(nodes, graph.values, graph.inputs, graph.outputs)
    assert not [e for rule in taso_rules(file) for n in other.nodes for e in rule.edits(other, n)]


def test_bad_files_are_named(tmp_path):
    with pytest.raises(InputError, match="no such file"):
        read_patterns(tmp_path / "none.pb")
    (tmp_path / "bad.pb").write_bytes(b"\xff\xff\xff")
    with pytest.raises(InputError, match="not a file of TASO's rules"):
        read_patterns(tmp_path / "bad.pb")
    (tmp_path / "empty.pb").write_bytes(b"")
    with pytest.raises(InputError, match="holds no rules"):
        read_patterns(tmp_path / "empty.pb")
