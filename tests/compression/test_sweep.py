"""The grid: it goes on where it stopped, and what it chooses is confirmed."""

from __future__ import annotations

import csv
import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from typer.testing import CliRunner

from nas_proxy import extensions
from nas_proxy.cli import app
from nas_proxy.compression import Task, sweep
from nas_proxy.errors import InputError, UnknownNameError

from . import _tasks


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A sweep that was interrupted in its second method, and finished by the command."""
    path = tmp_path_factory.mktemp("sweep") / "out"

    def stop(done: int, total: int) -> None:
        if done == 1:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        sweep(_tasks.task(), path, on_progress=stop)
    assert [file.name for file in (path / "methods").iterdir()] == ["float32.json"]
    before = (path / "methods" / "float32.json").stat().st_mtime_ns
    name = f"{_tasks.__name__}:task"
    result = CliRunner().invoke(app, ["compress", name, "--sweep", "-o", str(path)])
    assert result.exit_code == 0, result.output
    assert "Fastest that keep the return: " in result.output
    assert "Chosen: L2 0.5 + distil 20" in result.output or "Chosen: float32" in result.output
    assert (path / "methods" / "float32.json").stat().st_mtime_ns == before
    return path


def test_files(folder: Path) -> None:
    rows = list(csv.DictReader((folder / "sweep.csv").read_text().splitlines()))
    assert {row["method"] for row in rows} == set(_tasks.task().methods)
    assert [int(row["file_bytes"]) for row in rows] == sorted(int(row["file_bytes"]) for row in rows)
    assert json.loads((folder / "sweep.json").read_text())["chosen"] in _tasks.task().methods
    assert (folder / "sweep.png").stat().st_size > 1000


def test_the_smallest_that_keeps_the_return_on_both_sets_of_seeds(folder: Path) -> None:
    found = sweep(_tasks.task(), folder)
    assert found.chosen is not None
    smaller = [r for r in found.reports if r.after.file_bytes < found.chosen.after.file_bytes]
    confirmed = {path.stem for path in (folder / "confirmed").iterdir()}
    assert all(not r.keeps or r.method.replace(" ", "-") in confirmed for r in smaller)
    assert (
        found.chosen.returns_after.mean
        != next(r for r in found.reports if r.method == found.chosen.method).returns_after.mean
    )


def test_a_finished_sweep_evaluates_nothing(folder: Path) -> None:
    def forbidden(actor: Any, seed: int) -> float:
        raise AssertionError("evaluated again")

    again = sweep(replace(_tasks.task(), evaluate=forbidden), folder)
    assert [r.method for r in again.reports]


def test_another_policy_in_the_same_folder(folder: Path) -> None:
    with pytest.raises(InputError, match=r"sweep of another kind \(different: weights\)"):
        sweep(replace(_tasks.task(), policy=_tasks.actor(seed=5)), folder)


def test_names() -> None:
    assert {"respect", "rewriter"} <= set(extensions.names("policies"))
    with pytest.raises(UnknownNameError, match=r"unknown policy 'respct'. Did you mean 'respect'"):
        extensions.get("policies", "respct")
    with pytest.raises(InputError, match="No module named 'nowhere'"):
        extensions.get("policies", "nowhere:task")
    with pytest.raises(InputError, match="gives str: expected a Task"):
        extensions.get("policies", f"{_tasks.__name__}:nothing")
    extensions.register("policies", "follower", _tasks.task)
    assert np.shape(extensions.get("policies", "follower").observations) == (300, 4)


def test_methods_are_refused_before_the_policy_is_made() -> None:
    def never() -> Task:
        raise AssertionError("the policy was made")

    extensions.register("policies", "never", never)
    result = CliRunner().invoke(app, ["compress", "never", "-m", "L2 1.5"])
    assert isinstance(result.exception, InputError)
    assert "above 0 and below 1, found 1.5" in str(result.exception)


def test_the_command_wants_a_sweep_or_methods() -> None:
    for arguments in (["compress", "respect"], ["compress", "respect", "--sweep", "-m", "PTDQ"]):
        result = CliRunner().invoke(app, arguments)
        assert isinstance(result.exception, InputError)
        assert "give --sweep" in str(result.exception)
