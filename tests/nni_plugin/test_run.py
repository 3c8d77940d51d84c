"""Real experiments under NNI, on 127.0.0.1, from configuration to front."""

from __future__ import annotations

import csv
import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import psutil
import pytest
from isolation import port_of_this_worker

from nas_proxy.nni_plugin.client import ManagerClient

pytestmark = pytest.mark.nni


def test_run_from_configuration_to_front(toy: Any, run: Any) -> None:
    toy.config |= {"maxTrialNumber": 3, "trialConcurrency": 2}
    run.begin(toy.write())
    manager = run.wait_until(lambda: run.manager)
    listening = run.wait_until(
        lambda: [c.laddr.ip for c in manager.net_connections() if c.status == psutil.CONN_LISTEN]
    )
    assert set(listening) == {"127.0.0.1"}
    family = run.wait_until(lambda: len(found := run.family()) == 3 and found)
    output = run.finish()
    assert "Pareto front" in output
    assert "Kendall's tau" in output
    assert [process for process in family.values() if process.is_running()] == []
    rows = list(csv.DictReader((run.folder / "results.csv").read_text().splitlines()[1:]))
    assert len(rows) == 3
    assert sorted(row["arch"] for row in rows) == sorted(toy.trained)
    assert all(0 < float(row["predicted_latency_ms_phone"]) <= 10 for row in rows)
    assert (run.folder / "front.png").read_bytes().startswith(b"\x89PNG")
    for name in ("config.yml", "experiment.yml", "adaptation.json", "predictions.csv", "report.html"):
        assert (run.folder / name).stat().st_size > 0
    (run.folder / "report.html").unlink()  # as if killed after the search, before the end
    old, run.folder = run.folder, run.folder.rename(run.folder.with_name("moved"))
    again = run.resume().finish()
    assert "NNI:" not in again
    assert not old.exists()
    assert (run.folder / "report.html").exists()
    assert len(toy.trained) == 3


def test_every_trial_fails(toy: Any, run: Any) -> None:
    toy.config |= {
        "maxTrialNumber": 2,
        "trialCommand": "python -m nas_proxy.trial --evaluator evaluator:raise_always",
    }
    output = run.begin(toy.write()).finish(expected=1)
    assert "every trial failed" in output
    assert "RuntimeError: no such luck" in output
    assert "in raise_always" in output


# -- NNI's own command -------------------------------------------------------------------------------------------------


class Nnictl:
    """NNI's own command for experiments: ``nnictl`` as NNI installs it, or through ``nas-proxy``, on a port."""

    def __init__(self, folder: Path) -> None:
        self.port = port_of_this_worker()
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


def test_plain_nnictl(toy: Any, nnictl: Nnictl, patiently: Callable[..., Any]) -> None:
    toy.config |= {"maxTrialNumber": 2, "experimentWorkingDirectory": str(toy.folder / "nni")}
    toy.class_args["proxy"]["csv"] = str(toy.folder / "proxy.csv")
    toy.class_args["targets"]["phone"]["csv"] = str(toy.folder / "phone.csv")
    nnictl.create(toy.write())
    patiently(lambda: nnictl.client.status()[0] == "DONE")
    assert [trial.status for trial in nnictl.client.trials()] == ["SUCCEEDED"] * 2
    assert len(toy.trained) == 2


def test_failing_tuner_is_an_error_of_the_experiment(toy: Any, nnictl: Nnictl, patiently: Callable[..., Any]) -> None:
    """NNI itself would leave it RUNNING for ever."""
    toy.config["experimentWorkingDirectory"] = str(toy.folder / "nni")
    nnictl.create(toy.write(), program="nas-proxy")  # its paths are relative
    patiently(lambda: nnictl.client.status()[0] == "ERROR")
    [error] = nnictl.client.tuner_errors()
    assert "a relative path cannot be found" in error
