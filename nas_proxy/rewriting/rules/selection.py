"""Rows that are picked in the end are picked first: a classifier that reads one token needs no other token's work.

Every rule here works on :func:`selection`: a ``Gather`` with constant positions, or a ``Slice`` of one axis.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from math import prod

from nas_proxy.graph import Node, TensorGraph
from nas_proxy.rewriting._edit import Patch
from nas_proxy.rewriting._rule import rule
from nas_proxy.rewriting.rules._patterns import BINARY, UNARY, constant, is_free, only_reader, producer

__all__ = ["gather_as_slice", "select_before"]

New = Callable[[], Patch]


@dataclass(frozen=True)
class Selection:
    """``size`` of the positions of one axis, the axis staying; ``emit`` picks the same of another tensor's axis."""

    node: Node
    axis: int
    start: int
    size: int

    def emit(self, patch: Patch, source: str, axis: int, makes: str | None = None) -> str:
        """Write the selection from ``source`` along ``axis``; returns the name of the result."""
        shape = list(patch.value(source).shape)
        shape[axis] = self.size
        inputs = [source, *(patch.ints([n]) for n in (self.start, self.start + self.size, axis))]
        return patch.emit("Slice", inputs, shape, makes=makes)


def selection(graph: TensorGraph, node: Node) -> Selection | None:
    """A slice of neighbouring positions of one axis; None for anything else."""
    rank = len(graph.values[node.inputs[0]].shape)
    if node.operator != "Slice" or len(node.inputs) < 3:
        return None
    given = [constant(graph, name) if name else None for name in node.inputs[1:]]
    if any(c is None for c, name in zip(given, node.inputs[1:], strict=True) if name) or given[0] is None:
        return None
    starts = [int(v) for v in given[0].array.ravel()]
    axes = [int(v) for v in given[2].array.ravel()] if len(given) > 2 and given[2] is not None else [0]
    steps = [int(v) for v in given[3].array.ravel()] if len(given) > 3 and given[3] is not None else [1]
    if len(starts) != 1 or len(axes) != 1 or steps != [1]:
        return None
    axis = axes[0] % rank
    length, size = graph.values[node.inputs[0]].shape[axis], graph.values[node.outputs[0]].shape[axis]
    start = starts[0] + length if starts[0] < 0 else min(starts[0], length)
    return Selection(node, axis, max(start, 0), size) if size < length else None


@rule("gather-as-slice", "Gather", "a selection that can move on", radius=1)
def gather_as_slice(graph: TensorGraph, node: Node, new: New) -> Iterator[Patch]:
    """Picking one position, or neighbouring ones, is a slice."""
    source, held = graph.values[node.inputs[0]], constant(graph, node.inputs[1])
    if source.is_constant or held is None or len(held.shape) > 1 or not source.shape or held.array.size == 0:
        return
    axis = int(node.attribute("axis", 0)) % len(source.shape)
    positions = [int(i) % source.shape[axis] for i in held.array.ravel()]
    if positions != list(range(positions[0], positions[0] + len(positions))):
        return
    out, patch = graph.values[node.outputs[0]], new()
    found = Selection(node, axis, positions[0], len(positions))
    if held.shape:
        found.emit(patch, source.name, axis, out.name)
    else:
        kept = found.emit(patch, source.name, axis)
        patch.emit("Reshape", [kept, patch.ints(out.shape)], makes=out.name)
    yield patch


@rule("select-before", "Slice", "work for the rows that are needed only", radius=2)
def select_before(graph: TensorGraph, node: Node, new: New) -> Iterator[Patch]:
    """A selection of rows moves before an operator that treats rows one by one."""
    found = selection(graph, node)
    inner = producer(graph, node.inputs[0])
    if found is None or inner is None or not only_reader(graph, node.inputs[0]) or len(inner.makes) != 1:
        return
    move = _MOVES.get(inner.operator)
    if move is not None:
        patch = new()
        if move(graph, found, inner, patch):
            yield patch


@rule("shared-selection", "Slice", "work for the rows that are needed only", radius=2)
def shared_selection(graph: TensorGraph, node: Node, new: New) -> Iterator[Patch]:
    """A slice of a slice of the same axis is one slice."""
    outer, inner_node = selection(graph, node), producer(graph, node.inputs[0], "Slice")
    inner = selection(graph, inner_node) if inner_node is not None else None
    if outer is None or inner is None or outer.axis != inner.axis:
        return
    patch = new()
    whole = Selection(node, outer.axis, inner.start + outer.start, outer.size)
    whole.emit(patch, inner.node.inputs[0], outer.axis, node.outputs[0])
    yield patch


@rule("split-as-slices", "Split", "parts that can be taken separately", radius=2)
def split_as_slices(graph: TensorGraph, node: Node, new: New) -> Iterator[Patch]:
    """A split is a slice for each part, where an operator of single rows could be sliced before."""
    if producer(graph, node.inputs[0], "Transpose", "Reshape") is None or not all(node.outputs):
        return
    axis = int(node.attribute("axis", 0)) % len(graph.values[node.inputs[0]].shape)
    patch, start = new(), 0
    for name in node.outputs:
        size = graph.values[name].shape[axis]
        Selection(node, axis, start, size).emit(patch, node.inputs[0], axis, name)
        start += size
    yield patch


