"""Files in, files out: what users meet, good and bad."""

from __future__ import annotations

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper
from typer.testing import CliRunner

from nas_proxy import extensions
from nas_proxy.cli import app
from nas_proxy.devices.paired_speedup import compare_latency
from nas_proxy.errors import InputError
from nas_proxy.graph import TensorGraph, Value, from_onnx, save_onnx
from nas_proxy.graph._builder import GraphBuilder
from nas_proxy.rewriting import Edit, apply, optimising, verify
from nas_proxy.rewriting.costs import PlainCost
from nas_proxy.rewriting.optimising import left_alone, optimise
from nas_proxy.rewriting.planted import planted, transformer


def model_of(nodes, inputs, outputs, initialisers=(), opset=20, **more) -> onnx.ModelProto:
    """A checked model of float32 values; ``inputs`` and ``outputs`` map names to shapes."""
    infos = [
        [helper.make_tensor_value_info(name, TensorProto.FLOAT, shape) for name, shape in group.items()]
        for group in (inputs, outputs)
    ]
    tensors = [helper.make_tensor(n, TensorProto.FLOAT, a.shape, a.astype(np.float32).ravel()) for n, a in initialisers]
    graph = helper.make_graph(list(nodes), "g", *infos, initializer=tensors)
    imports = [helper.make_opsetid("", opset), *(helper.make_opsetid(d, 1) for d in more.get("domains", ()))]
    return helper.make_model(graph, opset_imports=imports, ir_version=9)


def greedily(graph: TensorGraph):
    found = extensions.get("rewriters", "greedy").rewrite(graph, PlainCost(), evaluations=300)
    assert verify(graph, found.graph).equal
    return found


def test_the_command_rewrites_a_file(tmp_path):
    graph = transformer(np.random.default_rng(0), 1, tokens=8, heads=2, size=8, pick=True)
    save_onnx(graph, tmp_path / "in.onnx")
    arguments = ["optimise", str(tmp_path / "in.onnx"), "-o", str(tmp_path / "out.onnx"), "--for", "edge-tpu"]
    result = CliRunner().invoke(app, [*arguments, "--evaluations", "400"])
    assert result.exit_code == 0, result.output
    assert "select-before" in result.output
    assert "float64" in result.output
    after = from_onnx(tmp_path / "out.onnx", simplify=False)
    assert verify(graph, after).error < 1e-6, "its weights are rounded to float32"


def test_on_this_machine_what_is_not_faster_is_not_taken(monkeypatch, tmp_path):
    monkeypatch.setenv("NAS_PROXY_CACHE", str(tmp_path))
    graph = transformer(np.random.default_rng(0), 1, tokens=8, heads=2, size=8, pick=True)
    slower = optimising.PairedSpeedup(0.99, 0.98, 1.0, 1.0, 1.0, 8)
    monkeypatch.setattr("nas_proxy.devices.paired_speedup.compare_latency", lambda *_, **__: slower)
    done = optimise(graph, "host-onnxruntime", rewriter="greedy", evaluations=200)
    assert done.rewritten.graph is graph
    assert "not surely faster" in done.refused


def test_two_graphs_are_timed_in_turn():
    case = planted("token", np.random.default_rng(0), times=3)
    found = extensions.get("rewriters", "learned").rewrite(case.graph, case.cost, evaluations=300)
    result = compare_latency(case.graph, found.graph, seconds=0.2, blocks=4, rounds=3)
    assert result.low <= result.ratio <= result.high
    assert result.rounds == 12


def test_control_flow_is_left_alone():
    body = helper.make_graph(
        [helper.make_node("Add", ["a", "a"], ["b"])],
        "then",
        [],
        [helper.make_tensor_value_info("b", TensorProto.FLOAT, [2])],
    )
    other = helper.make_graph(
        [helper.make_node("Mul", ["a", "a"], ["c"])],
        "else",
        [],
        [helper.make_tensor_value_info("c", TensorProto.FLOAT, [2])],
    )
    nodes = [
        helper.make_node("Relu", ["x"], ["a"]),
        helper.make_node("Relu", ["x"], ["a2"]),
        helper.make_node("ReduceMax", ["x"], ["m"], keepdims=0),
        helper.make_node("Cast", ["m"], ["k"], to=TensorProto.BOOL),
        helper.make_node("If", ["k"], ["y"], then_branch=body, else_branch=other),
        helper.make_node("Add", ["y", "a2"], ["z"]),
    ]
    graph = from_onnx(model_of(nodes, {"x": [2]}, {"z": [2]}), simplify=False)
    found = greedily(graph)
    assert left_alone(graph) == {"If": 1}
    assert found.by_rule == {"common-subexpression": 1}, "the captured Relu stays, the other goes"


def test_unknown_operators_are_left_alone_and_counted():
    nodes = [
        helper.make_node("Identity", ["x"], ["a"]),
        helper.make_node("Secret", ["a"], ["b"], domain="com.example"),
        helper.make_node("Identity", ["b"], ["c"]),
        helper.make_node("Relu", ["c"], ["y"]),
    ]
    model = model_of(nodes, {"x": [1, 4]}, {"y": [1, 4]}, domains=["com.example"])
    model.graph.value_info.append(helper.make_tensor_value_info("b", TensorProto.FLOAT, [1, 4]))
    graph = from_onnx(model, simplify=False)
    found = extensions.get("rewriters", "greedy").rewrite(graph, PlainCost(), evaluations=100)
    assert [node.operator for node in found.graph.nodes] == ["Secret", "Relu"] or found.cost_after == found.cost_before
    assert left_alone(graph) == {"com.example.Secret": 1}


