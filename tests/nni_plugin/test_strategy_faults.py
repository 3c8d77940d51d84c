"""The strategy in a NasExperiment on the training-service engine: killed, run again, the same search."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import psutil
import pytest
from isolation import port_of_this_worker

from nas_proxy.errors import InputError

pytestmark = pytest.mark.nni

toy_nas = pytest.importorskip("toy_nas")


class Script:
    """A user's script in a process of its own, and what NNI starts below it."""

    def __init__(self, folder: Path, patiently: Callable[..., Any]) -> None:
        self.folder = folder
        self.patiently = patiently
        self.process: subprocess.Popen[str] | None = None

    def start(self, action: str, models: int) -> None:
        script = Path(__file__).with_name("nas_script.py")
        self.process = subprocess.Popen(
            [sys.executable, script, action, self.folder, str(port_of_this_worker()), str(models)],
            cwd=script.parent,  # where the trials look for toy_nas
            env=os.environ | {"OMP_NUM_THREADS": "1"},
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )

    def let_finish(self, n: int) -> None:
        """The training of the first ``n`` models may end."""
        (self.folder / "leave.txt").write_text(str(n))

    def finish(self) -> str:
        assert self.process is not None
        return self.process.communicate(timeout=600)[0]

    def training(self, n: int) -> dict[str, psutil.Process]:
        """NNI's processes, with the n-th model in training, which goes on until :meth:`let_finish`."""
        self.let_finish(n - 1)
        assert self.process is not None
        pid = self.process.pid

        def found() -> dict[str, psutil.Process] | None:
            family = {}
            for process in psutil.Process(pid).children(recursive=True):
                family |= {"manager": process} if process.name() == "node" else {}
                family |= {"trial": process} if "nni.nas.execution" in " ".join(process.cmdline()[-2:]) else {}
            return family if len(family) == 2 else None

        self.patiently(lambda: len(set(self.trained)) == n and len(self.results) == n - 1, self.process)
        return self.patiently(found, self.process)

    @property
    def state(self) -> dict[str, Any]:
        path = self.folder / "search" / "search.json"
        return json.loads(path.read_text()) if path.exists() else {"engine": {"results": []}, "failures": []}

    @property
    def results(self) -> list[str]:
        return [line_of(result["arch"]) for result in self.state["engine"]["results"]]

    @property
    def trained(self) -> list[str]:
        path = self.folder / "trained.txt"
        return path.read_text().split() if path.exists() else []


def line_of(arch: str) -> str:
    """As the evaluator notes it."""
    sample = json.loads(arch)
    return ",".join(str(sample[label]) for label in ("width", "kernel", "first", "second"))


@pytest.fixture
def script(tmp_path: Path, patiently: Callable[..., Any]) -> Iterator[Script]:
    script = Script(tmp_path, patiently)
    yield script
    if script.process is not None:
        script.process.kill()
        script.process.wait()
        script.process.stdout.close()


@pytest.fixture(scope="module")
def model_space() -> Any:
    return toy_nas.ToySpace()


def search(model_space: Any, trained: Path, **options: Any) -> list[str]:
    """What a search trains on NNI's sequential engine."""
    from nni.nas.execution import SequentialExecutionEngine
    from nni.nas.space import RawFormatModelSpace

    from nas_proxy.nni_plugin import ProxyStrategy

    strategy = ProxyStrategy(toy_nas.latency_models(model_space), **options)
    space = RawFormatModelSpace.from_model(model_space, toy_nas.evaluator(trained))
    strategy(space, SequentialExecutionEngine(max_model_count=99))
    return trained.read_text().split()


def test_killed(script: Script, model_space: Any, tmp_path: Path, faults: Any) -> None:
    """The script, then a trial, each with a model in training."""
    reference = search(model_space, tmp_path / "reference.txt", max_models=3)
    script.start("run", models=3)
    family = script.training(2)
    script.process.kill()
    script.finish()
    faults.note("strategy: script killed", script.results, script.trained)
    assert psutil.wait_procs(family.values(), timeout=60)[1] == []

    script.start("resume", models=3)
    script.training(3)["trial"].kill()
    faults.note("strategy: trial killed", script.results, script.trained)
    output = script.finish()
    assert script.process.returncode == 0, output

    assert script.results == reference[:2]
    assert [line_of(failure["arch"]) for failure in script.state["failures"]] == reference[2:]
    assert list(dict.fromkeys(script.trained)) == reference
    assert len(script.trained) == 4, "what was in training when the script died is trained once more"
    faults.check(script.results, script.trained)


@pytest.mark.slow
def test_killed_manager(script: Script, model_space: Any, tmp_path: Path, faults: Any) -> None:
    reference = search(model_space, tmp_path / "reference.txt", max_models=3)
    script.start("run", models=3)
    script.training(2)["manager"].kill()
    assert "NNI's manager died" in script.finish()
    assert script.process.returncode != 0
    faults.note("strategy: NNI's manager killed", script.results, script.trained)

    script.let_finish(3)
    script.start("resume", models=3)
    output = script.finish()
    assert script.process.returncode == 0, output
    assert script.results == reference
    faults.check(script.results, script.trained)


def test_full_disk(model_space: Any, tmp_path: Path, disk: Any, faults: Any) -> None:
    reference = search(model_space, tmp_path / "reference.txt", max_models=4)
    folder, file = disk.path / "search", tmp_path / "trained.txt"
    before = search(model_space, file, max_models=2, folder=folder)
    faults.note("strategy: full disk", before, before)
    disk.fill()
    with pytest.raises(InputError, match=r"No space left on device.*nothing finished is lost"):
        search(model_space, file, max_models=4, folder=folder)
    disk.free()
    after = search(model_space, file, max_models=4, folder=folder)
    assert after == reference
    faults.check(after, after)
