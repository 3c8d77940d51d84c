"""Trials on other machines, by SSH: a real sshd with a throwaway key."""

from __future__ import annotations

import getpass
import os
import shutil
import socket
import subprocess
import sys
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import pytest

from nas_proxy import resources
from nas_proxy.errors import InputError
from nas_proxy.nni_plugin.experiment import Experiment
from nas_proxy.nni_plugin.ports import free_port
from nas_proxy.nni_plugin.run import Options, start
from nas_proxy.terminal.console import Terminal

pytestmark = pytest.mark.nni


class Sshd:
    """A server that lets this user in with ``key``."""

    def __init__(self, folder: Path, address: str, within: Sequence[str]) -> None:
        program = shutil.which("sshd", path=os.pathsep.join([os.environ["PATH"], "/usr/sbin", "/sbin"]))
        if program is None:
            pytest.skip("no sshd here (apt-get install openssh-server), so trials by SSH are NOT tested")
        if os.geteuid() == 0:
            Path("/run/sshd").mkdir(exist_ok=True)  # sshd insists
        self.address, self.port = address, free_port(2222)
        self.key = folder / "key"
        for key in (self.key, folder / "host_key"):
            subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", key], check=True)
        config = folder / "sshd_config"
        config.write_text(
            f"ListenAddress {address}:{self.port}\n"
            f"HostKey {folder / 'host_key'}\n"
            f"AuthorizedKeysFile {self.key}.pub\n"
            "PidFile none\nStrictModes no\nUsePAM no\nPasswordAuthentication no\nKbdInteractiveAuthentication no\n"
            "PermitRootLogin prohibit-password\nSubsystem sftp internal-sftp\n"
        )
        self.process = subprocess.Popen([*within, program, "-D", "-e", "-f", config], stderr=subprocess.PIPE, text=True)
        assert self.process.stderr is not None
        assert "Server listening" in self.process.stderr.readline()

    @property
    def training_service(self) -> dict[str, Any]:
        machine = {
            "host": self.address,
            "port": self.port,
            "user": getpass.getuser(),
            "sshKeyFile": str(self.key),
            "pythonPath": str(Path(sys.executable).parent),
        }
        return {"platform": "remote", "reuseMode": True, "machineList": [machine]}

    def close(self) -> None:
        self.process.terminate()
        self.process.communicate()


@pytest.fixture
def sshd(tmp_path: Path) -> Iterator[Callable[..., Sshd]]:
    folder = tmp_path / "ssh"
    folder.mkdir()
    servers: list[Sshd] = []

    def make(address: str = "127.0.0.1", within: Sequence[str] = ()) -> Sshd:
        servers.append(Sshd(folder, address, within))
        return servers[-1]

    yield make
    for server in servers:
        server.close()


@pytest.mark.parametrize("where", ["this machine", pytest.param("another machine", marks=pytest.mark.slow)])
def test_every_trial_succeeds(where: str, toy: Any, run_in: Any, sshd: Any, request: pytest.FixtureRequest) -> None:
    """On another machine, which reaches none of this one's ports, but by the tunnel."""
    toy.config["maxTrialNumber"] = 2
    reference = toy.reference(2)
    if where == "this machine":
        toy.config["trainingService"] = sshd().training_service
        run = run_in(toy.folder / "run")
    else:
        cable = request.getfixturevalue("cable")
        toy.config["trainingService"] = sshd(cable.there_address, cable.there.enter).training_service
        run = run_in(toy.folder / "run", within=cable.here.enter)
    output = run.begin(toy.write()).finish()
    assert "failed" not in output
    assert run.results == reference
    assert run.state["failures"] == []


def test_interpreter_without_the_package_is_found_before_the_experiment(toy: Any, sshd: Any, tmp_path: Path) -> None:
    bare = tmp_path / "bare"
    bare.mkdir()
    (bare / "python").symlink_to(Path(sys.executable).resolve())
    toy.config["trainingService"] = sshd().training_service
    toy.config["trainingService"]["machineList"][0]["pythonPath"] = str(bare)
    with pytest.raises(InputError, match=r"(?s)127\.0\.0\.1: the trial's command .* cannot work there: .*nas_proxy"):
        start(toy.write(), tmp_path / "run", Options(), Terminal())
    assert not (tmp_path / "run").exists()


def test_key_that_opens_nothing(toy: Any, sshd: Any, tmp_path: Path) -> None:
    server = sshd()
    other = tmp_path / "other"
    subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", other], check=True)
    toy.config["trainingService"] = server.training_service
    toy.config["trainingService"]["machineList"][0]["sshKeyFile"] = str(other)
    with pytest.raises(InputError, match=r"(?s)Permission denied.*sshKeyFile the private key"):
        start(toy.write(), tmp_path / "run", Options(), Terminal())


def test_machine_that_is_not_there(toy: Any, tmp_path: Path) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))  # and nobody listens
        key = tmp_path / "key"
        key.touch()
        machine = {"host": "127.0.0.1", "port": taken.getsockname()[1], "user": "me", "sshKeyFile": str(key)}
        toy.config["trainingService"] = {"platform": "remote", "reuseMode": True, "machineList": [machine]}
        with pytest.raises(InputError, match="Connection refused"):
            start(toy.write(), tmp_path / "run", Options(), Terminal())


def test_without_reuse_mode(toy: Any, tmp_path: Path) -> None:
    key = tmp_path / "key"
    key.touch()
    machine = {"host": "10.0.0.1", "user": "me", "sshKeyFile": str(key)}
    toy.config["trainingService"] = {"platform": "remote", "machineList": [machine]}
    with pytest.raises(InputError, match=r"trainingService\.reuseMode: expected true"):
        Experiment.read(toy.write())


@pytest.mark.filterwarnings("ignore::ResourceWarning")
@pytest.mark.parametrize(("name", "platform"), [("remote", "remote"), ("kubernetes", "kubeflow")])
def test_shipped_configurations(name: str, platform: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """NNI accepts them, also as they are placed in a run's folder."""
    (tmp_path / ".ssh").mkdir()
    (tmp_path / ".ssh" / "id_ed25519").touch()
    monkeypatch.setenv("HOME", str(tmp_path))
    experiment = Experiment.read(resources.find("configs", name))
    assert experiment.platform == platform
    placed = experiment.placed_in(tmp_path / "run")
    assert placed.trials == 24
    assert [machine.key_file for machine in placed.machines] == [str(tmp_path / ".ssh/id_ed25519")] * (
        2 if platform == "remote" else 0
    )
