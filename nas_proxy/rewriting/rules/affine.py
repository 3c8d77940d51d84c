"""Scales and shifts of channels, taken into the linear operator beside them."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from nas_proxy.graph import Constant, Node, TensorGraph
from nas_proxy.rewriting._constants import derive
from nas_proxy.rewriting._edit import Patch
from nas_proxy.rewriting._rule import rule
from nas_proxy.rewriting.rules._patterns import (
    constant,
    conv_attributes,
    convolution,
    ints,
    is_float,
    only_reader,
    per_axis,
    producer,
    scalar,
)  # fmt: skip
from nas_proxy.rewriting.rules.cleaning import split_constant

__all__ = ["conv_batchnorm", "scale_after_linear", "scale_before_linear", "shift_after_linear", "shift_before_linear"]

New = Callable[[], Patch]


@dataclass(frozen=True)
class Linear:
    """A linear operator with constant weights: ``Conv``, ``MatMul`` or ``Gemm`` (not scaled, A not transposed).

    ``out_axis`` and ``in_axis`` are the weight's axes of output and input channels, ``axis`` that of the result's.
    """

    node: Node
    weight: Constant
    bias: Constant | None
    axis: int
    out_axis: int
    in_axis: int

    @property
    def out(self) -> int:
        """The number of output channels."""
        return self.weight.shape[self.out_axis]


def linear(graph: TensorGraph, node: Node | None) -> Linear | None:
    """The linear operator of a node, or None."""
    if node is None or node.domain not in ("", "ai.onnx"):
        return None
    if node.operator == "Conv":
        conv = convolution(graph, node)
        return Linear(node, conv.weight, conv.bias, 1, 0, 1) if conv else None
    if node.operator not in ("MatMul", "Gemm") or len(graph.values[node.outputs[0]].shape) < 2:
        return None
    weight = constant(graph, node.inputs[1])
    if weight is None or len(weight.shape) != 2 or not is_float(graph, node.inputs[0]):
        return None
    if node.operator == "MatMul":
        return Linear(node, weight, None, -1, 1, 0)
    plain = node.attribute("alpha", 1.0) == 1.0 and node.attribute("beta", 1.0) == 1.0
    if not plain or node.attribute("transA", 0):
        return None
    bias = constant(graph, node.inputs[2]) if len(node.inputs) > 2 and node.inputs[2] else None
    transposed = bool(node.attribute("transB", 0))
    columns = weight.shape[0 if transposed else 1]
    if len(node.inputs) > 2 and node.inputs[2] and (bias is None or bias.shape != (columns,)):
        return None
    return Linear(node, weight, bias, -1, 0 if transposed else 1, 1 if transposed else 0)


def emit_linear(
    patch: Patch, like: Linear, source: str, weight: Constant, bias: Constant | None, makes: str | None,
    shape: Sequence[int] | None = None,
) -> str:  # fmt: skip
    """A linear operator like this one with other weights; a MatMul's bias is an Add."""
    if like.node.operator == "MatMul":
        if bias is None:
            return patch.emit("MatMul", [source, patch.constant(weight)], shape, makes=makes)
        out = shape or patch.value(makes or "").shape
        product = patch.emit("MatMul", [source, patch.constant(weight)], out)
        return patch.emit("Add", [product, patch.constant(bias)], out, makes=makes)
    inputs = [source, patch.constant(weight)] + ([patch.constant(bias)] if bias is not None else [])
    return patch.emit(like.node.operator, inputs, shape, makes=makes, **like.node.attributes)


def _scale_and_shift(graph: TensorGraph, node: Node) -> tuple[Constant, Constant] | None:
    """A batch normalisation with constant statistics as a factor and an offset of each channel."""
    numbers = [constant(graph, name) for name in node.inputs[1:5]]
    if None in numbers or node.attribute("training_mode", 0) or len(node.makes) > 1:
        return None
    stated: dict[str, Any] = {"epsilon": float(node.attribute("epsilon", 1e-5))}
    scale, shift, mean, variance = (n for n in numbers if n is not None)
    factor = derive(_bn_factor, scale, variance, shape=scale.shape, **stated)
    return factor, derive(_bn_offset, scale, shift, mean, variance, shape=scale.shape, **stated)


