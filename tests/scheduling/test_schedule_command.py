"""``nas-proxy schedule``: from an ONNX file to stages a person can read."""

from __future__ import annotations

import re

import pytest
import torch
from torch import nn
from typer.testing import CliRunner

from nas_proxy.cli import app
from nas_proxy.errors import InputError, UnknownNameError
from nas_proxy.graph import from_torch, save_onnx


@pytest.fixture(scope="module")
def model(tmp_path_factory):
    layers = [module for _ in range(6) for module in (nn.Conv2d(64, 64, 3, padding=1), nn.ReLU())]
    return save_onnx(from_torch(nn.Sequential(*layers), (1, 64, 32, 32)), tmp_path_factory.mktemp("models") / "m.onnx")


def run(*arguments):
    return CliRunner().invoke(app, ["schedule", *map(str, arguments)])


@pytest.mark.parametrize("scheduler", ["respect", "dp", "compiler"])
def test_stages_and_gains(model, scheduler):
    result = run(model, "--device", "edge-tpu-x2", "--scheduler", scheduler)
    assert result.exit_code == 0, result.output
    assert "inputs a second" in result.output
    assert "x one device" in " ".join(result.output.split())
    rows = [line.split() for line in result.output.splitlines() if line.strip()[:1] in {"1", "2"}]
    assert [row[0] for row in rows[:2]] == ["1", "2"]
    assert sum(int(row[1]) for row in rows[:2]) == 12


class Wide(nn.Module):
    """Thirteen branches: more order ideals than ideal_dp looks at."""

    def __init__(self):
        super().__init__()
        self.branches = nn.ModuleList(nn.Conv2d(8, 8, 1) for _ in range(13))

    def forward(self, x):
        return torch.cat([branch(x) for branch in self.branches], 1)


def test_what_is_proven_is_said(model, tmp_path):
    def said(path, scheduler):
        result = run(path, "--device", "edge-tpu-x2", "--scheduler", scheduler)
        assert result.exit_code == 0, result.output
        return " ".join(result.output.split())

    assert re.search(r"slowest stage: [\d.]+ ms, optimal", said(model, "ideal_dp"))
    assert re.search(r"slowest stage: [\d.]+ ms, optimal", said(model, "milp"))
    assert "ms, dp proves no bound" in said(model, "dp")
    wide = save_onnx(from_torch(Wide(), (1, 8, 8, 8)), tmp_path / "wide.onnx")
    found = re.search(
        r"slowest stage: ([\d.]+) ms, ideal_dp gave up: at most ([\d.]+) % above the optimum \(at least ([\d.]+) ms\)",
        said(wide, "ideal_dp"),
    )
    bottleneck, percent, bound = map(float, found.groups())
    assert 0 < bottleneck / bound - 1 <= (percent + 2) / 100  # both are rounded


def test_one_device(model):
    result = run(model, "--device", "edge-tpu")
    assert result.exit_code == 0, result.output
    assert "x one device" not in result.output


def test_a_network_without_cost(tmp_path):
    view = save_onnx(from_torch(nn.Flatten(), (1, 3, 8, 8)), tmp_path / "none.onnx")
    result = run(view, "--device", "edge-tpu-x4")
    assert result.exit_code == 0, result.output
    assert "by respect" in result.output


@pytest.mark.parametrize(
    ("arguments", "error", "message"),
    [
        (("--device", "eyeriss"), InputError, "eyeriss is no pipeline: networks are cut"),
        (("--device", "edge-tpu-x3"), UnknownNameError, "Did you mean 'edge-tpu"),
        (("--scheduler", "respct"), UnknownNameError, "Did you mean 'respect'"),
    ],
)
def test_wrong_names(model, arguments, error, message):
    result = run(model, *arguments)
    assert isinstance(result.exception, error)
    assert message in str(result.exception)
