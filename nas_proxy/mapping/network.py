"""Networks as mapped layers: which operators an array runs, and what the others move."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from math import prod

from nas_proxy.graph import Node, TensorGraph, annotate
from nas_proxy.mapping.layer import Layer

__all__ = ["Operator", "operators_of"]

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

    Convolutions (any stride, dilation, groups), fully connected layers and matrix products run on the array. Functions
    of single elements right behind them (activations, batch normalisation) are applied on the way out. Everything else
    (pooling, sums of branches, softmax) passes through memory.

    Raises:
        InputError: an operator without a cost formula (see :func:`nas_proxy.graph.annotate`).
    """
    precision = _PRECISION[min((bits for bits in _PRECISION if bits >= word_bits), default=64)]
    word_bytes = max(word_bits, 8) / 8
    mapped: set[str] = set()  # values that a layer, or a function on its way out, has made
    operators = []
    for cost in annotate(graph, precision).costs:
        node = cost.node
        layer = _layer(node, graph) if cost.macs else None
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
    return operators


def _layer(node: Node, graph: TensorGraph) -> Layer | None:
    """The layer of a node, or None where it is not one that an array runs."""
    inputs = [value for value in graph.inputs_of(node) if value is not None]
    out = graph.values[node.makes[0]].shape
    if node.operator in ("Conv", "ConvInteger", "QLinearConv"):
        weights = inputs[3 if node.operator == "QLinearConv" else 1].shape
        groups = node.attribute("group", 1)
        rows, columns = _two(out[2:]), _two(weights[2:])
        depthwise = groups > 1 and weights[1] == 1 and weights[0] == groups
        return Layer(
            "dwconv" if depthwise else "conv",
            n=out[0],
            g=groups,
            k=out[1] // groups,
            c=weights[1],
            p=rows[0],
            q=rows[1],
            r=columns[0],
            s=columns[1],
            stride=_two(node.attribute("strides", (1, 1))),
            dilation=_two(node.attribute("dilations", (1, 1))),
            name=node.name,
        )
    if node.operator == "Gemm":
        a = inputs[0].shape
        depth = a[0] if node.attribute("transA", 0) else a[1]
        return _product(node.name, 1, out[0], out[1], depth, weights=inputs[1].is_constant)
    if node.operator in ("MatMul", "MatMulInteger", "FusedMatMul"):
        depth = inputs[0].shape[-1]
        *rows, columns = out or (1,)
        if inputs[1].is_constant and len(inputs[1].shape) == 2:  # one matrix for all: their rows are stacked
            return _product(node.name, 1, prod(rows), columns, depth, weights=True)
        return _product(node.name, prod(rows[:-1]), rows[-1] if rows else 1, columns, depth, weights=False)
    return None


def _product(name: str, batch: int, m: int, n: int, k: int, weights: bool) -> Layer:
    """``batch`` products of (m, k) by (k, n); a single row by constant weights is a fully connected layer."""
    if weights and m == 1:
        return Layer("fc", k=n, c=k, name=name)
    return Layer("gemm", g=batch, p=m, k=n, c=k, name=name)


def _two(values: Iterable[int]) -> tuple[int, int]:
    """Rows and columns; a one-dimensional convolution has one row."""
    pair = tuple(int(v) for v in values)
    return (1, pair[0]) if len(pair) == 1 else (pair[0], pair[1])
