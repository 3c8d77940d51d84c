"""Costs of torch modules against numbers worked out by hand, and the command that shows them."""

import pytest
from typer.testing import CliRunner

from nas_proxy.cli import app
from nas_proxy.errors import InputError, UnknownNameError
from nas_proxy.graph import annotate, from_torch, save_onnx

pytest.importorskip("torch", reason="a trace is of a torch module")
from torch import nn


@pytest.mark.parametrize(
    ("module", "shape", "kind", "macs"),
    [
        (nn.Conv2d(16, 32, 3, padding=1, bias=False), (2, 16, 10, 10), "convolution", 2 * 32 * 100 * 16 * 9),
        (nn.Conv2d(16, 32, 3, padding=1, groups=4, bias=False), (1, 16, 10, 10), "convolution", 32 * 100 * 4 * 9),
        (nn.Conv2d(16, 16, 3, stride=2, padding=1, groups=16), (1, 16, 10, 10), "depthwise", 16 * 25 * 9),
        (nn.ConvTranspose2d(8, 4, 2, 2), (1, 8, 5, 5), "convolution", 8 * 25 * 4 * 4),
        (nn.Linear(20, 30, bias=False), (5, 20), "dense", 5 * 20 * 30),
        (nn.Linear(20, 30), (2, 5, 20), "dense", 2 * 5 * 20 * 30),
        (nn.MaxPool2d(2), (1, 4, 8, 8), "pooling", 0),
        (nn.Softmax(-1), (1, 4), "normalisation", 0),
    ],
)
def test_macs_by_hand(module, shape, kind, macs):
    cost = next(c for c in annotate(from_torch(module, shape)).costs if c.kind == kind)
    assert cost.macs == macs


def test_bytes_at_a_precision():
    graph = from_torch(nn.Conv2d(3, 8, 3, padding=1, bias=False), (1, 3, 4, 4))
    for precision, size in [("float32", 4), ("float16", 2), ("int8", 1)]:
        (cost,) = annotate(graph, precision).costs
        assert (cost.parameter_bytes, cost.input_bytes, cost.output_bytes) == (216 * size, 48 * size, 128 * size)
    assert annotate(graph, "int4").parameter_bytes == 108
    with pytest.raises(UnknownNameError, match=r"unknown precision 'int9'. Did you mean 'int8'"):
        annotate(graph, "int9")


def test_inspect_command(tmp_path):
    path = save_onnx(from_torch(nn.Sequential(nn.Conv2d(3, 8, 3), nn.ReLU()), (1, 3, 8, 8)), tmp_path / "m.onnx")
    result = CliRunner().invoke(app, ["inspect", str(path), "--precision", "int8"])
    assert result.exit_code == 0, result.output
    assert "2 operators, 0.0 M MACs" in result.output
    assert "convolution" in result.output
    assert "activations" in result.output
    result = CliRunner().invoke(app, ["inspect", str(tmp_path / "absent.onnx")])
    assert isinstance(result.exception, InputError)
