"""What each operator of a network costs any device: multiply-accumulates, and bytes of parameters and activations."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property
from typing import Literal, get_args

from nas_proxy.errors import InputError, UnknownNameError
from nas_proxy.graph._tensor_graph import Node, TensorGraph, Value

__all__ = ["Annotation", "Kind", "NodeCost", "annotate", "register_formula"]

#: What an operator is to hardware. ``view`` moves nothing (a new shape for the same bytes); ``movement`` does no sums.
Kind = Literal[
    "convolution", "depthwise", "dense", "matmul", "recurrent", "pooling", "reduction", "normalisation", "elementwise",
    "movement", "view",
]  # fmt: skip

#: Multiply-accumulates of a node. Sums and comparisons without a product count as none.
Formula = Callable[[Node, TensorGraph], int]

_PRECISION_BITS = {"int4": 4, "int8": 8, "float16": 16, "bfloat16": 16, "float32": 32, "float64": 64}
_EXACT_TYPES = {"bool", "int32", "int64", "uint32", "uint64", "string"}  # indices and shapes keep their own size

#: Inputs that configure an operator (shapes, axes, bounds): no parameters of the network.
_CONFIGURATION = {
    "Clip": {1, 2}, "ConstantOfShape": {0}, "CumSum": {1}, "Expand": {1}, "Gather": {1}, "GatherElements": {1},
    "GatherND": {1}, "OneHot": {1, 2}, "Pad": {1, 2, 3}, "Range": {0, 1, 2}, "ReduceL1": {1}, "ReduceL2": {1},
    "ReduceMax": {1}, "ReduceMean": {1}, "ReduceMin": {1}, "ReduceProd": {1}, "ReduceSum": {1}, "ReduceSumSquare": {1},
    "Reshape": {1}, "Resize": {1, 2, 3}, "Slice": {1, 2, 3, 4}, "Split": {1}, "Squeeze": {1}, "Tile": {1}, "TopK": {1},
    "Unsqueeze": {1},
}  # fmt: skip


@dataclass(frozen=True)
class NodeCost:
    """Costs of one node. Every tensor it reads or makes is counted once; constants are parameters, not activations."""

    node: Node
    kind: Kind
    macs: int
    parameter_bytes: int
    input_bytes: int
    output_bytes: int


@dataclass(frozen=True)
class Annotation:
    """Costs of a whole network: ``costs`` has one entry a node, in the graph's order."""

    graph: TensorGraph
    precision: str
    costs: tuple[NodeCost, ...]

    @property
    def macs(self) -> int:
        return sum(cost.macs for cost in self.costs)

    @property
    def parameter_bytes(self) -> int:
        """Parameters as operators read them: a tensor that two of them share counts twice."""
        return sum(cost.parameter_bytes for cost in self.costs)

    @cached_property
    def by_kind(self) -> dict[Kind, NodeCost]:
        """Sums by kind of operator, largest MACs first; ``node`` is the first of its kind."""
        sums: dict[Kind, NodeCost] = {}
        for cost in self.costs:
            old = sums.get(cost.kind)
            sums[cost.kind] = cost if old is None else _add(old, cost)
        return dict(sorted(sums.items(), key=lambda item: (-item[1].macs, -item[1].output_bytes)))

    def value_bytes(self, name: str) -> int:
        """Bytes of one tensor at this precision."""
        return _bytes(self.graph.values[name], self.precision)


def annotate(graph: TensorGraph, precision: str = "float32") -> Annotation:
    """Costs of every node at a precision of weights and activations (``int8``, ``float16``, ``float32``, ...).

    Raises:
        UnknownNameError: the precision is not known.
        InputError: operators without a formula; names them all, with a node of each.
    """
    if precision not in _PRECISION_BITS:
        raise UnknownNameError("precision", precision, _PRECISION_BITS)
    unknown: dict[str, list[str]] = {}
    for node in graph.nodes:
        if _qualified(node) not in _formulas:
            unknown.setdefault(_qualified(node), []).append(node.name)
    if unknown:
        listing = "; ".join(
            f"{operator} ({len(names)} node(s), first {names[0]!r})" for operator, names in unknown.items()
        )
        raise InputError(
            f"no cost formula for operator(s): {listing}. Give one with nas_proxy.graph.register_formula("
            f'{next(iter(unknown))!r}, kind="elementwise", macs=lambda node, graph: 0).'
        )
    return Annotation(graph, precision, tuple(_cost(node, graph, precision) for node in graph.nodes))


def register_formula(operator: str, *, kind: Kind, macs: Formula | None = None) -> None:
    """Say what an operator costs.

    Args:
        operator: its ONNX name, with its domain where it has one (``"com.example.Fused"``).
        kind: what it is to hardware.
        macs: its multiply-accumulates from the node and its graph; none where it is left out.

    Raises:
        UnknownNameError: the kind is not known.
    """
    if kind not in get_args(Kind):
        raise UnknownNameError("kind of operator", kind, get_args(Kind))
    _formulas[operator] = (kind, macs)


_formulas: dict[str, tuple[Kind, Formula | None]] = {}


def _cost(node: Node, graph: TensorGraph, precision: str) -> NodeCost:
    kind, formula = _formulas[_qualified(node)]
    if kind == "convolution" and _is_depthwise(node, graph):
        kind = "depthwise"
    if kind == "dense" and not any(graph.values[name].is_constant for name in node.reads):
        kind = "matmul"
    skipped = _CONFIGURATION.get(node.operator, set())
    constants = [graph.values[name] for i, name in enumerate(node.inputs) if name and i not in skipped]
    activations = [graph.values[name] for name in node.reads]
    return NodeCost(
        node=node,
        kind=kind,
        macs=int(formula(node, graph)) if formula is not None else 0,
        parameter_bytes=sum(_bytes(v, precision) for v in constants if v.is_constant and v.shape),
        input_bytes=sum(_bytes(value, precision) for value in activations if not value.is_constant),
        output_bytes=sum(_bytes(graph.values[name], precision) for name in node.makes),
    )


