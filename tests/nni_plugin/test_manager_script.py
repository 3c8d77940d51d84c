"""What is loaded into NNI's manager answers as NNI does, but sooner."""

from __future__ import annotations

import json
import os
import queue
import subprocess
import sys
from pathlib import Path

import nni_node
import pytest
from nni.runtime import msg_dispatcher_base

from nas_proxy.nni_plugin import compat

ASK = "require('child_process').spawn(process.argv[1], process.argv.slice(2), {stdio: 'inherit', shell: SHELL})"
VERSION_QUESTION = ("-m", "nni.tools.nni_manager_scripts.collect_version_info")


def through_node(*command: str, python: str = sys.executable, shell: bool = False) -> str:
    """What Python prints, started by Node with our script loaded."""
    node = Path(nni_node.__path__[0]) / "node"
    env = os.environ | {"NODE_OPTIONS": f'--require "{compat._MANAGER_SCRIPT}"'}
    done = subprocess.run(
        [node, "-e", ASK.replace("SHELL", json.dumps(shell)), python, *command], capture_output=True, text=True, env=env
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_the_version_is_told_as_nni_tells_it_but_without_importing_nni() -> None:
    asked = subprocess.run([sys.executable, *VERSION_QUESTION], capture_output=True, text=True, check=True)
    answered = through_node(*VERSION_QUESTION)
    assert json.loads(answered) == json.loads(asked.stdout)
    assert through_node("-m", "this").startswith("The Zen of Python"), "other questions are passed on"


def test_the_path_of_python_may_have_a_space(tmp_path: Path) -> None:
    """NNI starts its tuner through a shell, without quotes."""
    python = tmp_path / "my env" / "python"
    python.parent.mkdir()
    python.write_text(f'#!/bin/sh\nexec "{sys.executable}" "$@"\n')
    python.chmod(0o755)
    assert "--exp_params" in through_node("-m", "nni", "--help", python=str(python), shell=True)


def test_a_dispatcher_looks_at_once_whether_it_should_end(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(msg_dispatcher_base, "Queue", queue.Queue)
    compat.end_promptly()
    waited: list[float | None] = []
    monkeypatch.setattr(queue.Queue, "get", lambda self, block, timeout: waited.append(timeout))
    commands = msg_dispatcher_base.Queue()
    commands.get(timeout=3)
    commands.get()
    assert waited == [compat._LOOK_S, None]


def test_a_dispatcher_of_another_nni_is_left_alone(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(msg_dispatcher_base, "Queue", queue.Queue)
    monkeypatch.setattr(compat.importlib.metadata, "version", lambda name: "3.1")
    compat.end_promptly()
    assert msg_dispatcher_base.Queue is queue.Queue
    assert "NNI 3.1 is not 3.0, so it is not patched" in caplog.text
