"""What dies is resumed: no finished result is lost, nothing finished is trained twice, and the search is the same."""

from __future__ import annotations

import signal
from pathlib import Path
from typing import Any

import psutil
import pytest

pytestmark = pytest.mark.nni


def distinct(archs: list[str]) -> list[str]:
    return list(dict.fromkeys(archs))


def test_killed_again_and_again(toy: Any, run: Any, left_of: Any, faults: Any) -> None:
    """Tuner, manager, `nas-proxy run`, and a trial in turn, each with a candidate in training."""
    toy.config["maxTrialNumber"] = 6
    reference = toy.reference(6)

    def training(n: int) -> dict[str, psutil.Process]:
        """NNI's processes, with the n-th candidate in training."""
        toy.let_finish(n - 1)
        run.wait_until(lambda: len(set(toy.trained)) == n and len(run.results) == n - 1)
        return run.wait_until(lambda: len(family := run.family()) == 3 and family)

    toy.let_finish(0)
    run.begin(toy.write())
    family = training(2)
    family["tuner"].kill()
    assert "--resume" in run.finish(expected=1)
    assert left_of(family) == []
    faults.note("tuner killed", run.results, toy.trained)

    toy.write_latencies("proxy.csv", 60, seed=7)
    stated = (run.folder / "adaptation.json").read_text()
    assert "the proxy's measurements changed since this search was started" in run.resume().finish(expected=2)
    assert (run.folder / "adaptation.json").read_text() == stated
    toy.write_latencies("proxy.csv", 60, seed=0)
    faults.note("proxy's measurements changed before the resume (refused)", run.results, toy.trained)

    run.resume()
    family = training(3)
    family["manager"].kill()
    assert "--resume" in run.finish(expected=1)
    assert left_of(family) == []
    faults.note("NNI's manager killed", run.results, toy.trained)

    path = run.folder / "search.json"
    path.write_bytes(path.read_bytes()[:100])
    assert run.process is not None
    run.resume()
    family = training(4)
    faults.note("state truncated by a crash", run.results, toy.trained)
    psutil.Process(run.process.pid).kill()
    assert "is damaged; the state before it is used" in run.process.communicate()[0].replace("\n", " ")
    faults.note("nas-proxy run killed", run.results, toy.trained)

    run.resume()
    assert psutil.wait_procs(family.values(), timeout=60)[1] == []
    family = training(5)
    run.process.send_signal(signal.SIGINT)
    assert "--resume" in run.finish(expected=130)
    assert left_of(family) == []
    faults.note("Ctrl-C", run.results, toy.trained)

    run.resume()
    training(6)["trial"].kill()
    faults.note("trial killed", run.results, toy.trained)
    assert "1 trial(s) failed" in run.finish()

    assert run.results == reference[:5]
    assert [failure["arch"] for failure in run.state["failures"]] == reference[5:]
    assert distinct(toy.trained) == reference
    faults.check(run.results, toy.trained)


def test_evaluator_that_fails_in_every_way(toy: Any, run: Any, faults: Any) -> None:
    toy.class_args["give_up_after"] = 6
    toy.config["maxTrialNumber"] = 6
    toy.config["trialCommand"] = "python -m nas_proxy.trial --evaluator evaluator:fail_in_every_way --time-limit 2"
    output = run.begin(toy.write()).finish()
    assert "5 trial(s) failed" in output
    assert "RuntimeError: no such luck" in output
    assert len(run.state["failures"]) == 5
    assert run.results == toy.trained
    assert len(toy.trained) == 1
    stderr = "\n".join(path.read_text() for path in run.folder.glob("nni/**/*stderr"))
    for message in ("found nan", "found 'high'", "time limit: 2 s", "in hang", "in raise_always"):
        assert message in stderr
    for fault in ("raises", "returns NaN", "returns no number", "ends without a result", "hangs past its time limit"):
        faults.note(f"an evaluator {fault}", run.results, toy.trained)
    faults.check(run.results, toy.trained)


def test_full_and_read_only_disk(toy: Any, run_in: Any, disk: Any, faults: Any) -> None:
    toy.config["maxTrialNumber"] = 3
    reference = toy.reference(3)
    run = run_in(disk.path / "run")
    toy.let_finish(1)
    run.begin(toy.write())
    run.wait_until(lambda: len(set(toy.trained)) == 2 and len(run.results) == 1)
    disk.fill()
    toy.let_finish(3)
    run.finish(expected=1)
    faults.note("full disk", run.results, toy.trained)
    disk.make_writable(False)
    assert "Read-only file system" in run.resume().finish(expected=2)
    faults.note("read-only folder (refused)", run.results, toy.trained)
    disk.make_writable(True)
    disk.free()
    run.resume().finish()
    assert run.results == reference
    assert distinct(toy.trained) == reference
    faults.check(run.results, toy.trained)


def test_two_experiments_at_once(toy: Any, run_in: Any, tmp_path: Path, faults: Any) -> None:
    """Started at the same moment: each finds a port of its own; a third in the folder of one is refused."""
    toy.config["maxTrialNumber"] = 2
    reference = toy.reference(2)
    runs = [run_in(tmp_path / name) for name in ("one", "other")]
    config = toy.write()
    toy.let_finish(0)
    for run in runs:
        run.begin(config)
    runs[0].wait_until(lambda: runs[0].manager)
    assert "is at work here" in run_in(runs[0].folder).resume().finish(expected=2)
    toy.let_finish(2)
    for run in runs:
        run.finish()
        assert run.results == reference
    faults.note("two experiments at once", reference, toy.trained)
    faults.check(runs[1].results, toy.trained)
