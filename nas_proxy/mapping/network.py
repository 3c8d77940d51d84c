"""Networks as mapped layers: which operators an array runs, and what the others move."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from math import ceil, prod

from nas_proxy.errors import InputError
from nas_proxy.graph import Node, TensorGraph, Value, annotate
from nas_proxy.mapping.layer import Layer

__all__ = ["Operator", "operators_of"]

_SUPPORTED = (
    "Conv and ConvTranspose of one or two spatial axes (ConvTranspose with strides or dilations, not both), Gemm, "
    "MatMul, their quantized forms, and Einsum that is one matrix product"
)
_PRECISION = {4: "int4", 8: "int8", 16: "float16", 32: "float32", 64: "float64"}


@dataclass(frozen=True)
class Operator:
    """One operator of a network: a layer for the array, or words that pass through memory, or nothing (neither).

    Attributes:
        name: the node's.
        layer: what the array runs; None for anything else.
        read_words, written_words: words read and written where ``layer`` is None; 0 for views and for functions of
            single elements that the layer before applies to its outputs on their way out.
    """

    name: str
    layer: Layer | None = None
    read_words: int = 0
    written_words: int = 0


def operators_of(graph: TensorGraph, word_bits: int) -> list[Operator]:
    """All operators of a network, in order.

    Convolutions (any stride, dilation, groups; transposed ones as :func:`_transposed` says), fully connected layers and
    matrix products run on the array. Functions of single elements right behind them (activations, batch normalisation)
    are applied on the way out. Everything else without multiply-accumulates (pooling, sums of branches, softmax) passes
    through memory.

    Raises:
        InputError: an operator without a cost formula (see :func:`nas_proxy.graph.annotate`), or operators with
            multiply-accumulates that are no layer of an array; names them all, with a node of each.
    """
    precision = _PRECISION[min((bits for bits in _PRECISION if bits >= word_bits), default=64)]
    word_bytes = max(word_bits, 8) / 8
    mapped: set[str] = set()  # values that a layer, or a function on its way out, has made
    operators = []
    refused: dict[str, list[str]] = {}
    for cost in annotate(graph, precision).costs:
        node = cost.node
        layer = _layer(node, graph) if cost.macs else None
        if cost.macs and layer is None:
            refused.setdefault(node.operator, []).append(node.name)
        if layer is not None:
            operators.append(Operator(node.name, layer))
            mapped.update(node.makes)
            continue
        varying = [name for name in node.reads if not graph.values[name].is_constant]
        alone = len(varying) == 1 and len(graph.consumers.get(varying[0], ())) == 1
        if cost.kind == "view" or (cost.kind in ("elementwise", "normalisation") and alone and varying[0] in mapped):
            mapped.update(node.makes if varying and varying[0] in mapped else ())
            operators.append(Operator(node.name))
            continue
        read = round((cost.input_bytes + cost.parameter_bytes) / word_bytes)
        operators.append(Operator(node.name, None, read, round(cost.output_bytes / word_bytes)))
    if refused:
        listing = "; ".join(f"{what} ({len(names)} node(s), first {names[0]!r})" for what, names in refused.items())
        raise InputError(
            f"a spatial array cannot run operator(s) with multiply-accumulates: {listing}. Supported are {_SUPPORTED}: "
            "write them with these, or give the device their nas_proxy.mapping.Layer objects in a list."
        )
    return operators


def _layer(node: Node, graph: TensorGraph) -> Layer | None:
    """The layer of a node, or None where it is not one that an array runs."""
    inputs = [value for value in graph.inputs_of(node) if value is not None]
    out = graph.values[node.makes[0]].shape
    if node.operator in ("Conv", "ConvInteger", "QLinearConv", "ConvTranspose"):
        weights = inputs[3 if node.operator == "QLinearConv" else 1].shape
        if len(out) > 4:
            return None
        return (_transposed if node.operator == "ConvTranspose" else _convolution)(node, weights, out)
    if node.operator == "Gemm":
        a = inputs[0].shape
        depth = a[0] if node.attribute("transA", 0) else a[1]
        return _product(node.name, 1, out[0], out[1], depth, weights=inputs[1].is_constant)
    if node.operator in ("MatMul", "MatMulInteger", "FusedMatMul", "QLinearMatMul"):
        second = inputs[3 if node.operator == "QLinearMatMul" else 1]
        depth = inputs[0].shape[-1]
        *rows, columns = out or (1,)
        if second.is_constant and len(second.shape) == 2:  # one matrix for all: their rows are stacked
            return _product(node.name, 1, prod(rows), columns, depth, weights=True)
        return _product(node.name, prod(rows[:-1]), rows[-1] if rows else 1, columns, depth, weights=False)
    return _einsum(node, inputs) if node.operator == "Einsum" else None


def _convolution(node: Node, weights: tuple[int, ...], out: tuple[int, ...]) -> Layer:
    groups = node.attribute("group", 1)
    (p, q), (r, s) = _two(out[2:]), _two(weights[2:])
    return Layer(
        "dwconv" if groups > 1 and weights[1] == 1 and weights[0] == groups else "conv",
        n=out[0],
        g=groups,
        k=out[1] // groups,
        c=weights[1],
        p=p,
        q=q,
        r=r,
        s=s,
        stride=_two(node.attribute("strides", (1, 1))),
        dilation=_two(node.attribute("dilations", (1, 1))),
        name=node.name,
    )


def _transposed(node: Node, weights: tuple[int, ...], out: tuple[int, ...]) -> Layer | None:
    """A transposed convolution as the convolution that makes the same outputs (Shi et al., 2016, arXiv:1609.07009).

    Outputs at the same phase of the stride share a part of the kernel, so that each phase is an output channel more:
    1/stride of the positions and 1/stride of the kernel, in rows and columns. A phase whose part is shorter than the
    others' counts with zeros (3 x 3 at stride 2: 16 MACs for 9), as padding does. None where dilations meet strides.
    """
    stride, dilation = _two(node.attribute("strides", (1, 1))), _two(node.attribute("dilations", (1, 1)))
    if stride != (1, 1) and dilation != (1, 1):
        return None
    groups, phases = node.attribute("group", 1), prod(stride)
    (p, r), (q, s) = (
        (ceil(size / step), ceil(kernel / step))
        for size, kernel, step in zip(_two(out[2:]), _two(weights[2:]), stride, strict=True)
    )
    k, c = phases * weights[1], weights[0] // groups
    kind = "dwconv" if groups > 1 and k == c == 1 else "conv"
    return Layer(kind, n=out[0], g=groups, k=k, c=c, p=p, q=q, r=r, s=s, dilation=dilation, name=node.name)


def _einsum(node: Node, inputs: list[Value]) -> Layer | None:
    """A sum over the indices that two operands share and the result does not keep; None for anything else."""
    terms, arrow, kept = str(node.attribute("equation")).replace(" ", "").partition("->")
    operands = terms.split(",")
    if not arrow:  # ONNX: the indices that occur once
        kept = "".join(index for index in terms if index != "," and terms.count(index) == 1)
    if len(operands) != 2 or any(len(set(term)) != len(term) for term in operands):
        return None
    (first, a), (second, b) = zip(operands, inputs, strict=True)
    if a.is_constant and not b.is_constant:
        first, a, second, b = second, b, first, a
    size = dict(zip(first, a.shape, strict=True)) | dict(zip(second, b.shape, strict=True))
    if (set(first) ^ set(second)) - set(kept) or (*a.shape, *b.shape) != tuple(size[i] for i in first + second):
        return None  # an index of one operand alone is summed, or one is broadcast

    def extent(indices: set[str]) -> int:
        return prod(size[index] for index in indices)

    shared, one, other = set(first) & set(second), set(first) - set(second), set(second) - set(first)
    batch, depth = extent(shared & set(kept)), extent(shared - set(kept))
    return _product(node.name, batch, extent(one), extent(other), depth, weights=b.is_constant and batch == 1)


def _product(name: str, batch: int, m: int, n: int, k: int, weights: bool) -> Layer:
    """``batch`` products of (m, k) by (k, n); a single row by constant weights is a fully connected layer."""
    if weights and m == 1:
        return Layer("fc", k=n, c=k, name=name)
    return Layer("gemm", g=batch, p=m, k=n, c=k, name=name)


def _two(values: Iterable[int]) -> tuple[int, int]:
    """Rows and columns; a one-dimensional convolution has one row."""
    pair = tuple(int(v) for v in values)
    return (1, pair[0]) if len(pair) == 1 else (pair[0], pair[1])
