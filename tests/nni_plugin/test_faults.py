"""What dies is resumed: no finished result is lost, nothing finished is trained twice, and the search goes on."""

from __future__ import annotations

import json
import signal
from typing import Any

import psutil
import pytest

pytestmark = pytest.mark.nni

TRIALS = 4


def distinct(archs: list[str]) -> list[str]:
    return list(dict.fromkeys(archs))


def killed(toy: Any, run: Any, victim: str) -> dict[str, psutil.Process]:
    """Starts a run and kills ``victim`` with the second candidate in training."""
    toy.config["maxTrialNumber"] = TRIALS
    run.begin(toy.write(), TRAIN_S="1")
    run.wait_until(lambda: len(toy.trained) >= 2)
    family = run.family()
    (psutil.Process(run.process.pid) if victim == "run" else family[victim]).kill()
    return family


@pytest.mark.parametrize("victim", ["tuner", "manager", "run"])
def test_killed_and_resumed(toy: Any, run: Any, left_of: Any, victim: str) -> None:
    reference = toy.reference(TRIALS)
    family = killed(toy, run, victim)
    if victim == "run":
        run.process.communicate()
        run.close()
    else:
        assert "--resume" in run.finish(expected=1)
        assert left_of(family) == []
    finished = [result["arch"] for result in run.state["results"]]
    run.resume().finish()
    assert left_of(family) == []
    assert [result["arch"] for result in run.state["results"]] == reference
    assert distinct(toy.trained) == reference
    assert all(toy.trained.count(arch) == 1 for arch in finished)


def test_killed_trial_is_a_failure_of_that_trial(toy: Any, run: Any) -> None:
    killed(toy, run, "trial")
    assert "1 trial(s) failed" in run.finish()
    state = run.state
    assert [failure["arch"] for failure in state["failures"]] == [toy.trained[1]]
    assert len(state["results"]) == TRIALS - 1
    assert len(toy.trained) == len(set(toy.trained)) == TRIALS


def test_interrupted(toy: Any, run: Any, left_of: Any) -> None:
    """Ctrl-C leaves nothing running."""
    run.begin(toy.write(), TRAIN_S="1")
    run.wait_until(lambda: len(toy.trained) >= 1)
    family = run.family()
    run.process.send_signal(signal.SIGINT)
    assert "--resume" in run.finish(expected=130)
    assert left_of(family) == []


def test_hanging_evaluator_meets_its_limit(toy: Any, run: Any) -> None:
    toy.config["maxTrialNumber"] = 3
    toy.config["trialCommand"] = "python -m nas_proxy.trial --evaluator evaluator:hang_after_two --time-limit 2"
    output = run.begin(toy.write()).finish()
    assert "1 trial(s) failed" in output
    assert "time limit: 2 s" in output
    assert "in hang" in output
    assert len(run.state["results"]) == 2


def test_proxy_changed_between_run_and_resume(toy: Any, run: Any) -> None:
    killed(toy, run, "tuner")
    run.finish(expected=1)
    toy.write_latencies("proxy.csv", 60, seed=7)
    assert "the proxy's measurements changed since this search was started" in run.resume().finish(expected=2)
    toy.write_latencies("proxy.csv", 60, seed=0)
    assert run.resume().finish()


def test_state_cut_off_by_a_crash(toy: Any, run: Any) -> None:
    reference = toy.reference(TRIALS)
    killed(toy, run, "manager")
    run.finish(expected=1)
    path = run.folder / "search.json"
    path.write_bytes(path.read_bytes()[:100])
    assert "is damaged; the state before it is used" in run.resume().finish().replace("\n", " ")
    assert [result["arch"] for result in run.state["results"]] == reference
    assert json.loads(path.read_text())
