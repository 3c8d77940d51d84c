"""Preconditions that rules share."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from nas_proxy.graph import Constant, Node, TensorGraph

__all__ = [
    "FLOATS",
    "Convolution",
    "constant",
    "convolution",
    "is_float",
    "is_free",
    "only_reader",
    "per_axis",
    "producer",
    "scalar",
    "varying",
]

FLOATS = ("float32", "float64", "float16")

#: Functions of single elements that commute with anything that only moves elements.
UNARY = {
    "Abs", "Ceil", "Celu", "Cos", "Elu", "Erf", "Exp", "Floor", "Gelu", "HardSigmoid", "HardSwish", "LeakyRelu", "Log",
    "Mish", "Neg", "Not", "Reciprocal", "Relu", "Round", "Selu", "Sigmoid", "Sign", "Sin", "Softplus", "Softsign",
    "Sqrt", "Tanh", "ThresholdedRelu",
}  # fmt: skip
BINARY = {"Add", "Sub", "Mul", "Div", "Pow", "Min", "Max"}


def is_float(graph: TensorGraph, name: str) -> bool:
    """Whether a value is of a floating type."""
    return graph.values[name].dtype in FLOATS


def constant(graph: TensorGraph, name: str) -> Constant | None:
    """The constant of this name, None for other values and absent inputs."""
    value = graph.values.get(name)
    return value.constant if value is not None else None


def producer(graph: TensorGraph, name: str, *operators: str) -> Node | None:
    """The node that makes a value, if it is one of these operators of ONNX's own domain."""
    node = graph.producers.get(name)
    if node is None or node.domain not in ("", "ai.onnx") or (operators and node.operator not in operators):
        return None
    return node


def is_free(graph: TensorGraph, name: str) -> bool:
    """Whether a value may go: it is no output of the graph, and no control flow captures it."""
    from nas_proxy.rewriting._edit import is_captured

    return name not in graph.outputs and name not in graph.inputs and not is_captured(graph, name)


def only_reader(graph: TensorGraph, name: str) -> bool:
    """Whether one node reads a value, and nothing else needs it."""
    return is_free(graph, name) and len(graph.consumers.get(name, ())) == 1


def varying(graph: TensorGraph, node: Node) -> list[str]:
    """The inputs that are not constant."""
    return [name for name in node.inputs if name and not graph.values[name].is_constant]


def scalar(graph: TensorGraph, name: str) -> float | None:
    """The number in a floating-point constant of one element."""
    found = constant(graph, name)
    if found is None or graph.values[name].elements != 1 or not is_float(graph, name):
        return None
    return float(found.array.reshape(()))


def per_axis(shape: Sequence[int], of: Sequence[int], axis: int) -> bool:
    """Whether a constant of this shape, broadcast against a tensor of shape ``of``, varies along ``axis`` alone."""
    if len(shape) > len(of):
        return False
    axis %= len(of)
    padded = (1,) * (len(of) - len(shape)) + tuple(shape)
    return all(size in (1, of[i]) if i == axis else size == 1 for i, size in enumerate(padded))


@dataclass(frozen=True)
class Convolution:
    """A convolution of two spatial dimensions with constant weights (of shape (k, c, r, s))."""

    node: Node
    weight: Constant
    bias: Constant | None
    group: int
    strides: tuple[int, int]
    pads: tuple[int, int, int, int]  # top, left, bottom, right
    dilations: tuple[int, int]

    @property
    def kernel(self) -> tuple[int, int]:
        """Rows and columns of the window."""
        return self.weight.shape[2], self.weight.shape[3]

    @property
    def is_pointwise(self) -> bool:
        """1x1, no stride, no padding, one group: a linear map of channels."""
        return self.kernel == (1, 1) and self.strides == (1, 1) and not any(self.pads) and self.group == 1

    @property
    def geometry(self) -> tuple:
        """What two convolutions of one input must share to be merged."""
        return self.kernel, self.strides, self.pads, self.dilations


def convolution(graph: TensorGraph, node: Node | None) -> Convolution | None:
    """A convolution node with its geometry spelled out; None for any other node, or weights that are not constant."""
    if node is None or node.operator != "Conv" or node.domain not in ("", "ai.onnx"):
        return None
    weight, bias = constant(graph, node.inputs[1]), None
    if weight is None or len(weight.shape) != 4 or not is_float(graph, node.inputs[1]):
        return None
    if len(node.inputs) > 2 and node.inputs[2]:
        bias = constant(graph, node.inputs[2])
        if bias is None:
            return None
    strides, dilations = _two(node.attribute("strides", (1, 1))), _two(node.attribute("dilations", (1, 1)))
    pads = window_pads(graph, node, weight.shape[2:], strides, dilations)
    group = int(node.attribute("group", 1))
    return None if pads is None else Convolution(node, weight, bias, group, strides, pads, dilations)


def window_pads(
    graph: TensorGraph,
    node: Node,
    kernel: Sequence[int],
    strides: Sequence[int],
    dilations: Sequence[int],
) -> tuple[int, int, int, int] | None:
    """Padding of a convolution or pooling of two dimensions, ``auto_pad`` worked out."""
    auto = node.attribute("auto_pad", "NOTSET")
    auto = auto.decode() if isinstance(auto, bytes) else auto
    if auto in ("NOTSET", ""):
        pads = tuple(int(p) for p in node.attribute("pads", (0, 0, 0, 0)))
        return pads if len(pads) == 4 else None  # type: ignore[return-value]
    if auto == "VALID":
        return 0, 0, 0, 0
    before, after = [], []
    sizes = zip(graph.values[node.inputs[0]].shape[2:], kernel, strides, dilations, strict=True)
    for size, k, stride, dilation in sizes:
        total = max((-(-size // stride) - 1) * stride + (k - 1) * dilation + 1 - size, 0)
        small, large = total // 2, total - total // 2
        before.append(small if auto == "SAME_UPPER" else large)
        after.append(large if auto == "SAME_UPPER" else small)
    return before[0], before[1], after[0], after[1]


def _two(values: Sequence[int]) -> tuple[int, int]:
    return int(values[0]), int(values[1])


def conv_attributes(conv: Convolution, **changes) -> dict:
    """Attributes of a convolution node, with some changed."""
    found = {
        "dilations": conv.dilations, "group": conv.group, "kernel_shape": conv.kernel, "pads": conv.pads,
        "strides": conv.strides,
    }  # fmt: skip
    return found | changes


def ints(graph: TensorGraph, node: Node, attribute: str, index: int) -> tuple[int, ...] | None:
    """Integers that an operator takes as an attribute in old opsets and as a constant input in new ones."""
    if (found := node.attribute(attribute)) is not None:
        return tuple(int(v) for v in (found if isinstance(found, tuple | list) else (found,)))
    name = node.inputs[index] if len(node.inputs) > index else ""
    held = constant(graph, name)
    return tuple(int(v) for v in np.ravel(held.array)) if held is not None else None