@rule("conv-batchnorm", "BatchNormalization", "a batch normalisation less", radius=2)
def conv_batchnorm(graph: TensorGraph, node: Node, new: New) -> Iterator[Patch]:
    """A batch normalisation after a linear operator is in its weights."""
    before, found = linear(graph, producer(graph, node.inputs[0])), _scale_and_shift(graph, node)
    if before is None or found is None:
        return
    if before.node.operator == "MatMul" or not only_reader(graph, node.inputs[0]):
        return
    factor, offset = found
    patch = new()
    bias = offset if before.bias is None else derive(_scale_add, before.bias, factor, offset, shape=factor.shape)
    emit_linear(patch, before, before.node.inputs[0], _scaled(before, factor, before.out_axis), bias, node.outputs[0])
    yield patch


@rule("batchnorm-as-scale", "BatchNormalization", "a scale that can move on", radius=1)
def batchnorm_as_scale(graph: TensorGraph, node: Node, new: New) -> Iterator[Patch]:
    """A batch normalisation is a scale and a shift of each channel."""
    found = _scale_and_shift(graph, node)
    if found is None:
        return
    factor, offset = found
    out = graph.values[node.outputs[0]]
    shape = (factor.shape[0], *(1 for _ in out.shape[2:]))
    patch = new()
    scaled = patch.emit(
        "Mul", [node.inputs[0], patch.constant(derive(_reshape, factor, shape=shape, to=shape))], out.shape
    )
    shifted = patch.constant(derive(_reshape, offset, shape=shape, to=shape))
    patch.emit("Add", [scaled, shifted], makes=out.name)
    yield patch


def _constant_after(graph: TensorGraph, node: Node) -> tuple[Linear, Constant] | None:
    """The linear operator whose result ``node`` combines with a constant of one number per output channel, and that."""
    found = split_constant(graph, node)
    if found is None or (node.operator in ("Div", "Sub") and found[0] != node.inputs[0]):
        return None
    x, c = found
    before, value = linear(graph, producer(graph, x)), graph.values[c]
    out = graph.values[node.outputs[0]].shape
    if before is None or value.constant is None or not only_reader(graph, x) or out != graph.values[x].shape:
        return None
    return (before, value.constant) if per_axis(value.shape, out, before.axis) else None


@rule("scale-after-linear", "Mul Div", "a multiplication less", radius=2)
def scale_after_linear(graph: TensorGraph, node: Node, new: New) -> Iterator[Patch]:
    """A constant factor of each output channel is in the weights, and in the bias."""
    found = _constant_after(graph, node)
    if found is None:
        return
    before, value = found
    recipe = _vector if node.operator == "Mul" else _inverse_vector
    factor = derive(recipe, value, shape=(before.out,), size=before.out)
    bias = before.bias and derive(_multiply, before.bias, factor, shape=(before.out,))
    patch = new()
    emit_linear(patch, before, before.node.inputs[0], _scaled(before, factor, before.out_axis), bias, node.outputs[0])
    yield patch


@rule("shift-after-linear", "Add Sub", "an addition less", radius=2)
def shift_after_linear(graph: TensorGraph, node: Node, new: New) -> Iterator[Patch]:
    """A constant added to each output channel of a convolution is its bias; a product and a bias are a Gemm."""
    found = _constant_after(graph, node)
    if found is None:
        return
    before, value = found
    if before.node.operator == "MatMul" and len(graph.values[node.outputs[0]].shape) != 2:
        return
    sign = 1 if node.operator == "Add" else -1
    shift = derive(_signed_vector, value, shape=(before.out,), size=before.out, sign=sign)
    bias = shift if before.bias is None else derive(_add, before.bias, shift, shape=(before.out,))
    patch = new()
    if before.node.operator == "MatMul":
        inputs = [before.node.inputs[0], patch.constant(before.weight), patch.constant(bias)]
        patch.emit("Gemm", inputs, makes=node.outputs[0], alpha=1.0, beta=1.0, transA=0, transB=0)
    else:
        emit_linear(patch, before, before.node.inputs[0], before.weight, bias, node.outputs[0])
    yield patch


