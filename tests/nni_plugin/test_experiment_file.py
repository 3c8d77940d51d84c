"""A configuration is checked as a whole before anything starts."""

from __future__ import annotations

import os
import re
import socket
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import psutil
import pytest

from nas_proxy import resources
from nas_proxy.errors import InputError, MissingDependencyError, UnknownNameError
from nas_proxy.nni_plugin import compat, run
from nas_proxy.nni_plugin.experiment import Experiment
from nas_proxy.nni_plugin.folder import Record, RunFolder
from nas_proxy.terminal.console import Terminal


def test_read(toy: Any) -> None:
    experiment = Experiment.read(toy.write())
    assert experiment.trials == 5
    assert experiment.settings.proxy.csv == str(toy.folder / "proxy.csv")


@pytest.mark.parametrize("name", ["quickstart", "nasbench201-table"])
def test_shipped_configurations(name: str, monkeypatch: pytest.MonkeyPatch, measurements: Callable[..., Path]) -> None:
    monkeypatch.setenv("NAS_PROXY_DATA", str(measurements()))
    assert Experiment.read(resources.find("configs", name)).trials > 0


def test_missing_data_folder_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("NAS_PROXY_DATA", raising=False)
    with pytest.raises(InputError, match="environment variable NAS_PROXY_DATA is not set"):
        Experiment.read(resources.find("configs", "nasbench201-table"))


def test_placed_in_a_folder_it_is_the_same_with_absolute_paths(toy: Any) -> None:
    experiment = Experiment.read(toy.write())
    placed = experiment.placed_in(toy.folder / "run")
    assert placed.settings.folder == str(toy.folder / "run")
    assert placed.settings.fingerprint == experiment.settings.fingerprint
    canonical = placed.canonical()
    assert canonical.experiment_working_directory == str(toy.folder / "run" / "nni")
    assert canonical.trial_code_directory == str(toy.folder)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"trialConcurency": 1}, "unknown key 'trialConcurency'. Did you mean 'trialConcurrency'?"),
        ({"trialConcurrency": "two"}, "trialConcurrency: expected a whole number, found 'two'."),
        ({"debug": "yes"}, "debug: expected true or false, found 'yes'."),
        ({"experimentType": "nas"}, "experimentType: expected 'hpo', found 'nas'."),
        ({"maxTrialDuration": [1]}, "maxTrialDuration: expected a text or a whole number, found [1]."),
        ({"tuner": {"clasName": "x"}}, "unknown key in tuner 'clasName'. Did you mean 'className'?"),
        ({"tuner": "ProxyTuner"}, "tuner: expected a mapping of keys to values, found 'ProxyTuner'."),
        ({"trainingService": "local"}, "trainingService: expected a mapping of keys to values, found 'local'."),
        ({"trainingService": {"platfrom": "local"}}, "key in trainingService 'platfrom'. Did you mean 'platform'?"),
        ({"trainingService": {"platform": "locale"}}, "trainingService.platform 'locale'. Did you mean 'local'?"),
        ({"trainingService": None}, "trainingService is missing."),
        ({"trainingService": {}}, "trainingService.platform is missing."),
        ({"trainingService": {"platform": "remote"}}, "trainingService.machineList is missing."),
        (
            {"trainingService": {"platform": "remote", "machineList": {"host": "a"}}},
            "trainingService.machineList: expected a list, found {'host': 'a'}.",
        ),
        (
            {"trainingService": {"platform": "remote", "machineList": [{"hosst": "a"}]}},
            "unknown key in trainingService.machineList.0 'hosst'. Did you mean 'host'?",
        ),
    ],
)
def test_bad_key_of_nni_is_named_as_it_is_written(toy: Any, change: dict[str, Any], message: str) -> None:
    toy.config |= change
    with pytest.raises(InputError, match=rf"toy\.yml: .*{re.escape(message)}"):
        Experiment.read(toy.write())


def test_field_that_nni_refuses_without_a_word(toy: Any) -> None:
    toy.config["trialConcurrency"] = 0
    with pytest.raises(InputError, match="a field is missing or out of range"):
        Experiment.read(toy.write())


