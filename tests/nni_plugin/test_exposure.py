"""NNI's manager asks nobody who they are: from elsewhere it cannot be reached, unless asked for."""

from __future__ import annotations

import subprocess
import sys
from typing import Any

import pytest

pytestmark = pytest.mark.nni

CONNECT = "import socket, sys; socket.create_connection((sys.argv[1], int(sys.argv[2])), 5)"


def port_of(run: Any) -> int:
    command = run.wait_until(lambda: run.manager).cmdline()
    return int(command[command.index("--port") + 1])


def test_only_this_machine_reaches_the_manager(toy: Any, run_in: Any, cable: Any) -> None:
    here, there, address = cable.here, cable.there, cable.here_address

    def connect(side: Any, address: str) -> str:
        command = [*side.enter, sys.executable, "-c", CONNECT, address, str(port_of(run))]
        return subprocess.run(command, capture_output=True, text=True).stderr

    toy.config["maxTrialNumber"] = 1
    run = run_in(toy.folder / "run", within=here.enter)
    toy.let_finish(0)
    run.begin(toy.write())
    run.wait_until(lambda: toy.trained)
    assert connect(here, "127.0.0.1") == ""
    assert "ConnectionRefusedError" in connect(here, address)
    assert "ConnectionRefusedError" in connect(there, address)
    run.process.terminate()
    run.finish(expected=130)

    run.start("--resume", run.folder, "--expose")
    run.wait_until(lambda: len(toy.trained) == 2)
    assert connect(there, address) == "", "asked for, and the other machine does have a way"
    run.process.terminate()
    run.finish(expected=130)
