"""A small real experiment: measurements on disk, an evaluator that takes no time, NNI on 127.0.0.1."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import psutil
import pytest
import yaml
from isolation import Cable, Disk, Namespace

from nas_proxy import resources
from nas_proxy.datasets import LatencyTable
from nas_proxy.search import SearchEngine
from nas_proxy.search.latency_models import prepare
from nas_proxy.search.settings import SearchSettings
from nas_proxy.spaces import get_space

EVALUATOR = """
import hashlib, os, pathlib, time

TRAINED = pathlib.Path(__file__).with_name("trained.txt")
LEAVE = TRAINED.with_name("leave.txt")

def evaluate(candidate):
    with TRAINED.open("a") as file:
        file.write(candidate.arch + "\\n")
    which = len(set(TRAINED.read_text().split()))
    while LEAVE.exists() and int(LEAVE.read_text() or 0) < which:
        time.sleep(0.02)
    return accuracy_of(candidate.arch)

def accuracy_of(arch):
    return int(hashlib.sha256(arch.encode()).hexdigest()[:6], 16) / 0xFFFFFF * 100

def raise_always(candidate):
    raise RuntimeError("no such luck")

def not_a_number(candidate):
    return float("nan")

def hang(candidate):
    time.sleep(1000)

FAULTS = [raise_always, not_a_number, lambda c: "high", lambda c: os._exit(0), hang, evaluate]

def fail_in_every_way(candidate):
    with TRAINED.with_name("calls.txt").open("a+") as calls:
        calls.write("x")
        calls.flush()
        return FAULTS[calls.tell() - 1](candidate)
"""


class Toy:
    """An experiment's folder; ``config`` is what its YAML holds."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.space = get_space("nasbench201")
        (folder / "evaluator.py").write_text(EVALUATOR)
        self.write_latencies("proxy.csv", 60, seed=0)
        self.write_latencies("phone.csv", 20, seed=1)
        self.config: dict[str, Any] = {
            "searchSpaceFile": str(resources.find("search_spaces", "nasbench201")),
            "trialCommand": "python -m nas_proxy.trial --evaluator evaluator:evaluate",
            "trialConcurrency": 1,
            "maxTrialNumber": 5,
            "tuner": {
                "className": "nas_proxy.ProxyTuner",
                "codeDirectory": ".",
                "classArgs": {
                    "space": "nasbench201",
                    "proxy": {"csv": "proxy.csv"},
                    "targets": {"phone": {"csv": "phone.csv", "limit_ms": 10.0}},
                },
            },
            "trainingService": {"platform": "local"},
        }

    def write_latencies(self, name: str, n: int, seed: int) -> None:
        archs = self.space.sample(n, seed)
        cost = np.log1p(self.space.features(archs)).sum(axis=1)
        latency_ms = (cost - cost.min() + 10) / 10 * np.exp(0.02 * np.random.default_rng(seed).standard_normal(n))
        LatencyTable("nasbench201", tuple(archs), ("toy",), latency_ms[:, None]).to_csv(self.folder / name)

    @property
    def class_args(self) -> dict[str, Any]:
        return self.config["tuner"]["classArgs"]

    def write(self) -> Path:
        path = self.folder / "toy.yml"
        path.write_text(yaml.safe_dump(self.config))
        return path

    def reference(self, n: int) -> list[str]:
        """What a search of these settings trains when nothing goes wrong, one candidate at a time."""
        namespace: dict[str, Any] = {"__file__": str(self.folder / "evaluator.py")}
        exec(EVALUATOR, namespace)
        settings = SearchSettings.read(self.class_args, base=self.folder)
        models = prepare(settings, self.folder / "reference")
        engine = SearchEngine(models.space, models.targets, settings.limits_ms, seed=settings.seed)
        archs = []
        for _ in range(n):
            archs.append(engine.ask().arch)
            engine.tell(archs[-1], namespace["accuracy_of"](archs[-1]))
        return archs

    def let_finish(self, n: int) -> None:
        """The training of the first ``n`` candidates may end; from the first call on, that of later ones goes on."""
        (self.folder / "leave.txt").write_text(str(n))

    @property
    def trained(self) -> list[str]:
        """What the evaluator was called with, in order."""
        path = self.folder / "trained.txt"
        return path.read_text().split() if path.exists() else []


@pytest.fixture
def toy(tmp_path: Path) -> Toy:
    return Toy(tmp_path)


PATIENCE_S = 600  # a busy machine is slow; nothing is asserted on time