# -- how a selection moves before each kind of operator --------------------------------------------------------------


def _before_unary(graph: TensorGraph, found: Selection, inner: Node, patch: Patch) -> bool:
    dtype = graph.values[found.node.outputs[0]].dtype
    small = found.emit(patch, inner.inputs[0], found.axis)
    patch.emit(inner.operator, [small, *inner.inputs[1:]], makes=found.node.outputs[0], dtype=dtype, **inner.attributes)
    return True


def _before_binary(graph: TensorGraph, found: Selection, inner: Node, patch: Patch) -> bool:
    rank, inputs = len(graph.values[inner.outputs[0]].shape), []
    for name in inner.inputs:
        shape = graph.values[name].shape
        axis = found.axis - (rank - len(shape))
        inputs.append(name if axis < 0 or shape[axis] == 1 else found.emit(patch, name, axis))
    patch.emit(inner.operator, inputs, makes=found.node.outputs[0], **inner.attributes)
    return True


def _before_rowwise(graph: TensorGraph, found: Selection, inner: Node, patch: Patch) -> bool:
    """Softmax and layer normalisation: rows outside their axes."""
    rank = len(graph.values[inner.inputs[0]].shape)
    axis = int(inner.attribute("axis", -1)) % rank
    blocked = found.axis >= axis if inner.operator == "LayerNormalization" else found.axis == axis
    return not blocked and len(inner.makes) == 1 and _before_unary(graph, found, inner, patch)


def _before_matmul(graph: TensorGraph, found: Selection, inner: Node, patch: Patch) -> bool:
    """Rows of the result are rows of the left factor; an axis of the stack is an axis of both."""
    shapes = [graph.values[name].shape for name in inner.inputs]
    rank = len(graph.values[inner.outputs[0]].shape)
    if min(map(len, shapes)) < 2:
        return False
    inputs = list(inner.inputs)
    for i, own in ((0, rank - 2), (1, rank - 1)):
        axis = found.axis - (rank - len(shapes[i]))
        if found.axis >= rank - 2:
            if found.axis == own:
                inputs[i] = found.emit(patch, inputs[i], axis)
        elif axis >= 0 and shapes[i][axis] > 1:
            inputs[i] = found.emit(patch, inputs[i], axis)
    if any(graph.values[name].is_constant for name in inner.inputs if name not in inputs):
        return False  # columns of constant weights are split-product's
    patch.emit("MatMul", inputs, makes=found.node.outputs[0])
    return True


def _before_transpose(graph: TensorGraph, found: Selection, inner: Node, patch: Patch) -> bool:
    rank = len(graph.values[inner.inputs[0]].shape)
    perm = inner.attribute("perm", tuple(reversed(range(rank))))
    small = found.emit(patch, inner.inputs[0], perm[found.axis])
    patch.emit("Transpose", [small], makes=found.node.outputs[0], perm=tuple(perm))
    return True


def _before_reshape(graph: TensorGraph, found: Selection, inner: Node, patch: Patch) -> bool:
    """The axis must be one of the tensor before, with as many elements before and after it."""
    before, after = graph.values[inner.inputs[0]].shape, graph.values[inner.outputs[0]].shape
    for axis, size in enumerate(before):
        if size == after[found.axis] and prod(before[:axis]) == prod(after[: found.axis]):
            small = found.emit(patch, inner.inputs[0], axis)
            out = graph.values[found.node.outputs[0]]
            if 0 in out.shape:
                return False
            patch.emit("Reshape", [small, patch.ints(out.shape)], makes=out.name)
            return True
    return False


def _before_concat(graph: TensorGraph, found: Selection, inner: Node, patch: Patch) -> bool:
    """Along another axis, of every part; along the same, of the part that holds it all."""
    rank = len(graph.values[inner.outputs[0]].shape)
    axis, out, start = int(inner.attribute("axis")) % rank, found.node.outputs[0], 0
    if axis != found.axis:
        parts = [found.emit(patch, name, found.axis) for name in inner.inputs]
        patch.emit("Concat", parts, makes=out, axis=axis)
        return True
    for name in inner.inputs:
        size = graph.values[name].shape[axis]
        if start <= found.start and found.start + found.size <= start + size:
            if found.size == size:
                if not is_free(graph, out):
                    return False
                patch.rename(out, name)
            else:
                Selection(found.node, axis, found.start - start, found.size).emit(patch, name, axis, out)
            return True
        start += size
    return False


def _before_conv(graph: TensorGraph, found: Selection, inner: Node, patch: Patch) -> bool:
    """Images of a batch."""
    if found.axis != 0:
        return False
    return _before_unary(graph, found, inner, patch)


_MOVES: dict[str, Callable[[TensorGraph, Selection, Node, Patch], bool]] = {
    **dict.fromkeys(UNARY, _before_unary),
    **dict.fromkeys(BINARY, _before_binary),
    "Softmax": _before_rowwise,
    "LogSoftmax": _before_rowwise,
    "LayerNormalization": _before_rowwise,
    "MatMul": _before_matmul,
    "Transpose": _before_transpose,
    "Reshape": _before_reshape,
    "Concat": _before_concat,
    "Conv": _before_conv,
}