def _constant_before(graph: TensorGraph, node: Node, operator: str) -> tuple[Linear, str, Constant] | None:
    """``node`` as a linear operator, what ``operator`` combines with a constant before it, and that constant as one
    number per input channel; None where ``node`` is no such operator or something else reads what it reads."""
    after, before = linear(graph, node), producer(graph, node.inputs[0], operator)
    found = split_constant(graph, before) if before is not None else None
    if after is None or found is None or not only_reader(graph, node.inputs[0]):
        return None
    x, c = found
    value, shape = graph.values[c], graph.values[x].shape
    if value.constant is None or shape != graph.values[node.inputs[0]].shape:
        return None
    if not per_axis(value.shape, shape, after.axis):
        return None
    channels = shape[after.axis]
    return after, x, derive(_vector, value.constant, shape=(channels,), size=channels)


@rule("scale-before-linear", "Conv MatMul Gemm", "a multiplication less", radius=2)
def scale_before_linear(graph: TensorGraph, node: Node, new: New) -> Iterator[Patch]:
    """A constant factor of each input channel is in the weights."""
    found = _constant_before(graph, node, "Mul")
    if found is None:
        return
    after, x, factor = found
    patch = new()
    group = int(node.attribute("group", 1)) if node.operator == "Conv" else 1
    weight = derive(_scale_inputs, after.weight, factor, shape=after.weight.shape, axis=after.in_axis, group=group)
    emit_linear(patch, after, x, weight, after.bias, node.outputs[0])
    yield patch


@rule("shift-before-linear", "Conv MatMul Gemm", "an addition less", radius=2)
def shift_before_linear(graph: TensorGraph, node: Node, new: New) -> Iterator[Patch]:
    """A constant added to each input channel is in the bias, where no padding of zeros comes between."""
    found, conv = _constant_before(graph, node, "Add"), convolution(graph, node)
    if found is None or (conv is not None and (any(conv.pads) or conv.group != 1)):
        return
    after, x, shift = found
    offset = derive(_through, after.weight, shift, shape=(after.out,), axis=after.in_axis)
    bias = offset if after.bias is None else derive(_add, after.bias, offset, shape=(after.out,))
    patch = new()
    emit_linear(patch, after, x, after.weight, bias, node.outputs[0])
    yield patch


@rule("pad-into-window", "Conv AveragePool", "a padding less", radius=2)
def pad_into_window(graph: TensorGraph, node: Node, new: New) -> Iterator[Patch]:
    """Zeros padded around an image before a convolution, or an average that counts them, are the operator's own."""
    pad = producer(graph, node.inputs[0], "Pad")
    rank = len(graph.values[node.inputs[0]].shape)
    mode = pad.attribute("mode", "constant") if pad is not None else ""
    if pad is None or mode not in ("constant", b"constant") or rank != 4:
        return
    source, value, axes = pad.inputs[0], pad.inputs[2:3], pad.inputs[3:]
    if any(axes) or (any(value) and scalar(graph, value[0]) != 0.0):
        return
    held = ints(graph, pad, "pads", 1)
    auto = node.attribute("auto_pad", "NOTSET")
    if held is None or auto not in ("NOTSET", b"NOTSET", "") or node.attribute("ceil_mode", 0):
        return
    amounts = list(held)
    own = tuple(node.attribute("pads", (0,) * 4))
    if len(amounts) != 8 or min(amounts) < 0 or any(amounts[0:2] + amounts[4:6]):
        return
    if node.operator == "AveragePool" and any(own) and not node.attribute("count_include_pad", 0):
        return
    extra = {"count_include_pad": 1} if node.operator == "AveragePool" else {}
    pads = tuple(a + b for a, b in zip(own, amounts[2:4] + amounts[6:8], strict=True))
    kernel = list(node.attribute("kernel_shape", ())) * 2
    if node.operator == "AveragePool" and any(p >= k for p, k in zip(pads, kernel, strict=True)):
        return  # runtimes refuse windows of padding alone
    patch = new()
    attributes = {**node.attributes, **extra, "pads": pads}
    patch.emit(node.operator, [source, *node.inputs[1:]], makes=node.outputs[0], **attributes)
    yield patch


