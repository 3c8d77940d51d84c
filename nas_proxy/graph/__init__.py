"""What a network is to a device: operators, shapes, multiply-accumulates, bytes."""

from nas_proxy.graph._cost import Annotation, Kind, NodeCost, annotate, register_formula
from nas_proxy.graph._inputs import random_inputs
from nas_proxy.graph._onnx_io import from_onnx, parse_shapes, save_onnx, to_onnx
from nas_proxy.graph._tensor_graph import Constant, Node, Subgraph, TensorGraph, Value, sort_nodes
from nas_proxy.graph._torch_trace import from_torch

__all__ = [
    "Annotation",
    "Constant",
    "Kind",
    "Node",
    "NodeCost",
    "Subgraph",
    "TensorGraph",
    "Value",
    "annotate",
    "from_onnx",
    "from_torch",
    "parse_shapes",
    "random_inputs",
    "register_formula",
    "save_onnx",
    "sort_nodes",
    "to_onnx",
]
