"""Parallel operators of one input as one wide operator: fewer calls, wider layers."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence

import numpy as np

from nas_proxy.graph import Node, TensorGraph
from nas_proxy.rewriting._constants import derive
from nas_proxy.rewriting._edit import Patch
from nas_proxy.rewriting._rule import rule
from nas_proxy.rewriting.rules._patterns import Convolution, conv_attributes, convolution, is_free
from nas_proxy.rewriting.rules.affine import Linear, linear

__all__ = ["enlarge_kernel", "merge_convolutions", "merge_groups", "merge_products"]

New = Callable[[], Patch]


@rule("merge-convolutions", "Conv", "one wide convolution", radius=2)
def merge_convolutions(graph: TensorGraph, node: Node, new: New) -> Iterator[Patch]:
    """Convolutions of one image and one geometry are one, whose output is split."""
    mine = convolution(graph, node)
    if mine is None or mine.group != 1 or not is_free(graph, node.outputs[0]):
        return
    alike = [mine]
    for other in graph.consumers[node.inputs[0]]:
        conv = convolution(graph, other) if other.name != node.name else None
        if conv and conv.group == 1 and conv.geometry == mine.geometry and conv.node.inputs[0] == node.inputs[0]:
            alike.append(conv)
    order = {n.name: i for i, n in enumerate(graph.consumers[node.inputs[0]])}
    alike.sort(key=lambda conv: order[conv.node.name])
    if len(alike) < 2 or alike[0] is not mine or not all(is_free(graph, c.node.outputs[0]) for c in alike):
        return
    yield _merged(graph, alike, new())
    if len(alike) > 2:
        for other in alike[1:]:
            yield _merged(graph, [mine, other], new())


def _merged(graph: TensorGraph, convs: Sequence[Convolution], patch: Patch) -> Patch:
    outs = [graph.values[conv.node.outputs[0]] for conv in convs]
    sizes = [conv.weight.shape[0] for conv in convs]
    first = convs[0]
    weight = derive(_concatenate, *(c.weight for c in convs), shape=(sum(sizes), *first.weight.shape[1:]), axis=0)
    inputs = [first.node.inputs[0], patch.constant(weight)]
    if any(conv.bias is not None for conv in convs):
        biases = [conv.bias for conv in convs]
        known = [bias for bias in biases if bias is not None]
        placed = tuple(-1 if bias is None else size for bias, size in zip(biases, sizes, strict=True))
        inputs.append(patch.constant(derive(_biases, *known, shape=(sum(sizes),), sizes=tuple(sizes), placed=placed)))
    shape = (outs[0].shape[0], sum(sizes), *outs[0].shape[2:])
    wide = patch.emit("Conv", inputs, shape, **conv_attributes(first))
    patch.emit_parts("Split", [wide, patch.ints(sizes)], makes=[out.name for out in outs], axis=1)
    return patch


@rule("merge-products", "MatMul Gemm", "one wide product", radius=2)
def merge_products(graph: TensorGraph, node: Node, new: New) -> Iterator[Patch]:
    """Products of one matrix with several weights are one product, whose columns are split."""
    mine = linear(graph, node)
    if mine is None or not is_free(graph, node.outputs[0]):
        return
    alike = []
    for other in graph.consumers[node.inputs[0]]:
        found = linear(graph, other) if other.operator == node.operator else None
        if found is None or other.inputs[0] != node.inputs[0] or not is_free(graph, other.outputs[0]):
            continue
        if found.out_axis == mine.out_axis and (found.bias is None) == (mine.bias is None):
            alike.append(found)
    if len(alike) < 2 or alike[0].node.name != node.name:
        return
    patch = new()
    outs, sizes = [graph.values[p.node.outputs[0]] for p in alike], [product.out for product in alike]
    shape = list(mine.weight.shape)
    shape[mine.out_axis] = sum(sizes)
    inputs = [node.inputs[0], patch.constant(_joined(alike, tuple(shape), mine.out_axis))]
    if mine.bias is not None:
        biases = [product.bias for product in alike if product.bias is not None]
        inputs.append(patch.constant(derive(_concatenate, *biases, shape=(sum(sizes),), axis=0)))
    wide = patch.emit(node.operator, inputs, (*outs[0].shape[:-1], sum(sizes)), **node.attributes)
    axis = len(outs[0].shape) - 1
    patch.emit_parts("Split", [wide, patch.ints(sizes)], makes=[out.name for out in outs], axis=axis)
    yield patch


def _joined(products: Sequence[Linear], shape: tuple[int, ...], axis: int):
    return derive(_concatenate, *(product.weight for product in products), shape=shape, axis=axis)


@rule("enlarge-kernel", "Conv", "a convolution that can be merged with a larger one", radius=2)
def enlarge_kernel(graph: TensorGraph, node: Node, new: New) -> Iterator[Patch]:
    """A convolution beside one of a larger kernel gets that kernel, zeros around its own (TASO's enlarge)."""
    mine = convolution(graph, node)
    if mine is None or mine.group != 1 or mine.dilations != (1, 1):
        return
    seen: set[tuple] = set()
    for other in graph.consumers[node.inputs[0]]:
        conv = convolution(graph, other)
        if conv is None or conv.group != 1 or conv.geometry in seen or conv.strides != mine.strides:
            continue
        seen.add(conv.geometry)
        before = [p - q for p, q in zip(conv.pads[:2], mine.pads[:2], strict=True)]
        after = [p - q for p, q in zip(conv.pads[2:], mine.pads[2:], strict=True)]
        grown = [m + b + a for m, b, a in zip(mine.kernel, before, after, strict=True)]
        if conv.dilations != (1, 1) or conv.kernel == mine.kernel or tuple(grown) != conv.kernel:
            continue
        if min(*before, *after) < 0:
            continue
        patch = new()
        shape = (*mine.weight.shape[:2], *conv.kernel)
        pads = tuple(before), tuple(after)
        weight = patch.constant(derive(_surround, mine.weight, shape=shape, before=pads[0], after=pads[1]))
        inputs = [node.inputs[0], weight, *node.inputs[2:]]
        attributes = conv_attributes(mine, kernel_shape=conv.kernel, pads=conv.pads)
        patch.emit("Conv", inputs, makes=node.outputs[0], **attributes)
        yield patch


@rule("merge-groups", "Conv", "fewer and wider groups", radius=1)
def merge_groups(graph: TensorGraph, node: Node, new: New) -> Iterator[Patch]:
    """Pairs of groups of a grouped convolution are one group each, with zeros where they do not meet."""
    conv = convolution(graph, node)
    if conv is None or conv.group < 2 or conv.group % 2 or conv.weight.shape[1] == 1:
        return
    patch = new()
    shape = (conv.weight.shape[0], 2 * conv.weight.shape[1], *conv.kernel)
    weight = patch.constant(derive(_block_diagonal, conv.weight, shape=shape, group=conv.group))
    attributes = conv_attributes(conv, group=conv.group // 2)
    patch.emit("Conv", [node.inputs[0], weight, *node.inputs[2:]], makes=node.outputs[0], **attributes)
    yield patch


def _concatenate(*arrays: np.ndarray, axis: int) -> np.ndarray:
    return np.concatenate(arrays, axis)


def _biases(*known: np.ndarray, sizes: tuple[int, ...], placed: tuple[int, ...]) -> np.ndarray:
    left = iter(known)
    return np.concatenate(
        [np.zeros(size, known[0].dtype) if at < 0 else next(left) for size, at in zip(sizes, placed, strict=True)]
    )


def _surround(weight: np.ndarray, before: tuple[int, ...], after: tuple[int, ...]) -> np.ndarray:
    return np.pad(weight, ((0, 0), (0, 0), *zip(before, after, strict=True)))


def _block_diagonal(weight: np.ndarray, group: int) -> np.ndarray:
    k, c = weight.shape[0] // group, weight.shape[1]
    wide = np.zeros((weight.shape[0], 2 * c, *weight.shape[2:]), weight.dtype)
    for g in range(group):
        wide[g * k : (g + 1) * k, (g % 2) * c : (g % 2 + 1) * c] = weight[g * k : (g + 1) * k]
    return wide
