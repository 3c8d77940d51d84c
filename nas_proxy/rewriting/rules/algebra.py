"""Sums and products in another order: associativity and distributivity."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from math import prod

import numpy as np

from nas_proxy.graph import Node, TensorGraph
from nas_proxy.rewriting._constants import derive
from nas_proxy.rewriting._edit import Patch
from nas_proxy.rewriting._rule import rule
from nas_proxy.rewriting.rules._patterns import (
    constant,
    conv_attributes,
    convolution,
    is_float,
    only_reader,
    producer,
    scalar,
)  # fmt: skip
from nas_proxy.rewriting.rules.cleaning import split_constant

__all__ = ["associate_left", "associate_right", "sum_of_products", "sum_of_same"]

New = Callable[[], Patch]

#: Operators f with f(x) + f(y) = f(x + y), constants among their inputs being equal.
_ADDITIVE = {"AveragePool", "GlobalAveragePool", "ReduceMean", "ReduceSum", "Transpose", "Reshape", "Conv", "MatMul"}


@rule("associate-right", "MatMul", "a cheaper order of products", radius=2)
def associate_right(graph: TensorGraph, node: Node, new: New) -> Iterator[Patch]:
    """(A B) C = A (B C)."""
    left = producer(graph, node.inputs[0], "MatMul")
    if left is None or not only_reader(graph, node.inputs[0]) or not is_float(graph, node.outputs[0]):
        return
    (a, b), c = left.inputs, node.inputs[1]
    shapes: list[tuple[int, ...]] = [graph.values[name].shape for name in (a, b, c)]
    if min(map(len, shapes)) < 2 or (len(shapes[1]) > 2 and shapes[1][:-2] != shapes[2][:-2]):
        return
    if len(shapes[1]) == 2 and len(shapes[2]) > 2:
        return
    sources = constant(graph, b), constant(graph, c)
    patch = new()
    shape = (*graph.values[b].shape[:-1], graph.values[c].shape[-1])
    if sources[0] is not None and sources[1] is not None:
        product = patch.constant(derive(np.matmul, sources[0], sources[1], shape=shape))
    else:
        product = patch.emit("MatMul", [b, c], shape)
    patch.emit("MatMul", [a, product], makes=node.outputs[0])
    yield patch


@rule("associate-left", "MatMul", "a cheaper order of products", radius=2)
def associate_left(graph: TensorGraph, node: Node, new: New) -> Iterator[Patch]:
    """A (B C) = (A B) C."""
    right = producer(graph, node.inputs[1], "MatMul")
    if right is None or not only_reader(graph, node.inputs[1]) or not is_float(graph, node.outputs[0]):
        return
    a, (b, c) = node.inputs[0], right.inputs
    shapes = [graph.values[name].shape for name in (a, b, c)]
    if min(map(len, shapes)) < 2 or shapes[0][:-2] != shapes[1][:-2] or shapes[1][:-2] != shapes[2][:-2]:
        return
    patch = new()
    product = patch.emit("MatMul", [a, b], (*shapes[0][:-1], shapes[1][-1]))
    patch.emit("MatMul", [product, c], makes=node.outputs[0])
    yield patch


@rule("sum-of-same", "Add", "one operator on a sum instead of two", radius=2)
def sum_of_same(graph: TensorGraph, node: Node, new: New) -> Iterator[Patch]:
    """f(x) + f(y) = f(x + y) for poolings, reductions, layouts, and linear operators of the same weights."""
    first, second = (producer(graph, name, *_ADDITIVE) for name in node.inputs)
    if first is None or second is None or first is second or first.operator != second.operator:
        return
    if not all(only_reader(graph, name) for name in node.inputs) or not is_float(graph, node.outputs[0]):
        return
    x, y = graph.values[first.inputs[0]], graph.values[second.inputs[0]]
    if x.shape != y.shape or x.dtype != y.dtype or dict(first.attributes) != dict(second.attributes):
        return
    rest = [[constant(graph, name) for name in n.inputs[1:]] for n in (first, second)]
    if None in rest[0] or rest[0] != rest[1] or (first.operator == "Conv" and len(rest[0]) > 1):
        return
    patch = new()
    added = patch.emit("Add", [x.name, y.name], x.shape)
    patch.emit(first.operator, [added, *first.inputs[1:]], makes=node.outputs[0], **first.attributes)
    yield patch


@rule("sum-of-products", "Add", "one product instead of two", radius=2)
def sum_of_products(graph: TensorGraph, node: Node, new: New) -> Iterator[Patch]:
    """x A + x B = x (A + B); so for convolutions of one geometry, one image."""
    first, second = (producer(graph, name, "MatMul", "Conv") for name in node.inputs)
    if first is None or second is None or first is second or first.operator != second.operator:
        return
    if first.inputs[0] != second.inputs[0] or not all(only_reader(graph, name) for name in node.inputs):
        return
    patch = new()
    if first.operator == "MatMul":
        a, b = constant(graph, first.inputs[1]), constant(graph, second.inputs[1])
        if a is None or b is None or a.shape != b.shape or graph.values[first.inputs[0]].shape == a.shape[:1]:
            return
        patch.emit(
            "MatMul", [first.inputs[0], patch.constant(derive(_add, a, b, shape=a.shape))], makes=node.outputs[0]
        )
        yield patch
        return
    left, right = convolution(graph, first), convolution(graph, second)
    if left is None or right is None or (left.geometry, left.group) != (right.geometry, right.group):
        return
    if left.weight.shape != right.weight.shape:
        return
    inputs = [first.inputs[0], patch.constant(derive(_add, left.weight, right.weight, shape=left.weight.shape))]
    biases = [bias for bias in (left.bias, right.bias) if bias is not None]
    if biases:
        shape = biases[0].shape
        inputs.append(patch.constant(biases[0] if len(biases) == 1 else derive(_add, *biases, shape=shape)))
    patch.emit("Conv", inputs, makes=node.outputs[0], **conv_attributes(left))
    yield patch


@rule("sum-of-convolutions-as-one", "Add", "one convolution and no addition", radius=2)
def sum_of_convolutions_as_one(graph: TensorGraph, node: Node, new: New) -> Iterator[Patch]:
    """conv(x, A) + conv(y, B) = conv(concat(x, y), concat(A, B)) where both have one geometry."""
    first, second = (convolution(graph, producer(graph, name, "Conv")) for name in node.inputs)
    if first is None or second is None or first.node is second.node or first.geometry != second.geometry:
        return
    if first.group != 1 or second.group != 1 or not all(only_reader(graph, name) for name in node.inputs):
        return
    x, y = graph.values[first.node.inputs[0]], graph.values[second.node.inputs[0]]
    if (x.shape[0], x.shape[2:]) != (y.shape[0], y.shape[2:]) or first.weight.shape[0] != second.weight.shape[0]:
        return
    patch = new()
    channels = x.shape[1] + y.shape[1]
    joined = patch.emit("Concat", [x.name, y.name], (x.shape[0], channels, *x.shape[2:]), axis=1)
    shape = (first.weight.shape[0], channels, *first.kernel)
    inputs = [joined, patch.constant(derive(_concatenate, first.weight, second.weight, shape=shape, axis=1))]
    biases = [bias for bias in (first.bias, second.bias) if bias is not None]
    if biases:
        bias = biases[0] if len(biases) == 1 else derive(_add, *biases, shape=biases[0].shape)
        inputs.append(patch.constant(bias))
    patch.emit("Conv", inputs, makes=node.outputs[0], **conv_attributes(first))
    yield patch


@rule("scale-through-product", "Mul Div", "fewer elements to scale", radius=2)
def scale_through_product(graph: TensorGraph, node: Node, new: New) -> Iterator[Patch]:
    """s (A B) = (s A) B = A (s B): attention scores are scaled where the scale is cheapest, or free."""
    found = split_constant(graph, node)
    if found is None or (node.operator == "Div" and found[0] != node.inputs[0]):
        return
    product, factor = producer(graph, found[0], "MatMul"), scalar(graph, found[1])
    same = graph.values[found[0]].shape == graph.values[node.outputs[0]].shape
    if product is None or factor is None or not same or not only_reader(graph, found[0]):
        return
    for i in (0, 1):
        x = graph.values[product.inputs[i]]
        if x.is_constant:
            continue  # scale-after-linear does that
        patch = new()
        held = graph.values[found[1]].constant
        assert held is not None
        scale = patch.constant(derive(_flat, held, shape=(1,)))
        scaled = patch.emit(node.operator, [x.name, scale], x.shape)
        inputs = [scaled, product.inputs[1]] if i == 0 else [product.inputs[0], scaled]
        patch.emit("MatMul", inputs, makes=node.outputs[0])
        yield patch


@rule("join-scales-of-product", "MatMul", "a multiplication less", radius=2)
def join_scales_of_product(graph: TensorGraph, node: Node, new: New) -> Iterator[Patch]:
    """(s A) (t B) = (s t A) B with numbers s and t."""
    sides = []
    for name in node.inputs:
        scaling = producer(graph, name, "Mul")
        found = split_constant(graph, scaling) if scaling is not None else None
        if found is None or scalar(graph, found[1]) is None or not only_reader(graph, name):
            return
        if graph.values[found[0]].shape != graph.values[name].shape:
            return
        sides.append(found)
    (a, s), (b, t) = sides
    factors = constant(graph, s), constant(graph, t)
    if factors[0] is None or factors[1] is None:
        return
    patch = new()
    scale = patch.constant(derive(_flat_product, factors[0], factors[1], shape=(1,)))
    small, large = sorted((a, b), key=lambda name: graph.values[name].elements)
    scaled = patch.emit("Mul", [small, scale], graph.values[small].shape)
    inputs = [scaled, large] if small == a else [large, scaled]
    patch.emit("MatMul", inputs, makes=node.outputs[0])
    yield patch


@rule("scale-before-view", "Mul Div Add", "a scale nearer to weights that can take it", radius=2)
def scale_before_view(graph: TensorGraph, node: Node, new: New) -> Iterator[Patch]:
    """A constant factor or shift moves before a reshape or transposition, where it is still one of a single axis."""
    found = split_constant(graph, node)
    if found is None or (node.operator == "Div" and found[0] != node.inputs[0]):
        return
    view, c = producer(graph, found[0], "Reshape", "Transpose", "Squeeze", "Unsqueeze", "Flatten"), found[1]
    out, held = graph.values[node.outputs[0]].shape, constant(graph, found[1])
    if view is None or held is None or not only_reader(graph, found[0]) or out != graph.values[found[0]].shape:
        return
    before = graph.values[view.inputs[0]].shape
    shape = _shape_before(view, before, out, graph.values[c].shape)
    if shape is None:
        return
    patch = new()
    perm = tuple(view.attribute("perm", ())) if view.operator == "Transpose" else ()
    moved = derive(_move_back, held, shape=shape, out=out, before=before, perm=perm, to=shape)
    scaled = patch.emit(node.operator, [view.inputs[0], patch.constant(moved)], before)
    patch.emit(view.operator, [scaled, *view.inputs[1:]], makes=node.outputs[0], **view.attributes)
    yield patch


def _shape_before(view: Node, before: tuple, out: tuple, shape: tuple) -> tuple[int, ...] | None:
    """Shape of the constant before the view: it may vary along the last axis there, or along one axis, or none."""
    if len(shape) > len(out):
        return None
    shape = (1,) * (len(out) - len(shape)) + shape
    if prod(shape) == 1:
        return (1,)
    if view.operator == "Transpose":
        perm = view.attribute("perm")
        if perm is None:
            return None
        moved = [1] * len(before)
        for i, axis in enumerate(perm):
            moved[axis] = shape[i]
        return tuple(moved)
    if not before or prod(before) != prod(out):
        return None
    varying = [i for i, size in enumerate(shape) if size > 1]
    tail = prod(out[varying[0] :])
    inner = before[-1]
    if tail > inner or inner % tail:
        return None
    return (inner,)


def _move_back(c: np.ndarray, out: tuple, before: tuple, perm: tuple, to: tuple) -> np.ndarray:
    if to == (1,):
        return c.reshape(1)
    if perm:
        padded = c.reshape((1,) * (len(out) - c.ndim) + c.shape)
        return padded.transpose(np.argsort(perm))
    padded = c.reshape((1,) * (len(out) - c.ndim) + c.shape)
    first = next(i for i, size in enumerate(padded.shape) if size > 1)
    tail = np.broadcast_to(padded[(0,) * first], out[first:]).reshape(-1)
    return np.tile(tail, to[0] // tail.size)


def _add(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    return a + b


def _flat(a: np.ndarray) -> np.ndarray:
    return a.reshape(1)


def _flat_product(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    return a.reshape(1) * b.reshape(1)


def _concatenate(*arrays: np.ndarray, axis: int) -> np.ndarray:
    return np.concatenate(arrays, axis)
