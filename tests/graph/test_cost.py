"""Costs against numbers worked out by hand."""

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper

from nas_proxy.errors import InputError, UnknownNameError
from nas_proxy.graph import Node, TensorGraph, Value, annotate, from_onnx, register_formula


def one(node: Node, **shapes: tuple[int, ...]) -> TensorGraph:
    values = {name: Value(name, shape, "float32") for name, shape in shapes.items()}
    return TensorGraph((node,), values, tuple(name for name in values if name not in node.outputs), node.outputs)


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
    assert graph.values["y"].shape == (2, 8)
    assert annotation.parameter_bytes == 32
