"""A small real experiment: measurements on disk, an evaluator that takes no time, NNI on 127.0.0.1."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import yaml

from nas_proxy import resources
from nas_proxy.datasets import LatencyTable
from nas_proxy.spaces import get_space

EVALUATOR = """
import hashlib, os, pathlib, time

TRAINED = pathlib.Path(__file__).with_name("trained.txt")

def evaluate(candidate):
    with TRAINED.open("a") as file:
        file.write(candidate.arch + "\\n")
    time.sleep(float(os.environ.get("TRAIN_S", "0")))
    return int(hashlib.sha256(candidate.arch.encode()).hexdigest()[:6], 16) / 0xFFFFFF * 100

def raise_always(candidate):
    raise RuntimeError("no such luck")

def not_a_number(candidate):
    return float("nan")

def hang(candidate):
    time.sleep(1000)

def mixed(candidate):
    number = evaluate(candidate)
    if number < 30:
        raise RuntimeError("no such luck")
    return None if number < 60 else number
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

    @property
    def trained(self) -> list[str]:
        """What the evaluator was called with, in order."""
        path = self.folder / "trained.txt"
        return path.read_text().split() if path.exists() else []


@pytest.fixture
def toy(tmp_path: Path) -> Toy:
    return Toy(tmp_path)


Command = Callable[..., "subprocess.Popen[str]"]


@pytest.fixture
def nas_proxy_command(tmp_path: Path) -> Iterator[Command]:
    """Starts ``nas-proxy`` with arguments; whatever still runs at the end of the test is killed."""
    started: list[subprocess.Popen[str]] = []

    def start(*arguments: str | Path, **environment: str) -> subprocess.Popen[str]:
        process = subprocess.Popen(
            [sys.executable, "-m", "nas_proxy.cli", *map(str, arguments)],
            cwd=tmp_path,
            env=os.environ | {"OMP_NUM_THREADS": "1", "COLUMNS": "200"} | environment,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )
        started.append(process)
        return process

    yield start
    for process in started:
        if process.poll() is None:
            process.kill()
        process.wait()
        if process.stdout:
            process.stdout.close()