def test_missing_number_of_trials(toy: Any) -> None:
    del toy.config["maxTrialNumber"]
    with pytest.raises(InputError, match="maxTrialNumber is missing"):
        Experiment.read(toy.write())


@pytest.mark.parametrize("number", [0, -1, True])
def test_number_of_trials_that_is_none(toy: Any, number: Any) -> None:
    toy.config["maxTrialNumber"] = number
    with pytest.raises(InputError, match=f"maxTrialNumber must be an integer of at least 1, found {number!r}"):
        Experiment.read(toy.write())


@pytest.mark.parametrize(
    ("source", "message"),
    [
        ({"device": "host-onnxruntme"}, r"phone\.device: unknown device .* Did you mean 'host-onnxruntime'"),
        ({"csv": "nothing.csv"}, r"phone: .*nothing\.csv: expected a CSV of measurements, found nothing"),
        ({"csv": "proxy.csv", "column": "zz"}, "unknown device 'zz'"),
        ({"csv": "few.csv"}, r"few\.csv: expected at least 3 measurements, found 2"),
        ({"dataset": "halp", "path": "."}, "Did you mean 'help'"),
    ],
)
def test_sources_are_looked_up_before_anything_is_measured(toy: Any, source: dict[str, Any], message: str) -> None:
    toy.write_latencies("few.csv", 2, seed=0)
    toy.class_args["targets"]["phone"] = source
    with pytest.raises(InputError, match=rf"toy\.yml: tuner\.classArgs: targets\..*{message}"):
        Experiment.read(toy.write())


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"proxy": {"device": "edge-tpu", "samples": 20000}}, r"proxy\.samples: cannot sample 20000 .* only 15625"),
        (
            {"targets": {"tpu": {"device": "edge-tpu", "samples": 20000}}},
            r"targets\.tpu\.samples: cannot suggest 20000 architectures: there are 15625",
        ),
    ],
)
def test_more_samples_than_the_space_has(toy: Any, change: dict[str, Any], message: str) -> None:
    toy.config["tuner"]["classArgs"] |= change
    with pytest.raises(InputError, match=message):
        run.start(toy.write(), toy.folder / "run", run.Options(), Terminal())
    assert not (toy.folder / "run").exists()


def test_another_search_space(toy: Any) -> None:
    toy.config.pop("searchSpaceFile", None)
    toy.config["searchSpace"] = {"x": {"_type": "choice", "_value": [1, 2]}}
    with pytest.raises(InputError, match=r"toy\.yml: the experiment's search space is not that of"):
        Experiment.read(toy.write())


def test_another_tuner(toy: Any) -> None:
    toy.config["tuner"] = {"name": "TPE"}
    with pytest.raises(InputError, match=r"tuner\.className: expected .*ProxyTuner, found 'TPE'"):
        Experiment.read(toy.write())


def test_bad_argument_names_its_place(toy: Any) -> None:
    toy.class_args["targets"]["phone"]["limit"] = 3
    with pytest.raises(InputError, match=r"toy\.yml: tuner\.classArgs.*\n.*targets\.phone\.limit: unknown field"):
        Experiment.read(toy.write())


def test_unknown_space_names_its_place(toy: Any) -> None:
    toy.class_args["space"] = "nasbench210"
    with pytest.raises(UnknownNameError, match=r"toy\.yml: tuner\.classArgs: space: .* Did you mean 'nasbench201'"):
        Experiment.read(toy.write())


def test_bad_yaml(toy: Any) -> None:
    path = toy.write()
    path.write_text("tuner: [")
    with pytest.raises(InputError, match=r"toy\.yml: not valid YAML"):
        Experiment.read(path)


def test_password_is_refused(toy: Any) -> None:
    machine = {"host": "10.0.0.1", "user": "me", "password": "secret"}
    toy.config["trainingService"] = {"platform": "remote", "machineList": [machine]}
    with pytest.raises(InputError, match=r"trainingService\.machineList\.0\.password must not .*sshKeyFile") as error:
        Experiment.read(toy.write())
    assert "secret" not in str(error.value)