def _add(a: NodeCost, b: NodeCost) -> NodeCost:
    return NodeCost(
        node=a.node,
        kind=a.kind,
        macs=a.macs + b.macs,
        parameter_bytes=a.parameter_bytes + b.parameter_bytes,
        input_bytes=a.input_bytes + b.input_bytes,
        output_bytes=a.output_bytes + b.output_bytes,
    )


def _bytes(value: Value, precision: str) -> int:
    return value.bytes if value.dtype in _EXACT_TYPES else (value.elements * _PRECISION_BITS[precision] + 7) // 8


def _qualified(node: Node) -> str:
    return f"{node.domain}.{node.operator}" if node.domain not in {"", "ai.onnx"} else node.operator


# -- formulas --------------------------------------------------------------------------------------------------------


def _output(node: Node, graph: TensorGraph) -> Value:
    return graph.values[node.makes[0]]


def _conv_weight(node: Node, graph: TensorGraph) -> Value:
    return graph.values[node.inputs[3 if node.operator == "QLinearConv" else 1]]


def _is_depthwise(node: Node, graph: TensorGraph) -> bool:
    return node.attribute("group", 1) > 1 and _conv_weight(node, graph).shape[1] == 1


def _conv(node: Node, graph: TensorGraph) -> int:
    """Each output element is a dot product over (input channels of its group) x kernel."""
    return _output(node, graph).elements * math.prod(_conv_weight(node, graph).shape[1:])


def _conv_transpose(node: Node, graph: TensorGraph) -> int:
    """Each input element is spread over (output channels of its group) x kernel."""
    return graph.values[node.inputs[0]].elements * math.prod(graph.values[node.inputs[1]].shape[1:])


def _matmul(node: Node, graph: TensorGraph) -> int:
    return _output(node, graph).elements * graph.values[node.inputs[0]].shape[-1]


def _gemm(node: Node, graph: TensorGraph) -> int:
    shape = graph.values[node.inputs[0]].shape
    return _output(node, graph).elements * shape[0 if node.attribute("transA", 0) else 1]


def _einsum(node: Node, graph: TensorGraph) -> int:
    """The size of the whole index space, contracted and kept indices alike."""
    terms = str(node.attribute("equation")).replace(" ", "").split("->")[0].split(",")
    if any("." in term for term in terms):
        raise InputError(f"node {node.name!r}: Einsum with an ellipsis has no formula: write its indices out.")
    shapes = [graph.values[name].shape for name in node.inputs]
    sizes = {
        index: size for term, shape in zip(terms, shapes, strict=True) for index, size in zip(term, shape, strict=True)
    }
    return math.prod(sizes.values())


def _recurrent(gates: int) -> Formula:
    def macs(node: Node, graph: TensorGraph) -> int:
        """Per time step and batch element: gates x hidden x (input + hidden), in each direction."""
        steps, batch, features = graph.values[node.inputs[0]].shape
        directions, _, hidden = graph.values[node.inputs[2]].shape
        return steps * batch * directions * gates * hidden * (features + hidden)

    return macs


_KINDS: list[tuple[Kind, Formula | None, str]] = [
    ("convolution", _conv, "Conv ConvInteger QLinearConv"),
    ("convolution", _conv_transpose, "ConvTranspose"),
    ("dense", _matmul, "MatMul MatMulInteger QLinearMatMul"),
    ("dense", _gemm, "Gemm"),
    ("dense", _einsum, "Einsum"),
    ("recurrent", _recurrent(4), "LSTM"),
    ("recurrent", _recurrent(3), "GRU"),
    ("recurrent", _recurrent(1), "RNN"),
    ("pooling", None, "AveragePool GlobalAveragePool GlobalMaxPool LpPool MaxPool"),
    ("reduction", None, """ArgMax ArgMin CumSum ReduceL1 ReduceL2 ReduceLogSumExp ReduceMax ReduceMean ReduceMin
     ReduceProd ReduceSum ReduceSumSquare TopK"""),
    ("normalisation", None, """BatchNormalization GroupNormalization InstanceNormalization LRN LayerNormalization
     LogSoftmax LpNormalization MeanVarianceNormalization RMSNormalization Softmax"""),
    ("elementwise", None, """Abs Add And Cast CastLike Ceil Celu Clip Cos DequantizeLinear Div DynamicQuantizeLinear Elu
     Equal Erf Exp Floor Gelu Greater GreaterOrEqual HardSigmoid HardSwish IsInf IsNaN LeakyRelu Less LessOrEqual Log
     Max Mean Min Mish Mod Mul Neg Not Or PRelu Pow QuantizeLinear Reciprocal Relu Round Selu Sigmoid Sign Sin Softplus
     Softsign Sqrt Sub Sum Swish Tanh ThresholdedRelu Trilu Where Xor"""),
    ("movement", None, """Compress Concat ConstantOfShape DepthToSpace Expand Gather GatherElements GatherND GridSample
     OneHot Pad Range Resize ScatterElements ScatterND Slice SpaceToDepth Split Tile Transpose Upsample"""),
    ("view", None, "Constant Dropout Flatten Identity Reshape Shape Size Squeeze Unsqueeze"),
]  # fmt: skip
for _kind, _formula, _operators in _KINDS:
    for _operator in _operators.split():
        register_formula(_operator, kind=_kind, macs=_formula)
