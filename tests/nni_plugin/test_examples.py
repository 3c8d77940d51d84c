"""The examples run as they are, and keep to their limit."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

EXAMPLES = Path(__file__).parents[2] / "examples"


def run(folder: Path, script: str, *arguments: str) -> list[str]:
    """The lines printed."""
    done = subprocess.run(
        [sys.executable, "-W", "ignore", EXAMPLES / f"{script}.py", *arguments, "--folder", folder],
        cwd=EXAMPLES,
        env=os.environ | {"OMP_NUM_THREADS": "1", "NNI_CONFIG_DIR": str(folder / "nni-config")},
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout.splitlines()


def limit_in(lines: list[str]) -> float:
    [limit] = [found[1] for line in lines if (found := re.match(r"onnxruntime at most ([0-9.]+) ms", line))]
    return float(limit)


@pytest.mark.parametrize("engine", ["sequential", pytest.param("ts", marks=[pytest.mark.slow, pytest.mark.nni])])
def test_strategy(engine: str, tmp_path: Path) -> None:
    pytest.importorskip("onnxruntime")
    lines = run(tmp_path, "proxy_strategy", "--engine", engine, "--models", "3")
    latencies = [
        float(found[1]) for line in lines if (found := re.match(r" *[0-9.]+ %.*onnxruntime ([0-9.]+) ms", line))
    ]
    assert latencies
    assert max(latencies) <= limit_in(lines)


@pytest.mark.slow
@pytest.mark.parametrize("what", ["range", "evolution", "one-shot"])
def test_profiler(what: str, tmp_path: Path) -> None:
    pytest.importorskip("onnxruntime")
    lines = run(tmp_path, "latency_profiler", what, "--models", "4")
    latencies = [float(found[1]) for line in lines if (found := re.match(r"([0-9.]+) ms  \{", line))]
    if what == "one-shot":  # NNI exports any model of the super-net
        assert len(latencies) == 1
    else:
        assert all(latency <= limit_in(lines) for latency in latencies)