def test_unknown_configuration() -> None:
    with pytest.raises(UnknownNameError, match="Did you mean 'quickstart'"):
        run.start("quikstart", None, run.Options(), Terminal())


def test_trial_command_that_cannot_work(toy: Any) -> None:
    toy.config["trialCommand"] = "python -m nas_proxy.trial --evaluator evaluator:evalaute"
    with pytest.raises(InputError, match=r"(?s)trialCommand: .* cannot work: .*evalaute"):
        run.start(toy.write(), toy.folder / "run", run.Options(), Terminal())
    assert not (toy.folder / "run").exists()


def test_interpreter_that_is_not_there(toy: Any) -> None:
    toy.config["trialCommand"] = "/no/such/python -m nas_proxy.trial --train digits"
    with pytest.raises(InputError, match=r"cannot work: .*/no/such/python"):
        run.start(toy.write(), None, run.Options(), Terminal())


def test_port_in_use(toy: Any) -> None:
    with socket.socket() as server:
        server.bind(("127.0.0.1", 0))
        server.listen()
        port = server.getsockname()[1]
        with pytest.raises(InputError, match=f"port {port} is in use: .*another --port"):
            run.start(toy.write(), toy.folder / "run", run.Options(port=port), Terminal())
    assert not (toy.folder / "run").exists()


def test_limits_that_no_candidate_can_meet(toy: Any) -> None:
    toy.class_args["targets"]["phone"]["limit_ms"] = 1e-6
    with pytest.raises(InputError, match="phone"):
        run.start(toy.write(), toy.folder / "run", run.Options(), Terminal())


def test_nni_missing(toy: Any) -> None:
    """Import of nni blocked: the message comes before anything else happens."""
    code = (
        "import sys; sys.modules['nni'] = None\n"
        "from nas_proxy.cli import main\n"
        f"sys.argv = ['nas-proxy', 'run', {str(toy.write())!r}]; main()"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, env=os.environ | {"COLUMNS": "200"}
    )
    assert done.returncode == 2
    assert "NNI cannot be imported" in done.stderr
    assert "pip install nni==3.0" in done.stderr


def test_another_nni(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(compat.importlib.metadata, "version", lambda name: "2.10")
    with pytest.raises(InputError, match=r"made for NNI 3\.0, found 2\.10"):
        compat.require_nni()
    monkeypatch.undo()
    monkeypatch.setitem(sys.modules, "nni", None)
    with pytest.raises(MissingDependencyError, match="pip install nni"):
        compat.require_nni()


# -- the run's folder --------------------------------------------------------------------------------------------------


def test_folders_are_numbered(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    names = [RunFolder.new(None, "toy").path.relative_to(tmp_path).as_posix() for _ in range(2)]
    assert names == ["runs/toy-1", "runs/toy-2"]


def test_folder_with_something_in_it(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(InputError, match=r"is not empty.*--resume"):
        RunFolder.new(tmp_path, "toy")


def test_folder_that_cannot_be_made(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(InputError, match="give another --folder"):
        RunFolder.new(tmp_path / "file" / "run", "toy")


def test_folder_without_a_run(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="holds no run"):
        run.resume(tmp_path, run.Options(), Terminal())


def test_one_process_at_a_time(tmp_path: Path) -> None:
    folder = RunFolder(tmp_path)
    folder.record = Record("toy")
    with folder.claimed(), pytest.raises(InputError, match="another `nas-proxy run` is at work"), folder.claimed():
        pass


def test_a_manager_left_behind_is_ended_but_no_other_process(tmp_path: Path) -> None:
    folder = RunFolder(tmp_path)
    with psutil.Popen(["sleep", "100"]) as other:
        folder.record = Record("toy", "abcdefgh", other.pid)
        with folder.claimed():
            assert other.is_running()
        other.kill()
    with psutil.Popen(["bash", "-c", "sleep 100; true", "abcdefgh"]) as manager:
        folder.record = Record("toy", "abcdefgh", manager.pid)
        with folder.claimed():
            assert manager.wait(1) != 0
