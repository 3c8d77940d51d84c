"""NNI's manager asks nobody who they are: from elsewhere it cannot be reached, unless asked for."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable
from typing import Any

import pytest

pytestmark = pytest.mark.nni

ADDRESS = "10.77.0.1"
CONNECT = "import socket, sys; socket.create_connection((sys.argv[1], int(sys.argv[2])), 5)"


def port_of(run: Any) -> int:
    command = run.wait_until(lambda: run.manager).cmdline()
    return int(command[command.index("--port") + 1])


def test_only_this_machine_reaches_the_manager(toy: Any, run_in: Any, namespace: Callable[..., Any]) -> None:
    """One network namespace runs the experiment, another, joined to it by a cable, is the other machine."""
    here = namespace("ip link set lo up")
    there = namespace("ip link set lo up", within=here.enter)
    here.call("ip", "link", "add", "cable0", "type", "veth", "peer", "name", "cable1", "netns", str(there.process.pid))
    for side, name, address in ((here, "cable0", ADDRESS), (there, "cable1", "10.77.0.2")):
        side.call("ip", "address", "add", f"{address}/24", "dev", name)
        side.call("ip", "link", "set", name, "up")

    def connect(side: Any, address: str, port: int) -> str:
        command = [*side.enter, sys.executable, "-c", CONNECT, address, str(port)]
        return subprocess.run(command, capture_output=True, text=True).stderr

    toy.config["maxTrialNumber"] = 1
    run = run_in(toy.folder / "run", within=here.enter)
    run.begin(toy.write(), TRAIN_S="600")
    run.wait_until(lambda: toy.trained)
    assert connect(here, "127.0.0.1", port_of(run)) == ""
    assert "ConnectionRefusedError" in connect(here, ADDRESS, port_of(run))
    assert "ConnectionRefusedError" in connect(there, ADDRESS, port_of(run))
    run.process.terminate()
    run.finish(expected=130)

    run.start("--resume", run.folder, "--expose", TRAIN_S="600")
    run.wait_until(lambda: len(toy.trained) == 2)
    assert connect(there, ADDRESS, port_of(run)) == "", "asked for, and the other machine does have a way"
    run.process.terminate()
    run.finish(expected=130)
