"""A trial evaluates once, reports a number, and fails with its reason otherwise."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from nas_proxy.errors import InputError
from nas_proxy.nni_plugin import trial
from nas_proxy.nni_plugin.candidate import Candidate, as_metric
from nas_proxy.search.accuracy import InvalidAccuracyError, as_accuracy
from nas_proxy.spaces import get_space

ARCH = "|nor_conv_3x3~0|+|none~0|skip_connect~1|+|none~0|none~1|nor_conv_1x1~2|"
SMALL = {"channels": 4, "cells": 1, "image_size": 8}
CANDIDATE = Candidate("nasbench201", ARCH, {"phone": 2.5}, SMALL)


def test_candidate_travels_in_nnis_parameters() -> None:
    parameters = CANDIDATE.to_parameters()
    assert parameters["edge_0_1"] == "nor_conv_3x3"
    assert Candidate.from_parameters(parameters) == CANDIDATE
    with pytest.raises(InputError, match=r"whose tuner is nas_proxy\.ProxyTuner"):
        Candidate.from_parameters({"edge_0_1": "none"})


def test_metric_is_the_accuracy_and_each_latency() -> None:
    assert as_metric(91.5, {"phone": 2.5}) == {"default": 91.5, "accuracy": 91.5, "latency_ms/phone": 2.5}


@pytest.mark.parametrize("value", [93, 93.0, np.float32(93), {"default": 93, "loss": 0.1}])
def test_accuracy(value: object) -> None:
    assert as_accuracy(value) == 93.0


@pytest.mark.parametrize("value", [None, "93", True, float("nan"), float("inf"), {"accuracy": 93}, np.array([93.0])])
def test_no_accuracy(value: object) -> None:
    with pytest.raises(InvalidAccuracyError, match="expected a"):
        as_accuracy(value)


def test_digits_are_learnt_and_the_same_every_time() -> None:
    from nas_proxy.nni_plugin.digits import train_digits

    accuracy = train_digits(CANDIDATE, epochs=2, seed=0)
    assert 60 < accuracy <= 100
    assert train_digits(CANDIDATE, epochs=2, seed=0) == accuracy


def test_digits_are_scaled_to_the_space() -> None:
    from nas_proxy.nni_plugin.digits import _digits

    images, labels = _digits(Candidate("nasbench201", ARCH, {}, SMALL | {"image_size": 16}))
    assert images.shape == (1797, 3, 16, 16)
    assert labels.shape == (1797,)


def test_table(tmp_path: Path) -> None:
    table = tmp_path / "accuracies.csv"
    table.write_text(f"# space: nasbench201\narch,accuracy\n{ARCH},71.5\n")
    options = trial._parser().parse_args(["--table", f"csv:{table}"])
    assert trial.evaluator_of(options)(CANDIDATE) == 71.5


def test_published_table(measurements: Callable[..., Path]) -> None:
    table = measurements("nats-bench", "cifar100_perfmetrics.txt")
    options = trial._parser().parse_args(["--table", f"nats-bench:{table}"])
    assert 0 < trial.evaluator_of(options)(CANDIDATE) < 100


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("nowhere:evaluate", "No module named 'nowhere'"),
        ("math:no_function", "no_function"),
        ("math:pi", "expected a function"),
        ("math", "module:function"),
    ],
)
def test_bad_evaluator(name: str, message: str) -> None:
    with pytest.raises(InputError, match=message):
        trial.evaluator_of(trial._parser().parse_args(["--evaluator", name]))


def test_evaluated_once_even_if_nni_runs_it_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("NNI_OUTPUT_DIR", str(tmp_path))
    calls = []

    def evaluate(candidate: Candidate) -> float:
        calls.append(candidate.arch)
        return 80.0

    assert [trial._evaluated_once(evaluate, CANDIDATE, None) for _ in range(2)] == [80.0, 80.0]
    assert calls == [ARCH]
    other = Candidate("nasbench201", get_space("nasbench201").sample(1, seed=0)[0], {})
    trial._evaluated_once(evaluate, other, None)  # another candidate in the same folder is another matter
    assert len(calls) == 2


def _python(code: str, folder: Path, **environment: str) -> subprocess.CompletedProcess[str]:
    env = os.environ | {"NNI_OUTPUT_DIR": str(folder)} | environment
    return subprocess.run([sys.executable, "-c", code], cwd=folder, env=env, capture_output=True, text=True)


def test_hanging_evaluator_ends_with_a_traceback_of_where_it_hung(tmp_path: Path) -> None:
    code = (
        "import time\n"
        "from nas_proxy.nni_plugin import trial, candidate\n"
        "def hangs_here(c): time.sleep(100)\n"
        "trial._evaluated_once(hangs_here, candidate.Candidate('nasbench201', 'x', {}), 0.5)\n"
    )
    done = _python(code, tmp_path)
    assert done.returncode == 1
    assert "time limit: 0.5 s" in done.stderr
    assert "in hangs_here" in done.stderr


def test_check_looks_for_the_evaluator_only(tmp_path: Path) -> None:
    (tmp_path / "mine.py").write_text("def evaluate(candidate): raise SystemError\n")
    code = "from nas_proxy.nni_plugin.trial import main; main(['--evaluator', 'mine:{}'])"
    assert _python(code.format("evaluate"), tmp_path, NAS_PROXY_CHECK="1").returncode == 0
    done = _python(code.format("evalaute"), tmp_path, NAS_PROXY_CHECK="1")
    assert done.returncode == 1
    assert "evalaute" in done.stderr