@rule("conv-of-conv", "Conv", "a convolution less", radius=2)
def conv_of_conv(graph: TensorGraph, node: Node, new: New) -> Iterator[Patch]:
    """Two convolutions in a row, one of them of single pixels, are one with the product of their weights."""
    second = convolution(graph, node)
    first = convolution(graph, producer(graph, node.inputs[0], "Conv"))
    if first is None or second is None or first.group != 1 or second.group != 1:
        return
    if not only_reader(graph, node.inputs[0]):
        return
    if not second.is_pointwise and not (first.is_pointwise and (first.bias is None or not any(second.pads))):
        return
    main = first if second.is_pointwise else second
    shape = (second.weight.shape[0], first.weight.shape[1], *main.kernel)
    weight = derive(_compose, second.weight, first.weight, shape=shape)
    bias = second.bias
    if first.bias is not None:
        bias = derive(_through, second.weight, first.bias, shape=shape[:1], axis=1)
        bias = bias if second.bias is None else derive(_add, second.bias, bias, shape=shape[:1])
    patch = new()
    inputs = [first.node.inputs[0], patch.constant(weight)] + ([patch.constant(bias)] if bias is not None else [])
    patch.emit("Conv", inputs, makes=node.outputs[0], **conv_attributes(main))
    yield patch


# -- recipes ---------------------------------------------------------------------------------------------------------


def _scaled(of: Linear, factor: Constant, axis: int) -> Constant:
    return derive(_scale_axis, of.weight, factor, shape=of.weight.shape, axis=axis)


def _scale_axis(weight: np.ndarray, factor: np.ndarray, axis: int) -> np.ndarray:
    return weight * factor.reshape([-1 if i == axis else 1 for i in range(weight.ndim)])


def _scale_inputs(weight: np.ndarray, factor: np.ndarray, axis: int, group: int) -> np.ndarray:
    """Factors of all input channels, applied to weights that hold the channels of their own group only."""
    if group == 1:
        return _scale_axis(weight, factor, axis)
    mine = np.repeat(factor.reshape(group, -1), weight.shape[0] // group, axis=0)
    return weight * mine.reshape(*mine.shape, *(1 for _ in weight.shape[2:]))


def _through(weight: np.ndarray, vector: np.ndarray, axis: int) -> np.ndarray:
    """What a linear operator makes of a tensor that is the same everywhere."""
    summed = weight.sum(axis=tuple(range(2, weight.ndim)))
    return np.tensordot(vector, summed, axes=([0], [axis]))


def _compose(second: np.ndarray, first: np.ndarray) -> np.ndarray:
    """Weights (k, m, ...) after (m, c, ...), one of the two of a 1x1 kernel."""
    if second.shape[2:] == (1, 1):
        return np.tensordot(second[:, :, 0, 0], first, axes=([1], [0]))
    return np.moveaxis(np.tensordot(second, first[:, :, 0, 0], axes=([1], [0])), -1, 1)


def _vector(constant: np.ndarray, size: int) -> np.ndarray:
    return np.broadcast_to(constant.reshape(-1), (size,))


def _inverse_vector(constant: np.ndarray, size: int) -> np.ndarray:
    return 1 / _vector(constant, size)


def _signed_vector(constant: np.ndarray, size: int, sign: int) -> np.ndarray:
    return sign * _vector(constant, size)


def _bn_factor(scale: np.ndarray, variance: np.ndarray, epsilon: float) -> np.ndarray:
    return scale / np.sqrt(variance + epsilon)


def _bn_offset(scale: np.ndarray, shift: np.ndarray, mean: np.ndarray, variance: np.ndarray, epsilon: float):
    return shift - mean * _bn_factor(scale, variance, epsilon)


def _scale_add(bias: np.ndarray, factor: np.ndarray, offset: np.ndarray) -> np.ndarray:
    return bias * factor + offset


def _add(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    return a + b


def _multiply(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    return a * b


def _reshape(a: np.ndarray, to: tuple[int, ...]) -> np.ndarray:
    return a.reshape(to)