def test_quantised_operators_are_left_alone():
    scale, zero = ("s", np.array(0.1)), helper.make_tensor("z", TensorProto.UINT8, [], [3])
    nodes = [
        helper.make_node("QuantizeLinear", ["x", "s", "z"], ["q"]),
        helper.make_node("DequantizeLinear", ["q", "s", "z"], ["d"]),
        helper.make_node("Mul", ["d", "two"], ["m"]),
        helper.make_node("Mul", ["m", "two"], ["y"]),
    ]
    model = model_of(nodes, {"x": [1, 4]}, {"y": [1, 4]}, [scale, ("two", np.array(2.0))])
    model.graph.initializer.append(zero)
    graph = from_onnx(model, simplify=False)
    found = greedily(graph)
    assert [node.operator for node in found.graph.nodes] == ["QuantizeLinear", "DequantizeLinear", "Mul"]
    assert left_alone(graph) == {"QuantizeLinear": 1, "DequantizeLinear": 1}


def test_a_dynamic_shape_is_named():
    model = model_of([helper.make_node("Relu", ["x"], ["y"])], {"x": ["n", 3]}, {"y": ["n", 3]})
    with pytest.raises(InputError, match=r"leaves dimension 0 .* open"):
        from_onnx(model)


def test_an_old_opset_is_named():
    graph = from_onnx(model_of([helper.make_node("Relu", ["x"], ["y"])], {"x": [2]}, {"y": [2]}, opset=11))
    with pytest.raises(InputError, match="opset 11"):
        greedily(graph)


def test_one_value_read_twice_and_also_an_output():
    """The same tensor at both sides of a sum, an output that others read, an input that is an output."""
    nodes = [
        helper.make_node("Identity", ["x"], ["a"]),
        helper.make_node("Add", ["a", "a"], ["b"]),
        helper.make_node("Relu", ["b"], ["y"]),
        helper.make_node("Relu", ["b"], ["z"]),
        helper.make_node("Transpose", ["y"], ["t"], perm=[1, 0]),
        helper.make_node("Transpose", ["t"], ["w"], perm=[1, 0]),
    ]
    graph = from_onnx(model_of(nodes, {"x": [2, 3]}, {"y": [2, 3], "z": [2, 3], "w": [2, 3]}), simplify=False)
    found = greedily(graph)
    assert found.graph.outputs == graph.outputs


def test_the_model_itself_is_not_overwritten(tmp_path):
    save_onnx(planted("token", np.random.default_rng(0)).graph, tmp_path / "m.onnx")
    with pytest.raises(InputError, match="choose another file"):
        optimising.rewrite_file(tmp_path / "m.onnx", tmp_path / "m.onnx", "edge-tpu")


def test_a_wrong_rule_is_stopped_before_anything_is_written():
    graph = planted("token", np.random.default_rng(0), times=1).graph
    found = extensions.get("rewriters", "greedy").rewrite(graph, PlainCost(), evaluations=300)
    node = next(n for n in graph.nodes if n.operator == "Gelu")
    wrong = Edit("conv-batchnorm", node.name, (type(node)("w", "Relu", node.inputs, node.outputs),))
    bad = type(found)(apply(graph, wrong), (wrong,), 1.0, 0.5, "ms", 1, "done", "test")
    with pytest.raises(InputError, match="differs by"):
        optimising.verify_path(graph, bad)


def large(n: int) -> TensorGraph:
    b = GraphBuilder()
    b.values["x"] = Value("x", (1, 8), "float32")
    x, zero = "x", b.constant(np.zeros(1, np.float32))
    for i in range(n):
        x = b.emit(*(("Add", [x, zero]) if i % 4 else ("Tanh", [x])), (1, 8), "float32")
    return TensorGraph(tuple(b.nodes), b.values, ("x",), (x,))


def test_ten_thousand_nodes_in_bounded_time():
    graph = large(10_000)
    found = extensions.get("rewriters", "greedy").rewrite(graph, PlainCost(), evaluations=10**6, seconds=3.0)
    assert found.stopped == "seconds"
    assert found.cost_after <= found.cost_before


def test_what_was_found_survives_an_interrupt(monkeypatch):
    graph, calls = large(40), []
    from nas_proxy.rewriting._state import RewriteState

    move = RewriteState.move

    def interrupted(self, edit, priced=None):
        calls.append(edit)
        if len(calls) > 3:
            raise KeyboardInterrupt
        return move(self, edit, priced)

    monkeypatch.setattr(RewriteState, "move", interrupted)
    found = extensions.get("rewriters", "greedy").rewrite(graph, PlainCost(), evaluations=10**4)
    assert found.stopped == "interrupted"
    assert len(found.edits) == 3
    assert found.cost_after < found.cost_before
