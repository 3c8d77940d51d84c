"""The examples of docs/other-hosts.md, each run as a program of its own, by the host itself."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest
from hosts import write_latencies

from nas_proxy.spaces import get_space

PAGE = Path(__file__).parents[2] / "docs" / "other-hosts.md"
BLOCKS = re.findall(r"^```python\n(.*?)^```$", PAGE.read_text(encoding="utf-8"), re.MULTILINE | re.DOTALL)
SET_UP, LOOP, OPTUNA, RAY, SYNE_TUNE, SYNE_TUNE_TRIAL = BLOCKS


def run(example: str, folder: Path, **environment: str) -> list[str]:
    """The lines that a program prints, in an empty folder with the two tables in it."""
    write_latencies(folder / "proxy.csv", "laptop", 60, seed=0)
    write_latencies(folder / "phone.csv", "phone", 20, seed=1)
    (folder / "example.py").write_text(f"{SET_UP}\n\n{example}")
    done = subprocess.run(
        [sys.executable, "example.py"],
        cwd=folder,
        env={**os.environ, "HOME": str(folder), **environment},
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout.splitlines()


def test_a_loop_of_ones_own(tmp_path: Path) -> None:
    lines = run(LOOP, tmp_path)
    assert lines
    assert all(float(line.split()[-1]) <= 8 for line in lines)


def test_optuna(tmp_path: Path) -> None:
    pytest.importorskip("optuna", reason="needs the extra optuna")
    best, front = run(OPTUNA, tmp_path)[-1].split()
    assert float(best) <= 100
    assert int(front) >= 1
    assert (tmp_path / "search" / "search.json").exists()


@pytest.mark.slow
def test_ray_tune(tmp_path: Path) -> None:
    pytest.importorskip("ray.tune", reason="needs the extra ray")
    arch, front = run(RAY, tmp_path, RAY_AIR_NEW_OUTPUT="0")[-1].split()
    assert get_space("nasbench201").from_str(arch) == arch
    assert int(front) >= 1


def test_syne_tune(tmp_path: Path) -> None:
    pytest.importorskip("syne_tune", reason="needs the extra syne-tune")
    (tmp_path / "train.py").write_text(SYNE_TUNE_TRIAL)
    assert int(run(SYNE_TUNE, tmp_path)[-1]) >= 1
