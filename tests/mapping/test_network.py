"""Operators of networks as layers of an array: every multiply-accumulate is mapped, or its operator refused by name."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from nas_proxy.errors import InputError
from nas_proxy.graph import Constant, Node, TensorGraph, Value, annotate, from_torch
from nas_proxy.mapping.layer import Layer
from nas_proxy.mapping.network import operators_of


def one(operator: str, *shapes: tuple[int, ...], constant: tuple[int, ...] = (), **attributes) -> TensorGraph:
    """A graph of one node; the last shape is the output's."""
    names = tuple("abcdefghi"[: len(shapes) - 1])
    values = {"y": Value("y", shapes[-1], "float32")}
    for i, (name, shape) in enumerate(zip(names, shapes[:-1], strict=True)):
        stored = Constant(torch.ones(shape).numpy()) if i in constant else None
        values[name] = Value(name, shape, "float32", stored)
    inputs = tuple(name for name in names if not values[name].is_constant)
    return TensorGraph((Node("node", operator, names, ("y",), attributes),), values, inputs, ("y",))


def layer_of(graph: TensorGraph) -> Layer:
    (layer,) = [operator.layer for operator in operators_of(graph, 8) if operator.layer is not None]
    return layer


@pytest.mark.parametrize(
    ("equation", "shapes", "constant", "expected"),
    [
        ("bhid,bhjd->bhij", [(2, 4, 10, 16), (2, 4, 12, 16), (2, 4, 10, 12)], (), Layer("gemm", g=8, p=10, k=12, c=16)),
        ("ij, jk", [(3, 4), (4, 5), (3, 5)], (), Layer("gemm", p=3, k=5, c=4)),
        ("btc,oc->bto", [(2, 7, 6), (5, 6), (2, 7, 5)], (1,), Layer("gemm", p=14, k=5, c=6)),
        ("oc,bc->bo", [(5, 6), (1, 6), (1, 5)], (0,), Layer("fc", k=5, c=6)),
    ],
)
def test_einsum_that_is_a_matrix_product(equation, shapes, constant, expected):
    graph = one("Einsum", *shapes, constant=constant, equation=equation)
    assert layer_of(graph) == expected
    assert expected.macs == annotate(graph).macs


def test_quantized_matrix_product():
    shapes = [(1, 9, 16), (), (), (16, 5), (), (), (), (), (1, 9, 5)]
    assert layer_of(one("QLinearMatMul", *shapes, constant=(3,))) == Layer("gemm", p=9, k=5, c=16)


@pytest.mark.parametrize(
    ("module", "shape", "expected", "padded"),
    [
        (nn.ConvTranspose2d(64, 64, 4, 2, 1), (1, 64, 32, 32), Layer(k=256, c=64, p=32, q=32, r=2, s=2), 1),
        (nn.ConvTranspose2d(8, 4, 3, 2, 1, 1), (2, 8, 5, 5), Layer(n=2, k=16, c=8, p=5, q=5, r=2, s=2), 16 / 9),
        (nn.ConvTranspose2d(6, 9, 3, padding=1, groups=3), (1, 6, 5, 7), Layer(g=3, k=3, c=2, p=5, q=7, r=3, s=3), 1),
        (nn.ConvTranspose2d(6, 6, 3, padding=1, groups=6), (1, 6, 5, 5), Layer("dwconv", g=6, p=5, q=5, r=3, s=3), 1),
        (nn.ConvTranspose1d(8, 4, 4, 2, 1), (1, 8, 10), Layer(k=8, c=8, q=10, s=2), 1),
    ],
)
def test_transposed_convolution_is_a_convolution_of_as_many_macs_and_outputs(module, shape, expected, padded):
    graph = from_torch(module.eval(), shape)
    found = layer_of(graph)
    assert found == expected
    assert found.macs == annotate(graph).macs * padded
    assert found.words[2] == module(torch.zeros(shape)).numel()


@pytest.mark.parametrize(
    ("graph", "operator"),
    [
        (from_torch(nn.Conv3d(16, 16, 3), (1, 16, 8, 8, 8)), "Conv"),
        (from_torch(nn.ConvTranspose2d(4, 4, 3, stride=2, dilation=2), (1, 4, 8, 8)), "ConvTranspose"),
        (one("LSTM", (7, 2, 5), (1, 24, 5), (1, 24, 6), (7, 1, 2, 6), hidden_size=6), "LSTM"),
        (one("Einsum", (2, 3), (3, 4), (4, 5), (2, 5), equation="ij,jk,kl->il"), "Einsum"),
        (one("Einsum", (2, 3), (4, 5), (2, 5), equation="ij,kl->il"), "Einsum"),
        (one("Einsum", (3, 3), (3, 4), (3, 4), equation="ii,ik->ik"), "Einsum"),
    ],
    ids=["3d", "dilated", "recurrent", "three-operands", "summed-alone", "diagonal"],
)
def test_what_no_array_runs_is_refused_and_never_free(graph, operator):
    name = next(cost.node.name for cost in annotate(graph).costs if cost.macs)
    with pytest.raises(InputError, match=rf"cannot run .*: {operator} \(1 node\(s\), first '{name}'\)\. Supported are"):
        operators_of(graph, 8)
