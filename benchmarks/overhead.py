"""What nas-proxy itself costs and survives under NNI.

    python -m benchmarks.overhead                # all parts, into benchmarks/results/overhead.json
    python -m benchmarks.overhead proposals      # one part; the others are kept as they are there

- proposals: milliseconds of processor time for one proposal and for taking its result, state on disk included, when
  10, 100 and 1,000 results are known: in a space that can be listed (NAS-Bench-201) and in a huge one (MobileNetV3).
  Medians of 20. Accuracies and latencies are smooth functions of the features with noise; nothing is trained.
- start: seconds from `nas-proxy run` to the first trial's evaluator being called, with latencies from files, beside the
  seconds that the trial's process itself needs to start.
- faults: what the tests kill, fill up and damage, and how many finished results were lost or trained again.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
import time
import xml.etree.ElementTree as xml
from pathlib import Path
from typing import Annotated, Any

import numpy as np
import typer
import yaml
from rich.console import Console
from rich.table import Table

from nas_proxy import LatencyTable, ProxyLatencyModel, get_space, resources
from nas_proxy.files import write_json
from nas_proxy.search import SearchEngine
from nas_proxy.search.session import Session
from nas_proxy.search.state import StateFile
from nas_proxy.spaces import space_text

RESULTS = Path(__file__).parent / "results" / "overhead.json"
SPACES = ["nasbench201", "mobilenetv3"]
KNOWN = [10, 100, 1000]
REPEATS = 20
STARTS = 3


def main(
    part: Annotated[str | None, typer.Argument(help="proposals, start or faults; by default all.")] = None,
) -> None:
    parts = {"proposals": proposals, "start": start, "faults": faults}
    found: dict[str, Any] = json.loads(RESULTS.read_text()) if RESULTS.exists() else {}
    for name in [part] if part else parts:
        found[name] = parts[name]()
        write_json(RESULTS, found)


# -- proposals -------------------------------------------------------------------------------------------------------


def proposals() -> list[dict[str, Any]]:
    rows = [_proposals(space, known) for space in SPACES for known in KNOWN]
    _show("milliseconds of processor time, median of 20", rows)
    return rows


def _proposals(name: str, known: int) -> dict[str, Any]:
    rng = np.random.default_rng(0)
    space = get_space(name)
    archs = list({space.to_str(arch): arch for arch in space.sample(known + 200, seed=1)}.values())[: known + 80]
    work = np.log1p(np.abs(space.features(archs))).sum(axis=1)
    work = (work - work.mean()) / work.std()
    latency_ms = 10 * np.exp(0.3 * work + 0.02 * rng.standard_normal(len(work)))
    accuracy = 60 + 10 * np.tanh(work) + rng.standard_normal(len(work))
    target = ProxyLatencyModel(space).fit(archs[:60], latency_ms[:60]).adapt(archs[60:80], 1.5 * latency_ms[60:80])
    engine = SearchEngine(space, {"target": target}, {"target": 1.5 * float(np.median(latency_ms))})
    with tempfile.TemporaryDirectory() as folder:
        session = Session(engine, StateFile.inside(Path(folder)), {})
        for arch, value in zip(archs[:known], accuracy, strict=False):
            engine.tell(arch, float(value))
        session.succeeded = {space.to_str(arch) for arch in archs[:known]}  # at once: not what is measured
        propose_ms, result_ms = [], []
        for _ in range(REPEATS + 1):
            begun = time.process_time()
            candidate = session.propose()
            proposed = time.process_time()
            assert candidate is not None
            session.succeed(candidate.arch, 60 + float(rng.standard_normal()))
            propose_ms.append(1e3 * (proposed - begun))
            result_ms.append(1e3 * (time.process_time() - proposed))
        session.close()
    return {
        "space": name,
        "results_known": known,
        "first_proposal_ms": round(propose_ms[0], 1),
        "proposal_ms": round(float(np.median(propose_ms[1:])), 1),
        "result_ms": round(float(np.median(result_ms[1:])), 1),
    }


# -- start -----------------------------------------------------------------------------------------------------------

_EVALUATOR = """
import pathlib, time
import psutil

def evaluate(candidate):
    started = psutil.Process().create_time()
    pathlib.Path(__file__).with_name("called.txt").write_text(f"{started} {time.time()}")
    return 50.0
"""


def start() -> dict[str, Any]:
    seconds = [_start() for _ in range(STARTS)]
    row = {
        "to_first_trial_s": round(float(np.median([total for total, _ in seconds])), 1),
        "of_which_the_trials_own_start_s": round(float(np.median([own for _, own in seconds])), 1),
        "load_average": round(os.getloadavg()[0], 1),
        "runs": STARTS,
    }
    _show("from `nas-proxy run` to the first trial", [row])
    return row


def _start() -> tuple[float, float]:
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        (folder / "evaluator.py").write_text(_EVALUATOR)
        _write_latencies(folder / "proxy.csv", 60, 0)
        _write_latencies(folder / "target.csv", 20, 1)
        config = {
            "searchSpaceFile": str(resources.find("search_spaces", "nasbench201")),
            "trialCommand": "python -m nas_proxy.trial --evaluator evaluator:evaluate",
            "trialConcurrency": 1,
            "maxTrialNumber": 1,
            "tuner": {
                "className": "nas_proxy.ProxyTuner",
                "codeDirectory": ".",
                "classArgs": {
                    "space": "nasbench201",
                    "proxy": {"csv": "proxy.csv"},
                    "targets": {"target": {"csv": "target.csv"}},
                },
            },
            "trainingService": {"platform": "local"},
        }
        (folder / "toy.yml").write_text(yaml.safe_dump(config))
        begun = time.time()
        command = [sys.executable, "-m", "nas_proxy.cli", "run", "toy.yml", "--folder", "run"]
        subprocess.run(command, cwd=folder, check=True, capture_output=True)
        trial_started, called = map(float, (folder / "called.txt").read_text().split())
        return called - begun, called - trial_started


def _write_latencies(path: Path, n: int, seed: int) -> None:
    space = get_space("nasbench201")
    archs = space.sample(n, seed)
    work = np.log1p(space.features(archs)).sum(axis=1)
    LatencyTable(space_text(space), tuple(archs), ("measured",), np.exp(work / work.mean())[:, None]).to_csv(path)


# -- faults ----------------------------------------------------------------------------------------------------------


def faults() -> list[dict[str, Any]]:
    with tempfile.TemporaryDirectory() as folder:
        report = Path(folder) / "report.xml"
        tests = Path(__file__).parents[1] / "tests" / "nni_plugin"
        files = [tests / "test_faults.py", tests / "test_strategy_faults.py"]
        command = [sys.executable, "-m", "pytest", "-q", "-p", "no:xdist", "-m", "slow or not slow", *map(str, files)]
        options = ["-o", "junit_family=xunit1", f"--junitxml={report}"]  # the family that has properties
        done = subprocess.run([*command, *options], cwd=tests.parents[1])
        rows = [
            json.loads(entry.attrib["value"])
            for entry in xml.parse(report).iter("property")
            if entry.attrib["name"] == "fault"
        ]
    _show("faults", rows)
    if done.returncode:
        raise SystemExit("not all faults were survived")
    return rows


def _show(title: str, rows: list[dict[str, Any]]) -> None:
    table = Table(title=title)
    for column in rows[0]:
        table.add_column(column.replace("_", " "))
    for row in rows:
        table.add_row(*map(str, row.values()))
    Console().print(table)


if __name__ == "__main__":
    typer.run(main)
