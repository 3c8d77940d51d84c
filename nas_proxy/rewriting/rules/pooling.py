"""Linear operators past poolings and reductions, so that each works on the smaller tensor."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import numpy as np

from nas_proxy.graph import Node, TensorGraph
from nas_proxy.rewriting._constants import derive
from nas_proxy.rewriting._edit import Patch
from nas_proxy.rewriting._rule import rule
from nas_proxy.rewriting.rules._patterns import (
    conv_attributes,
    convolution,
    ints,
    is_float,
    only_reader,
    producer,
    window_pads,
)  # fmt: skip
from nas_proxy.rewriting.rules.affine import emit_linear, linear

__all__ = [
    "average_as_convolution",
    "convolution_before_pool",
    "max_before_monotone",
    "pool_before_convolution",
    "reduction_before_linear",
]

New = Callable[[], Patch]

_MONOTONE = {"Relu", "Sigmoid", "Tanh", "Clip", "HardSigmoid"}


@rule("convolution-before-pool", "Conv", "fewer channels to pool", radius=2)
def convolution_before_pool(graph: TensorGraph, node: Node, new: New) -> Iterator[Patch]:
    """A 1x1 convolution of an average is the average of the convolution; a bias that borders dilute comes after."""
    conv = convolution(graph, node)
    pool = producer(graph, node.inputs[0], "AveragePool", "GlobalAveragePool", "ReduceMean")
    if conv is None or pool is None or not conv.is_pointwise or not only_reader(graph, node.inputs[0]):
        return
    if not _keeps_channels(graph, pool):
        return
    x, out = pool.inputs[0], graph.values[node.outputs[0]]
    shape = graph.values[x].shape
    late = conv.bias if conv.bias is not None and not _keeps_constants(graph, pool) else None
    patch = new()
    inputs = [x, patch.constant(conv.weight)]
    if conv.bias is not None and late is None:
        inputs.append(patch.constant(conv.bias))
    convolved = patch.emit("Conv", inputs, (shape[0], out.shape[1], *shape[2:]), **conv_attributes(conv))
    rest = pool.inputs[1:]
    if late is None:
        patch.emit(pool.operator, [convolved, *rest], makes=out.name, **pool.attributes)
    else:
        pooled = patch.emit(pool.operator, [convolved, *rest], out.shape, **pool.attributes)
        to = (late.shape[0], 1, 1)
        patch.emit("Add", [pooled, patch.constant(derive(_reshape, late, shape=to, to=to))], makes=out.name)
    yield patch


@rule("pool-before-convolution", "AveragePool GlobalAveragePool ReduceMean", "fewer pixels to convolve", radius=2)
def pool_before_convolution(graph: TensorGraph, node: Node, new: New) -> Iterator[Patch]:
    """The average of a 1x1 convolution is the convolution of the average."""
    conv = convolution(graph, producer(graph, node.inputs[0], "Conv"))
    if conv is None or not conv.is_pointwise or not only_reader(graph, node.inputs[0]):
        return
    if not _keeps_channels(graph, node) or (conv.bias is not None and not _keeps_constants(graph, node)):
        return
    out = graph.values[node.outputs[0]]
    patch = new()
    small = (out.shape[0], conv.weight.shape[1], *out.shape[2:])
    pooled = patch.emit(node.operator, [conv.node.inputs[0], *node.inputs[1:]], small, **node.attributes)
    inputs = [pooled, patch.constant(conv.weight)] + ([patch.constant(conv.bias)] if conv.bias is not None else [])
    patch.emit("Conv", inputs, makes=out.name, **conv_attributes(conv))
    yield patch


def _keeps_channels(graph: TensorGraph, pool: Node) -> bool:
    """Whether a pooling averages over rows and columns, and leaves a tensor of four dimensions."""
    if len(graph.values[pool.inputs[0]].shape) != 4 or len(graph.values[pool.outputs[0]].shape) != 4:
        return False
    if pool.operator == "ReduceMean":
        axes = ints(graph, pool, "axes", 1)
        return bool(axes) and bool(pool.attribute("keepdims", 1)) and all(axis % 4 >= 2 for axis in axes or ())
    return True


def _keeps_constants(graph: TensorGraph, pool: Node) -> bool:
    """Whether the average of a constant image is that constant everywhere, borders included."""
    if pool.operator != "AveragePool":
        return True
    if not pool.attribute("count_include_pad", 0):
        return True
    kernel, strides = pool.attribute("kernel_shape"), pool.attribute("strides", (1, 1))
    pads = window_pads(graph, pool, kernel, strides, pool.attribute("dilations", (1, 1)))
    return not pool.attribute("ceil_mode", 0) and pads is not None and not any(pads)


@rule("average-as-convolution", "AveragePool", "an average that takes a bias and an activation with it", radius=1)
def average_as_convolution(graph: TensorGraph, node: Node, new: New) -> Iterator[Patch]:
    """An average is a depthwise convolution with equal weights, unless its divisor changes at the borders."""
    value = graph.values[node.inputs[0]]
    kernel, strides = node.attribute("kernel_shape"), node.attribute("strides", (1, 1))
    dilations = node.attribute("dilations", (1, 1))
    if len(kernel) != 2 or node.attribute("ceil_mode", 0) or not is_float(graph, value.name) or max(kernel) > 7:
        return
    pads = window_pads(graph, node, kernel, strides, dilations)
    if pads is None or (any(pads) and not node.attribute("count_include_pad", 0)):
        return
    channels = value.shape[1]
    patch = new()
    weight = patch.constant(
        derive(_average, shape=(channels, 1, *kernel), dtype=value.dtype, to=(channels, 1, *kernel))
    )
    patch.emit(
        "Conv", [value.name, weight], makes=node.outputs[0], dilations=tuple(dilations), group=channels,
        kernel_shape=tuple(kernel), pads=pads, strides=tuple(strides),
    )  # fmt: skip
    yield patch


@rule("max-before-monotone", "MaxPool", "fewer elements to activate", radius=2)
def max_before_monotone(graph: TensorGraph, node: Node, new: New) -> Iterator[Patch]:
    """The largest of increasing functions is the function of the largest."""
    inner = producer(graph, node.inputs[0], *_MONOTONE)
    if inner is None or not only_reader(graph, node.inputs[0]) or len(node.makes) > 1:
        return
    out = graph.values[node.outputs[0]]
    patch = new()
    pooled = patch.emit("MaxPool", [inner.inputs[0]], out.shape, **node.attributes)
    patch.emit(inner.operator, [pooled, *inner.inputs[1:]], makes=out.name, **inner.attributes)
    yield patch


@rule("monotone-before-max", "Relu Sigmoid Tanh Clip HardSigmoid", "an activation beside what it fuses with", radius=2)
def monotone_before_max(graph: TensorGraph, node: Node, new: New) -> Iterator[Patch]:
    """The function of the largest is the largest of the functions."""
    pool = producer(graph, node.inputs[0], "MaxPool")
    if pool is None or not only_reader(graph, node.inputs[0]) or len(pool.makes) > 1:
        return
    patch = new()
    made = patch.emit(node.operator, [pool.inputs[0], *node.inputs[1:]], graph.values[pool.inputs[0]].shape,
                      **node.attributes)  # fmt: skip
    patch.emit("MaxPool", [made], makes=node.outputs[0], **pool.attributes)
    yield patch


@rule("reduction-before-linear", "ReduceMean", "fewer rows to multiply", radius=2)
def reduction_before_linear(graph: TensorGraph, node: Node, new: New) -> Iterator[Patch]:
    """The mean of rows that a matrix multiplied is the product of the mean row."""
    before = linear(graph, producer(graph, node.inputs[0], "MatMul"))
    axes = ints(graph, node, "axes", 1)
    if before is None or not axes or not only_reader(graph, node.inputs[0]):
        return
    x = graph.values[before.node.inputs[0]]
    rank, out = len(x.shape), graph.values[node.outputs[0]]
    if any(axis % rank == rank - 1 for axis in axes) or len(out.shape) < 2:
        return
    patch = new()
    mean = patch.emit("ReduceMean", [x.name, *node.inputs[1:]], (*out.shape[:-1], x.shape[-1]), **node.attributes)
    emit_linear(patch, before, mean, before.weight, None, out.name)
    yield patch


@rule("linear-before-reduction", "MatMul", "fewer columns to average", radius=2)
def linear_before_reduction(graph: TensorGraph, node: Node, new: New) -> Iterator[Patch]:
    """The product of a mean row is the mean of the products."""
    after, mean = linear(graph, node), producer(graph, node.inputs[0], "ReduceMean")
    if after is None or mean is None or not only_reader(graph, node.inputs[0]):
        return
    x, axes = graph.values[mean.inputs[0]], ints(graph, mean, "axes", 1)
    rank = len(x.shape)
    if not axes or any(axis % rank == rank - 1 for axis in axes):
        return
    patch = new()
    product = emit_linear(patch, after, x.name, after.weight, None, None, (*x.shape[:-1], after.out))
    patch.emit("ReduceMean", [product, *mean.inputs[1:]], makes=node.outputs[0], **mean.attributes)
    yield patch


def _average(to: tuple[int, ...]) -> np.ndarray:
    return np.full(to, 1 / (to[2] * to[3]))


def _reshape(a: np.ndarray, to: tuple[int, ...]) -> np.ndarray:
    return a.reshape(to)
