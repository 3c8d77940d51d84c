"""Real experiments under NNI, on 127.0.0.1: started, watched, failed and resumed."""

from __future__ import annotations

import csv
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import psutil
import pytest

from nas_proxy.nni_plugin.client import ManagerClient
from nas_proxy.nni_plugin.ports import free_port

pytestmark = pytest.mark.nni

PATIENCE_S = 240  # a busy machine is slow; nothing here is asserted on time


def wait_until(condition: Callable[[], Any], process: subprocess.Popen[str] | None = None) -> Any:
    deadline = time.monotonic() + PATIENCE_S
    while time.monotonic() < deadline:
        if found := condition():
            return found
        if process is not None and process.poll() is not None:
            pytest.fail(f"ended early with code {process.returncode}:\n{process.communicate()[0]}")
        time.sleep(0.1)
    pytest.fail("waited in vain")


def finish(process: subprocess.Popen[str], expected: int = 0) -> str:
    output = process.communicate(timeout=PATIENCE_S)[0]
    assert process.returncode == expected, output
    return output


def manager_of(folder: Path) -> psutil.Process | None:
    try:
        pid = json.loads((folder / "run.json").read_text())["manager_pid"]
        return psutil.Process(pid) if pid else None
    except (OSError, psutil.NoSuchProcess):
        return None


def left_of(family: list[psutil.Process]) -> list[psutil.Process]:
    return [process for process in family if process.is_running() and process.status() != psutil.STATUS_ZOMBIE]


def search_state(folder: Path) -> dict[str, Any]:
    return json.loads((folder / "search.json").read_text())


def test_run_from_configuration_to_front(toy: Any, nas_proxy_command: Any) -> None:
    toy.config["maxTrialNumber"] = 3
    toy.config["trialConcurrency"] = 2
    folder = toy.folder / "run"
    process = nas_proxy_command("run", toy.write(), "--folder", folder)
    manager = wait_until(lambda: manager_of(folder), process)
    listening = wait_until(
        lambda: [c.laddr.ip for c in manager.net_connections() if c.status == psutil.CONN_LISTEN], process
    )
    assert set(listening) == {"127.0.0.1"}
    family = wait_until(lambda: len(found := manager.children(recursive=True)) > 2 and [manager, *found], process)
    output = finish(process)
    assert "Pareto front" in output
    assert "Kendall's tau" in output
    assert left_of(family) == []
    rows = list(csv.DictReader((folder / "results.csv").read_text().splitlines()))
    assert len(rows) == 3
    assert sorted(row["arch"] for row in rows) == sorted(toy.trained)
    assert all(0 < float(row["predicted_latency_ms_phone"]) <= 10 for row in rows)
    assert (folder / "front.png").read_bytes().startswith(b"\x89PNG")
    for name in ("config.yml", "experiment.yml", "adaptation.json", "predictions.csv"):
        assert (folder / name).stat().st_size > 0


def test_every_trial_fails(toy: Any, nas_proxy_command: Any) -> None:
    toy.config["maxTrialNumber"] = 2
    toy.config["trialCommand"] = "python -m nas_proxy.trial --evaluator evaluator:raise_always"
    output = finish(nas_proxy_command("run", toy.write(), "--folder", toy.folder / "run"), expected=1)
    assert "every trial failed" in output
    assert "RuntimeError: no such luck" in output
    assert "in raise_always" in output


def test_interrupted_and_resumed(toy: Any, nas_proxy_command: Any) -> None:
    """Ctrl-C leaves nothing running; resuming trains only what is missing."""
    folder = toy.folder / "run"
    toy.config["maxTrialNumber"] = 4
    process = nas_proxy_command("run", toy.write(), "--folder", folder)
    wait_until(lambda: len(toy.trained) >= 2, process)
    manager = manager_of(folder)
    assert manager is not None
    family = [manager, *manager.children(recursive=True)]
    process.send_signal(signal.SIGINT)
    assert "--resume" in finish(process, expected=130)
    assert left_of(family) == []
    finish(nas_proxy_command("run", "--resume", folder))
    assert len(search_state(folder)["engine"]["results"]) == 4
    assert len(toy.trained) - len(set(toy.trained)) <= 1  # only the one that was cut off may have begun twice


# -- NNI's own command ------------------------------------------------------------------------------------------------


class Nnictl:
    """NNI's own command for experiments: ``nnictl`` as NNI installs it, or through ``nas-proxy``, on a port."""

    def __init__(self, folder: Path) -> None:
        self.port = free_port()
        self.client = ManagerClient(self.port)
        self._folder = folder

    def create(self, config: Path, program: str = "nnictl") -> None:
        command = [program] if program == "nnictl" else [program, "nnictl"]
        self._call(*command, "create", "--config", str(config), "--port", str(self.port))

    def stop(self) -> None:
        self._call("nnictl", "stop", "--port", str(self.port))

    def _call(self, program: str, *arguments: str) -> None:
        bin = Path(sys.executable).parent
        env = os.environ | {"PATH": f"{bin}:{os.environ['PATH']}", "OMP_NUM_THREADS": "1"}
        command = [bin / program, *arguments]
        for _ in range(3):  # NNI gives its manager four seconds to start, too little on a busy machine
            done = subprocess.run(command, cwd=self._folder, env=env, capture_output=True, text=True)
            if done.returncode == 0:
                return
        pytest.fail(done.stdout + done.stderr)


@pytest.fixture
def nnictl(tmp_path: Path) -> Iterator[Nnictl]:
    command = Nnictl(tmp_path)
    yield command
    command.stop()


def test_plain_nnictl(toy: Any, nnictl: Nnictl) -> None:
    toy.config |= {"maxTrialNumber": 2, "experimentWorkingDirectory": str(toy.folder / "nni")}
    toy.class_args["proxy"]["csv"] = str(toy.folder / "proxy.csv")
    toy.class_args["targets"]["phone"]["csv"] = str(toy.folder / "phone.csv")
    nnictl.create(toy.write())
    wait_until(lambda: nnictl.client.status()[0] == "DONE")
    assert [trial.status for trial in nnictl.client.trials()] == ["SUCCEEDED"] * 2
    assert len(toy.trained) == 2


def test_failing_tuner_is_an_error_of_the_experiment(toy: Any, nnictl: Nnictl) -> None:
    """NNI itself would leave it RUNNING for ever."""
    toy.config["experimentWorkingDirectory"] = str(toy.folder / "nni")
    nnictl.create(toy.write(), program="nas-proxy")  # its paths are relative
    wait_until(lambda: nnictl.client.status()[0] == "ERROR")
    [error] = nnictl.client.tuner_errors()
    assert "a relative path cannot be found" in error
