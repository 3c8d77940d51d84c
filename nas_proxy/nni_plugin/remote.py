"""Trials on other machines through NNI's ``platform: remote``: what NNI needs there, and a way back for their reports.

NNI logs in by SSH and starts a runner on each machine, which connects to the manager at a second port (the experiment's
port + 1). So that neither port has to be open to a network, that connection travels back through SSH too: each machine
gets a reverse tunnel, and reaches the manager at its own 127.0.0.1.
"""

from __future__ import annotations

import contextlib
import ipaddress
import subprocess
import tempfile
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from nas_proxy.errors import InputError

__all__ = ["Machine", "machines_of", "require_ready", "tunnels"]

_TIMEOUT_S = 120
_SETTLE_S = 3.0


@dataclass(frozen=True)
class Machine:
    """One entry of ``trainingService.machineList``."""

    host: str
    port: int
    user: str
    key_file: str
    python_path: str | None

    @property
    def is_this_one(self) -> bool:
        """Whether it shares this machine's 127.0.0.1."""
        with contextlib.suppress(ValueError):
            return ipaddress.ip_address(self.host).is_loopback
        return self.host == "localhost"

    def ssh(self, known_hosts: Path, *arguments: str) -> list[str]:
        """The command that connects. A host seen for the first time is remembered in ``known_hosts``."""
        options = [
            "BatchMode=yes",
            "StrictHostKeyChecking=accept-new",
            f'UserKnownHostsFile="{known_hosts}" ~/.ssh/known_hosts',
            "ConnectTimeout=20",
            "ServerAliveInterval=15",
            "ExitOnForwardFailure=yes",
            "LogLevel=ERROR",
        ]
        flags = [flag for option in options for flag in ("-o", option)]
        return ["ssh", *flags, "-i", self.key_file, "-p", str(self.port), *arguments, f"{self.user}@{self.host}"]


def machines_of(training_service: Any) -> list[Machine]:
    """The machines of NNI's canonical training service; none where its platform is another.

    Raises:
        InputError: ``reuseMode`` is not on.
    """
    if getattr(training_service, "platform", None) != "remote":
        return []
    if not training_service.reuse_mode:
        raise InputError(
            "trainingService.reuseMode: expected true. Without it NNI 3.0 ignores pythonPath in trials, so that all of "
            "them fail, and runs `pip install --upgrade nni` on the machines."
        )
    return [
        Machine(machine.host, machine.port, machine.user, str(machine.ssh_key_file), machine.python_path)
        for machine in training_service.machine_list
    ]


def require_ready(machine: Machine, command: str, code_directory: Path) -> None:
    """Try the trial's command on a machine, in a copy of the code that is removed again.

    Raises:
        InputError: the machine cannot be reached, or every trial would fail there (with its own words).
    """
    path = f"export PATH={machine.python_path}:$PATH; " if machine.python_path else ""
    script = (
        'folder=$(mktemp -d) && trap \'rm -rf "$folder"\' EXIT && cd "$folder" && tar -xzf - && '
        f"{path}export NAS_PROXY_CHECK=1; {command}"
    )
    with tempfile.TemporaryDirectory() as scratch, tempfile.TemporaryFile() as code:
        pack = ["tar", "-czf", "-", "--exclude-vcs", "--warning=no-file-changed", "-C", str(code_directory), "."]
        if subprocess.run(pack, stdout=code).returncode > 1:  # 1: a file changed meanwhile
            raise InputError(f"{code_directory}: cannot be packed to be copied to {machine.host} (see above).")
        code.seek(0)
        try:
            done = subprocess.run(
                [*machine.ssh(Path(scratch) / "known_hosts"), script],
                stdin=code,
                capture_output=True,
                text=True,
                timeout=_TIMEOUT_S,
            )
        except FileNotFoundError:
            raise InputError("platform: remote needs the command ssh: install an OpenSSH client.") from None
        except subprocess.TimeoutExpired:
            raise InputError(f"{machine.host}: {command!r} did not get ready in {_TIMEOUT_S} s.") from None
    if done.returncode:
        said = (done.stderr or done.stdout).strip()
        raise InputError(
            f"{machine.user}@{machine.host}: the trial's command {command!r} cannot work there: {said}\n"
            "trainingService.machineList.pythonPath is the folder of the machine's `python`, in which nas-proxy is "
            "installed; sshKeyFile the private key that logs in without a question."
        )


@contextlib.contextmanager
def tunnels(machines: Sequence[Machine], port: int, known_hosts: Path) -> Iterator[None]:
    """Inside, ``127.0.0.1:port`` on each machine is that of this one.

    Raises:
        InputError: a machine does not let it be.
    """
    opened: list[tuple[Machine, subprocess.Popen[str]]] = []
    try:
        for machine in machines:
            if not machine.is_this_one:
                command = machine.ssh(known_hosts, "-N", "-R", f"127.0.0.1:{port}:127.0.0.1:{port}")
                opened.append((machine, subprocess.Popen(command, stderr=subprocess.PIPE, text=True)))
        deadline = time.monotonic() + _SETTLE_S
        for machine, process in opened:
            with contextlib.suppress(subprocess.TimeoutExpired):
                _, said = process.communicate(timeout=max(0.0, deadline - time.monotonic()))
                raise InputError(f"{machine.host}: no tunnel to its port {port}: {said.strip()}")
        yield
    finally:
        for _, process in opened:
            process.terminate()
            process.communicate()
