"""Costs against numbers worked out by hand, and the command that shows them."""

import numpy as np
import onnx
import pytest
import torch
from onnx import TensorProto, helper
from torch import nn
from typer.testing import CliRunner

from nas_proxy.cli import app
from nas_proxy.errors import InputError, UnknownNameError
from nas_proxy.graph import Node, TensorGraph, Value, annotate, from_onnx, from_torch, register_formula, save_onnx


def one(node: Node, **shapes: tuple[int, ...]) -> TensorGraph:
    values = {name: Value(name, shape, "float32") for name, shape in shapes.items()}
    return TensorGraph((node,), values, tuple(name for name in values if name not in node.outputs), node.outputs)


@pytest.mark.parametrize(
    ("module", "shape", "kind", "macs"),
    [
        (nn.Conv2d(16, 32, 3, padding=1, bias=False), (2, 16, 10, 10), "convolution", 2 * 32 * 100 * 16 * 9),
        (nn.Conv2d(16, 32, 3, padding=1, groups=4, bias=False), (1, 16, 10, 10), "convolution", 32 * 100 * 4 * 9),
        (nn.Conv2d(16, 16, 3, stride=2, padding=1, groups=16), (1, 16, 10, 10), "depthwise", 16 * 25 * 9),
        (nn.ConvTranspose2d(8, 4, 2, 2), (1, 8, 5, 5), "convolution", 8 * 25 * 4 * 4),
        (nn.Linear(20, 30, bias=False), (5, 20), "dense", 5 * 20 * 30),
        (nn.Linear(20, 30), (2, 5, 20), "dense", 2 * 5 * 20 * 30),
        (nn.MaxPool2d(2), (1, 4, 8, 8), "pooling", 0),
        (nn.Softmax(-1), (1, 4), "normalisation", 0),
    ],
)
def test_macs_by_hand(module, shape, kind, macs):
    cost = next(c for c in annotate(from_torch(module, shape)).costs if c.kind == kind)
    assert cost.macs == macs


def test_bytes_at_a_precision():
    graph = from_torch(nn.Conv2d(3, 8, 3, padding=1, bias=False), (1, 3, 4, 4))
    for precision, size in [("float32", 4), ("float16", 2), ("int8", 1)]:
        (cost,) = annotate(graph, precision).costs
        assert (cost.parameter_bytes, cost.input_bytes, cost.output_bytes) == (216 * size, 48 * size, 128 * size)
    assert annotate(graph, "int4").parameter_bytes == 108
    with pytest.raises(UnknownNameError, match=r"unknown precision 'int9'. Did you mean 'int8'"):
        annotate(graph, "int9")


def test_a_tensor_read_twice_is_traffic_once():
    (cost,) = annotate(one(Node("square", "Mul", ("x", "x"), ("y",)), x=(1, 8), y=(1, 8))).costs
    assert (cost.input_bytes, cost.output_bytes) == (32, 32)


def test_einsum_and_lstm():
    node = Node("e", "Einsum", ("a", "b"), ("y",), {"equation": "bij, bjk -> bik"})
    assert annotate(one(node, a=(2, 3, 4), b=(2, 4, 5), y=(2, 3, 5))).macs == 2 * 3 * 4 * 5
    node = Node("l", "LSTM", ("x", "w", "r"), ("y",), {"hidden_size": 6})
    assert annotate(one(node, x=(7, 2, 5), w=(1, 24, 5), r=(1, 24, 6), y=(7, 1, 2, 6))).macs == 7 * 2 * 4 * 6 * 11
    node = Node("e", "Einsum", ("a",), ("y",), {"equation": "...i->..."})
    with pytest.raises(InputError, match="node 'e': Einsum with an ellipsis"):
        annotate(one(node, a=(2, 3), y=(2,)))


def test_unknown_operators_are_all_named_and_can_be_registered():
    nodes = (
        Node("n1", "Strange", ("x",), ("h",), domain="my.domain"),
        Node("n2", "Stranger", ("h",), ("y",), domain="my.domain"),
    )
    values = {name: Value(name, (1, 8), "float32") for name in "xhy"}
    graph = TensorGraph(nodes, values, ("x",), ("y",))
    with pytest.raises(InputError, match=r"my.domain.Strange \(1 node\(s\), first 'n1'\); my.domain.Stranger"):
        annotate(graph)
    register_formula("my.domain.Strange", kind="dense", macs=lambda node, graph: 7)
    register_formula("my.domain.Stranger", kind="elementwise")
    assert annotate(graph).macs == 7
    with pytest.raises(UnknownNameError, match="unknown kind of operator 'wise'"):
        register_formula("X", kind="wise")  # type: ignore[arg-type]


def test_inspect_command(tmp_path):
    path = save_onnx(from_torch(nn.Sequential(nn.Conv2d(3, 8, 3), nn.ReLU()), (1, 3, 8, 8)), tmp_path / "m.onnx")
    result = CliRunner().invoke(app, ["inspect", str(path), "--precision", "int8"])
    assert result.exit_code == 0, result.output
    assert "2 operators, 0.0 M MACs" in result.output
    assert "convolution" in result.output
    assert "activations" in result.output
    result = CliRunner().invoke(app, ["inspect", str(tmp_path / "absent.onnx")])
    assert isinstance(result.exception, InputError)


def test_quantised_models_are_costed():
    scale, zero = (
        helper.make_tensor("s", TensorProto.FLOAT, [], [0.1]),
        helper.make_tensor("z", TensorProto.INT8, [], [0]),
    )
    weight = onnx.numpy_helper.from_array(np.ones((8, 4), np.int8), "w")
    nodes = [
        helper.make_node("QuantizeLinear", ["x", "s", "z"], ["q"]),
        helper.make_node("MatMulInteger", ["q", "w2", "z", "z"], ["y"]),
        helper.make_node("Transpose", ["w"], ["w2"]),
    ]
    outputs = [helper.make_tensor_value_info("y", TensorProto.INT32, [2, 8])]
    inputs = [helper.make_tensor_value_info("x", TensorProto.FLOAT, [2, 4])]
    source = helper.make_graph([nodes[0], nodes[2], nodes[1]], "g", inputs, outputs, [scale, zero, weight])
    graph = from_onnx(helper.make_model(source, opset_imports=[helper.make_opsetid("", 20)], ir_version=9))
    annotation = annotate(graph, "int8")
    assert annotation.macs == 2 * 4 * 8
    assert torch.tensor(graph.values["y"].shape).tolist() == [2, 8]
    assert annotation.parameter_bytes == 32
