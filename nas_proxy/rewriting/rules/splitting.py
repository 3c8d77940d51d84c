"""Wide operators as several narrow ones, and concatenations and splits that cancel."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import Any

import numpy as np

from nas_proxy.graph import Node, TensorGraph
from nas_proxy.rewriting._constants import derive
from nas_proxy.rewriting._edit import Patch
from nas_proxy.rewriting._rule import rule
from nas_proxy.rewriting.rules._patterns import (
    UNARY,
    constant,
    conv_attributes,
    convolution,
    is_free,
    only_reader,
    producer,
)  # fmt: skip
from nas_proxy.rewriting.rules.affine import linear

__all__ = ["concat_of_split", "convolution_of_concat", "split_convolution", "split_of_concat", "split_product"]

New = Callable[[], Patch]


def split_sizes(graph: TensorGraph, node: Node) -> tuple[int, list[int]]:
    """Axis and sizes of a Split."""
    axis = int(node.attribute("axis", 0)) % len(graph.values[node.inputs[0]].shape)
    return axis, [graph.values[name].shape[axis] for name in node.outputs]


@rule("split-convolution", "Split", "narrow convolutions and no split", radius=2)
def split_convolution(graph: TensorGraph, node: Node, new: New) -> Iterator[Patch]:
    """A convolution whose channels are split is a convolution for each part."""
    conv = convolution(graph, producer(graph, node.inputs[0], "Conv"))
    if conv is None or conv.group != 1 or not only_reader(graph, node.inputs[0]) or not all(node.outputs):
        return
    axis, sizes = split_sizes(graph, node)
    if axis != 1:
        return
    patch, start = new(), 0
    for name, size in zip(node.outputs, sizes, strict=True):
        span: dict[str, Any] = {"start": start, "stop": start + size, "axis": 0}
        inputs = [
            conv.node.inputs[0],
            patch.constant(derive(_slice, conv.weight, shape=(size, *conv.weight.shape[1:]), **span)),
        ]
        if conv.bias is not None:
            inputs.append(patch.constant(derive(_slice, conv.bias, shape=(size,), **span)))
        patch.emit("Conv", inputs, makes=name, **conv_attributes(conv))
        start += size
    yield patch


@rule("split-product", "Split", "narrow products and no split", radius=3)
def split_product(graph: TensorGraph, node: Node, new: New) -> Iterator[Patch]:
    """A product whose columns are split is a product for each part; a bias on the way is split too."""
    if not all(node.outputs) or not only_reader(graph, node.inputs[0]):
        return
    axis, sizes = split_sizes(graph, node)
    before, shift = linear(graph, producer(graph, node.inputs[0], "MatMul", "Gemm")), None
    adding = producer(graph, node.inputs[0], "Add")
    if adding is not None:
        known = [constant(graph, name) for name in adding.inputs]
        if (known[0] is None) == (known[1] is None):
            return
        shift, source = (known[0], adding.inputs[1]) if known[0] is not None else (known[1], adding.inputs[0])
        before = linear(graph, producer(graph, source, "MatMul"))
        if before is None or shift is None or shift.shape != (before.out,) or not only_reader(graph, source):
            return
    out = graph.values[node.inputs[0]].shape
    if before is None or axis != len(out) - 1 or sum(sizes) != before.out:
        return
    patch, start = new(), 0
    for name, size in zip(node.outputs, sizes, strict=True):
        span: dict[str, Any] = {"start": start, "stop": start + size}
        shape = [size if i == before.out_axis else n for i, n in enumerate(before.weight.shape)]
        weight = patch.constant(derive(_slice, before.weight, shape=shape, axis=before.out_axis, **span))
        inputs = [before.node.inputs[0], weight]
        if before.bias is not None:
            inputs.append(patch.constant(derive(_slice, before.bias, shape=(size,), axis=0, **span)))
        if shift is None:
            patch.emit(before.node.operator, inputs, makes=name, **before.node.attributes)
        else:
            product = patch.emit("MatMul", inputs, (*out[:-1], size))
            patch.emit(
                "Add", [product, patch.constant(derive(_slice, shift, shape=(size,), axis=0, **span))], makes=name
            )
        start += size
    yield patch


@rule("convolution-of-concat", "Conv", "no concatenation", radius=2)
def convolution_of_concat(graph: TensorGraph, node: Node, new: New) -> Iterator[Patch]:
    """A convolution of a concatenation is the sum of convolutions of its parts."""
    conv, joined = convolution(graph, node), producer(graph, node.inputs[0], "Concat")
    if conv is None or joined is None or conv.group != 1 or not only_reader(graph, node.inputs[0]):
        return
    if joined.attribute("axis") not in (1, -3) or len(joined.inputs) != 2:
        return
    out, patch, start = graph.values[node.outputs[0]], new(), 0
    parts = []
    for i, name in enumerate(joined.inputs):
        size = graph.values[name].shape[1]
        shape = (conv.weight.shape[0], size, *conv.kernel)
        weight = patch.constant(derive(_slice, conv.weight, shape=shape, axis=1, start=start, stop=start + size))
        inputs = [name, weight, *(node.inputs[2:] if i == 0 else ())]
        parts.append(patch.emit("Conv", inputs, out.shape, **conv_attributes(conv)))
        start += size
    patch.emit("Add", parts, makes=out.name)
    yield patch


@rule("split-of-concat", "Split", "a concatenation and a split less", radius=2)
def split_of_concat(graph: TensorGraph, node: Node, new: New) -> Iterator[Patch]:
    """What was joined and is taken apart at the same places was never joined."""
    joined = producer(graph, node.inputs[0], "Concat")
    if joined is None or not all(node.outputs) or not all(is_free(graph, name) for name in node.outputs):
        return
    axis, sizes = split_sizes(graph, node)
    if int(joined.attribute("axis")) % len(graph.values[node.inputs[0]].shape) != axis:
        return
    if [graph.values[name].shape[axis] for name in joined.inputs] != sizes:
        return
    patch = new()
    for mine, theirs in zip(node.outputs, joined.inputs, strict=True):
        patch.rename(mine, theirs)
    yield patch


@rule("concat-of-split", "Concat", "a split and a concatenation less", radius=2)
def concat_of_split(graph: TensorGraph, node: Node, new: New) -> Iterator[Patch]:
    """What was taken apart and is joined in the same order is whole."""
    apart = producer(graph, node.inputs[0], "Split")
    if apart is None or tuple(apart.outputs) != tuple(node.inputs) or not is_free(graph, node.outputs[0]):
        return
    axis, _ = split_sizes(graph, apart)
    if int(node.attribute("axis")) % len(graph.values[node.outputs[0]].shape) != axis:
        return
    patch = new()
    patch.rename(node.outputs[0], apart.inputs[0])
    yield patch


@rule("concat-of-concat", "Concat", "a concatenation less", radius=2)
def concat_of_concat(graph: TensorGraph, node: Node, new: New) -> Iterator[Patch]:
    """Concatenations along one axis are one."""
    rank, inputs = len(graph.values[node.outputs[0]].shape), []
    axis = int(node.attribute("axis")) % rank
    for name in node.inputs:
        inner = producer(graph, name, "Concat")
        fits = inner is not None and int(inner.attribute("axis")) % rank == axis and only_reader(graph, name)
        inputs += inner.inputs if inner is not None and fits and node.inputs.count(name) == 1 else [name]
    if len(inputs) > len(node.inputs):
        patch = new()
        patch.emit("Concat", inputs, makes=node.outputs[0], axis=axis)
        yield patch


@rule("unary-before-split", "Split", "one wide function instead of several", radius=2)
def unary_before_split(graph: TensorGraph, node: Node, new: New) -> Iterator[Patch]:
    """The same function of every part is the function of the whole."""
    if not all(node.outputs) or not all(only_reader(graph, name) for name in node.outputs):
        return
    readers = [graph.consumers[name][0] for name in node.outputs]
    first = readers[0]
    if first.operator not in UNARY or any(
        r.operator != first.operator or dict(r.attributes) != dict(first.attributes) for r in readers
    ):
        return
    patch = new()
    whole = graph.values[node.inputs[0]]
    made = patch.emit(first.operator, [whole.name], whole.shape, **first.attributes)
    outs = [reader.outputs[0] for reader in readers]
    patch.emit_parts("Split", [made, *node.inputs[1:]], makes=outs, **node.attributes)
    yield patch


@rule("unary-of-concat", "Relu Sigmoid Tanh HardSwish LeakyRelu", "a function beside what it fuses with", radius=2)
def unary_of_concat(graph: TensorGraph, node: Node, new: New) -> Iterator[Patch]:
    """A function of a concatenation is the concatenation of functions."""
    joined = producer(graph, node.inputs[0], "Concat")
    if joined is None or not only_reader(graph, node.inputs[0]):
        return
    patch = new()
    parts = [patch.emit(node.operator, [name], graph.values[name].shape, **node.attributes) for name in joined.inputs]
    patch.emit("Concat", parts, makes=node.outputs[0], **joined.attributes)
    yield patch


@rule("unary-joined", "Concat", "one wide function instead of several", radius=2)
def unary_joined(graph: TensorGraph, node: Node, new: New) -> Iterator[Patch]:
    """A concatenation of the same function of several tensors is the function of their concatenation."""
    inner = [producer(graph, name, *UNARY) for name in node.inputs]
    if len(inner) < 2 or any(n is None for n in inner) or len(set(node.inputs)) < len(node.inputs):
        return
    nodes: Sequence[Node] = [n for n in inner if n is not None]
    first = nodes[0]
    if any(n.operator != first.operator or dict(n.attributes) != dict(first.attributes) for n in nodes):
        return
    if not all(only_reader(graph, name) for name in node.inputs):
        return
    patch = new()
    out = graph.values[node.outputs[0]]
    joined = patch.emit("Concat", [n.inputs[0] for n in nodes], out.shape, **node.attributes)
    patch.emit(first.operator, [joined], makes=out.name, **first.attributes)
    yield patch


def _slice(a: np.ndarray, start: int, stop: int, axis: int) -> np.ndarray:
    return a[(slice(None),) * axis + (slice(start, stop),)]
