"""Reshapes and transpositions: merged, cancelled, moved to where they meet."""

from __future__ import annotations

from collections.abc import Callable, Iterator

from nas_proxy.graph import Node, TensorGraph
from nas_proxy.rewriting._edit import Patch
from nas_proxy.rewriting._rule import rule
from nas_proxy.rewriting.rules._patterns import BINARY, UNARY, is_free, only_reader, producer

__all__ = ["binary_of_transposes", "merge_reshapes", "merge_transposes", "transpose_of_reshaped", "unary_before_view"]

New = Callable[[], Patch]

_VIEWS = ("Reshape", "Squeeze", "Unsqueeze", "Flatten")


@rule("merge-transposes", "Transpose", "a transposition less", radius=2)
def merge_transposes(graph: TensorGraph, node: Node, new: New) -> Iterator[Patch]:
    """Two transpositions in a row are one, or none."""
    inner, perm = producer(graph, node.inputs[0], "Transpose"), _perm(graph, node)
    if inner is None:
        return
    both = tuple(_perm(graph, inner)[axis] for axis in perm)
    patch = new()
    if both == tuple(sorted(both)):
        if not is_free(graph, node.outputs[0]):
            return
        patch.rename(node.outputs[0], inner.inputs[0])
    else:
        patch.emit("Transpose", [inner.inputs[0]], makes=node.outputs[0], perm=both)
    yield patch


@rule("merge-reshapes", "Reshape Squeeze Unsqueeze Flatten", "a reshape less", radius=2)
def merge_reshapes(graph: TensorGraph, node: Node, new: New) -> Iterator[Patch]:
    """A reshape of a reshape is one reshape, or none."""
    inner = producer(graph, node.inputs[0], *_VIEWS)
    if inner is None:
        return
    source, out = graph.values[inner.inputs[0]], graph.values[node.outputs[0]]
    patch = new()
    if source.shape == out.shape:
        if not is_free(graph, out.name):
            return
        patch.rename(out.name, source.name)
    elif 0 in out.shape:
        return
    else:
        patch.emit("Reshape", [source.name, patch.ints(out.shape)], makes=out.name)
    yield patch


@rule("transpose-as-reshape", "Transpose", "nothing to move", radius=1)
def transpose_as_reshape(graph: TensorGraph, node: Node, new: New) -> Iterator[Patch]:
    """A transposition that only moves axes of size one is a reshape."""
    shape, out = graph.values[node.inputs[0]].shape, graph.values[node.outputs[0]]
    moving = [axis for axis in _perm(graph, node) if shape[axis] != 1]
    if moving == sorted(moving) and shape != out.shape and 0 not in shape:
        patch = new()
        patch.emit("Reshape", [node.inputs[0], patch.ints(out.shape)], makes=out.name)
        yield patch


@rule("transpose-of-reshaped", "Reshape", "two reshapes less", radius=3)
def transpose_of_reshaped(graph: TensorGraph, node: Node, new: New) -> Iterator[Patch]:
    """Leading axes joined, the last two swapped, and the leading ones parted again is a transposition."""
    inner = producer(graph, node.inputs[0], "Transpose")
    first = producer(graph, inner.inputs[0], *_VIEWS) if inner is not None else None
    if inner is None or first is None or not only_reader(graph, node.inputs[0]):
        return
    x, joined, out = (graph.values[name] for name in (first.inputs[0], inner.inputs[0], node.outputs[0]))
    perm = _perm(graph, inner)
    lead, rank = len(x.shape) - 2, len(joined.shape)
    if lead < 1 or rank < 3 or len(out.shape) != len(x.shape):
        return
    if joined.shape[-2:] != x.shape[-2:] or perm != (*range(rank - 2), rank - 1, rank - 2):
        return
    if out.shape != (*x.shape[:-2], x.shape[-1], x.shape[-2]):
        return
    patch = new()
    patch.emit("Transpose", [x.name], makes=out.name, perm=(*range(lead), lead + 1, lead))
    yield patch


@rule("unary-before-view", " ".join(sorted(UNARY)), "a function beside what it fuses with", radius=2)
def unary_before_view(graph: TensorGraph, node: Node, new: New) -> Iterator[Patch]:
    """A function of single elements commutes with a reshape or a transposition."""
    view = producer(graph, node.inputs[0], "Transpose", *_VIEWS)
    if view is None or not only_reader(graph, node.inputs[0]):
        return
    source, out = graph.values[view.inputs[0]], graph.values[node.outputs[0]]
    patch = new()
    made = patch.emit(node.operator, [source.name, *node.inputs[1:]], source.shape, dtype=out.dtype, **node.attributes)
    patch.emit(view.operator, [made, *view.inputs[1:]], makes=out.name, **view.attributes)
    yield patch


@rule("view-before-unary", "Transpose Reshape", "two views that can be merged", radius=2)
def view_before_unary(graph: TensorGraph, node: Node, new: New) -> Iterator[Patch]:
    """A reshape or a transposition commutes with a function of single elements."""
    function = producer(graph, node.inputs[0], *UNARY)
    if function is None or not only_reader(graph, node.inputs[0]):
        return
    source, out = graph.values[function.inputs[0]], graph.values[node.outputs[0]]
    patch = new()
    moved = patch.emit(node.operator, [source.name, *node.inputs[1:]], out.shape, **node.attributes)
    patch.emit(function.operator, [moved, *function.inputs[1:]], makes=out.name, **function.attributes)
    yield patch


@rule("binary-of-transposes", " ".join(sorted(BINARY)), "one transposition instead of two", radius=2)
def binary_of_transposes(graph: TensorGraph, node: Node, new: New) -> Iterator[Patch]:
    """Two tensors transposed alike and combined are combined, then transposed."""
    if len(node.inputs) != 2 or node.inputs[0] == node.inputs[1]:
        return
    first, second = (producer(graph, name, "Transpose") for name in node.inputs)
    if first is None or second is None or not all(only_reader(graph, name) for name in node.inputs):
        return
    x, y = graph.values[first.inputs[0]], graph.values[second.inputs[0]]
    if x.shape != y.shape or _perm(graph, first) != _perm(graph, second):
        return
    patch = new()
    made = patch.emit(node.operator, [x.name, y.name], x.shape, **node.attributes)
    patch.emit("Transpose", [made], makes=node.outputs[0], perm=_perm(graph, first))
    yield patch


def _perm(graph: TensorGraph, node: Node) -> tuple[int, ...]:
    rank = len(graph.values[node.inputs[0]].shape)
    return tuple(node.attribute("perm", tuple(reversed(range(rank)))))
