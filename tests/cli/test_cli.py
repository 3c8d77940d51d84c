"""The commands as a user meets them: files in, files out, one message for what is wrong."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from typer.testing import CliRunner

from nas_proxy.cli import app
from nas_proxy.datasets import LatencyTable
from nas_proxy.errors import InputError
from nas_proxy.spaces import get_space

_OWN_SPACE = """
from nas_proxy.spaces.nasbench201 import NasBench201

class Mine(NasBench201):
    name = "mine"
"""


def _write(path: Path, space_text: str, n: int, seed: int, power: float) -> Path:
    """A CSV of ``n`` latencies that follow the multiply-accumulates."""
    space = get_space(space_text)
    archs = space.sample(n, seed)
    macs = space.features(archs)[:, space.feature_names.index("live_macs")]
    LatencyTable(space_text, tuple(archs), (path.stem,), (0.1 + (macs / macs.max()) ** power)[:, None]).to_csv(path)
    return path


def _run(folder: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "nas_proxy.cli", *arguments]
    return subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False)


@pytest.fixture(scope="module")
def folder(tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("cli")
    _write(folder / "proxy.csv", "nasbench201", 60, 0, 1.0)
    _write(folder / "target.csv", "nasbench201", 20, 1, 0.8)
    _write(folder / "small.csv", "nasbench201(channels=4)", 20, 1, 0.8)
    return folder


def test_suggest_adapt_rank_from_files(folder):
    done = _run(folder, "suggest", "--proxy", "proxy.csv", "-n", "20", "-o", "suggested.csv")
    assert done.returncode == 0, done.stderr
    assert len((folder / "suggested.csv").read_text().splitlines()) == 22
    done = _run(folder, "adapt", "--proxy", "proxy.csv", "--target", "target.csv")
    assert done.returncode == 0, done.stderr
    assert "Kendall" in done.stdout
    done = _run(folder, "rank", "--proxy", "proxy.csv", "--target", "target.csv", "-o", "ranking.csv")
    assert done.returncode == 0, done.stderr
    predicted = [float(line.split(",")[1]) for line in (folder / "ranking.csv").read_text().splitlines()[2:]]
    assert len(predicted) == 15_625
    assert np.all(np.diff(predicted) >= 0)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["rank", "--proxy", "proxy.csv", "--target", "target.csv", "-o", "target.csv"], "holds measurements"),
        (["adapt", "--proxy", "proxy.csv", "--target", "target.csv", "-o", "proxy.csv"], "holds measurements"),
        (["suggest", "--proxy", "proxy.csv", "-o", "target.csv"], "may hold measurements"),
        (["suggest", "--proxy", "proxy.csv", "-o", "/proc/x.csv"], "/proc/"),
        (["suggest", "--proxy", "absent.csv", "-o", "x.csv"], "absent.csv"),
        (["adapt", "--proxy", "proxy.csv", "--target", "small.csv"], "nasbench201(channels=4)"),
        (["measure", "--space", "nasbench210", "--device", "host-torch", "-n", "3", "-o", "x.csv"], "'nasbench201'?"),
        (["measure", "--space", "fbnet", "--device", "host-torhc", "-n", "3", "-o", "x.csv"], "'host-torch'?"),
        (["run", "--resume", "nowhere"], "holds no run"),
        (["run", "quickstrat"], "'quickstart'?"),
        (["run"], "give a configuration"),
    ],
)
def test_bad_input_is_one_message_and_touches_nothing(folder, arguments, message):
    before = {path: path.read_bytes() for path in folder.glob("*.csv")}
    done = _run(folder, *arguments)
    assert done.returncode == 2, done.stdout + done.stderr
    assert "Traceback" not in done.stderr
    assert message in done.stderr
    assert before == {path: path.read_bytes() for path in before}


@pytest.mark.parametrize(
    "arguments",
    [
        "map --layer gemm:8x8x8 --seed -1",
        "optimise small.onnx -o out.onnx --seed -1",
        "optimise small.onnx -o out.onnx --seconds -1",
        "evaluate proxy.csv --target eyeriss --seed -1",
        "compress respect --sweep --seed -1",
        "train respect -o x --seed -1",
        "inspect small.onnx --rows 0",
        "inspect small.onnx --batch 0",
    ],
)
def test_numbers_out_of_range(arguments):
    result = CliRunner().invoke(app, arguments.split())
    assert result.exit_code == 2
    assert "greater than or equal" in result.output or ">=" in result.output


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ("inspect .", "a folder: expected the path of an ONNX model"),
        ("measure --space fbnet -n 2 --archs proxy.csv --device x -o y.csv", "give -n or --archs, not both"),
        ("measure --space fbnet -p a=-4 -n 2 --device x -o y.csv", "a positive whole number, found 'a=-4'"),
        ("measure --space fbnet -n 2 --device edge-tpu -o y.csv --jobs 0", "at least 1, or -1 for one a core, found 0"),
        ("measure --space fbnet -n 2 --device edge-tpu -o y.csv --backend ryy", "Did you mean 'ray'?"),
        ("fleet x.csv --proxy proxy.csv --limit-ms 3 --limit-quantile 0.2", "--limit-ms or --limit-quantile, not both"),
        ("rank --proxy proxy.csv --target small.csv", "Use files of one space."),
        ("suggest --proxy small.csv --space nasbench201 -o y.csv", "Leave the space out"),
        ("adapt --proxy proxy.csv --target target.csv --archs nope.csv", "give --output too"),
        ("zoo --proxy proxy.csv --suggest y.csv --json", "without --output, --top1 and --json"),
        ("zoo --proxy proxy.csv --suggest y.csv -o z.csv", "without --output, --top1 and --json"),
        ("zoo --proxy proxy.csv --suggest y.csv --top1 z.csv", "without --output, --top1 and --json"),
        ("run --resume somewhere --folder y.csv", "leave --folder out"),
        ("doctor --fix --remove-hook", "--fix or --remove-hook, not both"),
        ("evaluate proxy.csv --target edge-tpu --no-rewriting --rewriter beam", "--rewriter or --no-rewriting"),
        ("evaluate proxy.csv --target edge-tpu --mapper nonsense", "unknown mapper 'nonsense'"),
        ("evaluate proxy.csv --target eyeriss --scheduler nonsense", "unknown scheduler 'nonsense'"),
        ("measure --space fbnet -n 1 --device os:getcwd -o y.csv", "a device kind is called with (name, description)"),
    ],
)
def test_options_that_do_not_fit(folder, monkeypatch, arguments, message):
    monkeypatch.chdir(folder)
    result = CliRunner().invoke(app, arguments.split())
    assert isinstance(result.exception, InputError), result.output
    assert message in str(result.exception)
    assert not (folder / "y.csv").exists()


def test_own_space_is_named_by_module_and_class(folder):
    (folder / "my_spaces.py").write_text(_OWN_SPACE)
    done = _run(folder, "export", "--space", "my_spaces:Mine", "-p", "channels=4", "-n", "2", "-o", "nets")
    assert done.returncode == 0, done.stderr
    assert "# space: my_spaces:Mine(channels=4)" in (folder / "nets" / "latencies.csv").read_text()
    done = _run(folder, "suggest", "--proxy", "nets/latencies.csv", "-o", "y.csv")
    assert done.returncode == 2
    assert "my_spaces:Mine is code" in done.stderr


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ("evaluate proxy.csv --target eyeriss -o proxy.csv", "holds measurements"),
        ("evaluate plain.csv --target eyeriss -o plain.csv", "is read by this command"),
        ("rank --proxy proxy.csv --target target.csv --archs plain.csv -o plain.csv", "is read by this command"),
        ("rank --proxy proxy.csv --target target.csv --accuracy plain.csv -o plain.csv", "is read by this command"),
        ("adapt --proxy proxy.csv --target target.csv --archs plain.csv -o plain.csv", "is read by this command"),
        ("fleet target.csv --proxy proxy.csv --accuracy plain.csv -o plain.csv", "is read by this command"),
        ("zoo --proxy plain.csv --target target.csv -o plain.csv", "is read by this command"),
        ("zoo --proxy proxy.csv --target target.csv --top1 plain.csv -o plain.csv", "is read by this command"),
        ("optimise small.onnx -o proxy.csv", "holds measurements"),
        ("optimise small.onnx -o plain.csv", "is no .onnx file"),
        ("train respect -o proxy.csv", "holds measurements"),
        ("train rewriter -o plain.csv", "is no .safetensors file"),
        ("report somewhere -o plain.csv", "is no .html file"),
    ],
)
def test_output_replaces_no_input(folder, monkeypatch, arguments, message):
    monkeypatch.chdir(folder)
    (folder / "plain.csv").write_text("# space: nasbench201\narch,accuracy\n")
    before = {path: path.read_bytes() for path in folder.glob("*.csv")}
    result = CliRunner().invoke(app, arguments.split())
    assert isinstance(result.exception, InputError), result.output
    assert message in str(result.exception)
    assert before == {path: path.read_bytes() for path in folder.glob("*.csv")}