class Run:
    """``nas-proxy run`` in a process of its own, and what NNI starts below it."""

    def __init__(self, cwd: Path, folder: Path, within: Sequence[str] = ()) -> None:
        self.cwd = cwd
        self.folder = folder
        self.within = within  # a command that runs another
        self.process: subprocess.Popen[str] | None = None

    def start(self, *arguments: str | Path, **environment: str) -> Run:
        self.process = subprocess.Popen(
            [*self.within, sys.executable, "-m", "nas_proxy.cli", "run", *map(str, arguments)],
            cwd=self.cwd,
            env=os.environ | {"OMP_NUM_THREADS": "1", "COLUMNS": "200"} | environment,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            preexec_fn=lambda: signal.signal(signal.SIGINT, signal.default_int_handler),  # where tests ignore Ctrl-C
        )
        return self

    def begin(self, config: Path, **environment: str) -> Run:
        return self.start(config, "--folder", self.folder, **environment)

    def resume(self, **environment: str) -> Run:
        return self.start("--resume", self.folder, **environment)

    def finish(self, expected: int = 0) -> str:
        """What it printed, once it has ended with the expected code."""
        assert self.process is not None
        output = self.process.communicate(timeout=PATIENCE_S)[0]
        assert self.process.returncode == expected, output
        return output

    def wait_until(self, condition: Callable[[], Any]) -> Any:
        """The first true value of a condition, while the process lives."""
        return wait_until(condition, self.process)

    @property
    def manager(self) -> psutil.Process | None:
        try:
            pid = json.loads((self.folder / "run.json").read_text())["manager_pid"]
            return psutil.Process(pid) if pid else None
        except (OSError, psutil.NoSuchProcess):
            return None

    def family(self) -> dict[str, psutil.Process]:
        """NNI's processes by what they are: manager, tuner, trial."""
        manager = self.manager
        assert manager is not None
        found = {"manager": manager}
        for process in manager.children(recursive=True):
            with contextlib.suppress(psutil.NoSuchProcess):  # it may end meanwhile
                command = " ".join(process.cmdline())
                if process.name() not in {"sh", "bash"}:
                    found |= {"tuner": process} if "--exp_params" in command else {}
                    found |= {"trial": process} if "nas_proxy.trial" in command else {}
        return found

    @property
    def state(self) -> dict[str, Any]:
        state = json.loads((self.folder / "search.json").read_text())
        return state | {"results": state["engine"]["results"]}

    @property
    def results(self) -> list[str]:
        """Architectures with a result, in the order they came."""
        return [result["arch"] for result in self.state["results"]] if (self.folder / "search.json").exists() else []

    def close(self) -> None:
        if self.process is not None:
            if self.process.poll() is None:
                self.process.kill()
            self.process.wait()
            if self.process.stdout:
                self.process.stdout.close()


def wait_until(condition: Callable[[], Any], process: subprocess.Popen[str] | None = None) -> Any:
    deadline = time.monotonic() + PATIENCE_S
    while time.monotonic() < deadline:
        if found := condition():
            return found
        if process is not None and process.poll() is not None:
            pytest.fail(f"ended early with code {process.returncode}:\n{process.communicate()[0]}")
        time.sleep(0.05)
    pytest.fail("waited in vain")


def left_of(family: dict[str, psutil.Process]) -> list[psutil.Process]:
    """Which of these processes still run."""
    return [p for p in family.values() if p.is_running() and p.status() != psutil.STATUS_ZOMBIE]


@pytest.fixture
def patiently() -> Callable[..., Any]:
    return wait_until


@pytest.fixture(name="left_of")
def left_of_fixture() -> Callable[..., Any]:
    return left_of


@pytest.fixture
def run_in(tmp_path: Path) -> Iterator[Callable[..., Run]]:
    """Makes a run in a folder of its own; what it started has ended when the test ends."""
    with contextlib.ExitStack() as stack:

        def make(folder: Path, within: Sequence[str] = ()) -> Run:
            run = Run(tmp_path, folder, within)
            stack.callback(run.close)
            return run

        yield make


@pytest.fixture
def run(tmp_path: Path, run_in: Callable[..., Run]) -> Run:
    return run_in(tmp_path / "run")


@pytest.fixture
def namespace() -> Iterator[Callable[..., Namespace]]:
    with contextlib.ExitStack() as stack:

        def make(set_up: str, within: Sequence[str] = ()) -> Namespace:
            made = Namespace(set_up, within)
            stack.callback(made.close)
            return made

        yield make


@pytest.fixture
def cable(namespace: Callable[..., Namespace]) -> Cable:
    return Cable(namespace)


@pytest.fixture
def disk(namespace: Callable[..., Namespace], tmp_path: Path) -> Disk:
    """8 MB."""
    folder = tmp_path / "disk"
    folder.mkdir()
    return Disk(namespace(f"mount -t tmpfs -o size=8m tmpfs {folder}"), folder)


class Faults:
    """Notes what was finished and how often it had been trained when a fault struck, and checks that this stays so."""

    def __init__(self, record: Callable[[str, Any], None]) -> None:
        self._record = record
        self._noted: list[tuple[str, list[str], list[str]]] = []

    def note(self, fault: str, finished: Sequence[str], trained: Sequence[str]) -> None:
        self._noted.append((fault, list(finished), list(trained)))

    def check(self, finished: Sequence[str], trained: Sequence[str]) -> None:
        for fault, before, trained_before in self._noted:
            lost = set(before) - set(finished)
            again = [arch for arch in before if trained.count(arch) != trained_before.count(arch)]
            entry = {"fault": fault, "results_before": len(before), "lost": len(lost), "trained_again": len(again)}
            self._record("fault", json.dumps(entry))  # for benchmarks/overhead.py
            assert not lost, fault
            assert not again, fault


@pytest.fixture
def faults(record_property: Callable[[str, Any], None]) -> Faults:
    return Faults(record_property)
