"""A third-party package, installed, is known by its names to every command, worker and trial."""

from __future__ import annotations

import csv
import importlib
import itertools
import json
import os
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import yaml

from nas_proxy import extensions

PLUGIN = Path(__file__).parent / "plugin"
ENTRIES = {
    "spaces": "strips",
    "device_kinds": "acme-chip",
    "runtimes": "acme-runtime",
    "mappers": "acme-mapper",
    "schedulers": "acme-scheduler",
    "rewriters": "acme-rewriter",
    "rules": "double-negation",
    "costs": "acme-nodes",
    "methods": "acme-method",
    "latency_formats": "acme-lines",
    "accuracy_formats": "acme-lines",
    "policies": "acme-policy",
}
PATIENCE_S = 600  # a busy machine is slow


@pytest.fixture(scope="session")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder that the package is installed in."""
    site = tmp_path_factory.mktemp("site")
    source = shutil.copytree(PLUGIN, tmp_path_factory.mktemp("source") / "acme-nas")  # the build writes beside it
    pip = [sys.executable, "-m", "pip", "install", "--quiet", "--disable-pip-version-check", "--no-index", "--no-deps"]
    done = subprocess.run(
        [*pip, "--no-build-isolation", "--target", str(site), str(source)], capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr
    return site


@pytest.fixture(scope="module")
def command(site: Path, tmp_path_factory: pytest.TempPathFactory) -> Callable[..., str]:
    """Runs ``nas-proxy`` with the package installed, in one folder for all tests, and gives what it prints."""
    folder = tmp_path_factory.mktemp("work")

    def command(*arguments: str | Path, folder: Path = folder, fails: bool = False) -> str:
        paths = [str(site), *filter(None, [os.environ.get("PYTHONPATH")])]
        done = subprocess.run(
            [sys.executable, "-m", "nas_proxy.cli", *map(str, arguments)],
            cwd=folder,
            env=os.environ | {"PYTHONPATH": os.pathsep.join(paths), "OMP_NUM_THREADS": "1", "COLUMNS": "200"},
            capture_output=True,
            text=True,
            timeout=PATIENCE_S,
        )
        assert (done.returncode != 0) == fails, done.stdout + done.stderr
        return done.stderr if fails else done.stdout

    command.folder = folder  # type: ignore[attr-defined]
    return command


QUICK = {"warm_up_runs": 0, "runs_per_turn": 1, "min_turns": 6, "max_turns": 6, "min_seconds": 0, "networks_in_turn": 2}


@pytest.fixture(scope="module")
def work(command: Callable[..., str]) -> Path:
    """The folder of the commands, with a proxy and two targets, measured."""
    folder: Path = command.folder  # type: ignore[attr-defined]
    devices = {
        "chip": {"kind": "acme-chip", "overhead_ms": 0.2},
        "slow": {"kind": "acme-chip", "macs_per_ms": 1e5},
        "here": {"kind": "host", "runtime": "acme-runtime", "protocol": QUICK},
        "array": _eyeriss() | {"mapper": "acme-mapper(batch=4)", "evaluations": 40},
    }
    for name, fields in devices.items():
        (folder / f"{name}.yaml").write_text(yaml.safe_dump(fields))
    command("measure", "--space", "strips(width=4)", "--device", "acme-chip", "-n", "20", "-o", "proxy.csv")
    command("suggest", "--proxy", "proxy.csv", "-n", "6", "-o", "suggested.csv")
    for name in ("chip", "slow"):
        command("measure", "--archs", "suggested.csv", "--device", f"{name}.yaml", "-o", f"{name}.csv")
    return folder


def _eyeriss() -> dict:
    from nas_proxy import resources
    from nas_proxy.schema import load_yaml

    return load_yaml(resources.find("devices", "eyeriss"))


def _rows(path: Path) -> list[dict[str, str]]:
    return list(csv.DictReader(line for line in path.read_text().splitlines() if not line.startswith("#")))


def test_list(command):
    shown = command("list")
    assert all(name in shown for point, name in ENTRIES.items() if point != "rules")  # there are many rules
    shown = command("list", "mappers")
    assert "acme-nas 1.0" in shown
    assert "initial=16 batch=8" in shown
    assert "neighbours that are evaluated together" in command("list", "mappers", "acme-mapper")


def test_measured(command, work):
    assert (work / "proxy.csv").read_text().startswith("# space: strips(width=4)\n")
    assert len(_rows(work / "proxy.csv")) == 20
    assert {row["device"] for row in _rows(work / "chip.csv")} == {"chip"}
    command("measure", "--space", "strips", "--device", "here.yaml", "-n", "2", "-o", "here.csv")
    assert all(float(row["latency_ms"]) > 0 for row in _rows(work / "here.csv"))
    said = command(
        "measure", "--space", "strips", "--device", "acme-chip(speed=3)", "-n", "2", "-o", "x.csv", fails=True
    )
    assert "speed: unknown field" in said


def test_workers_know_it(command, work):
    command("measure", "--space", "strips", "--device", "array.yaml", "-n", "2", "--jobs", "2", "-o", "array.csv")
    assert len(_rows(work / "array.csv")) == 2


def test_export(command, work):
    command("export", "--space", "strips", "-p", "width=4", "-n", "2", "-o", "nets")
    assert len(list((work / "nets").glob("*.onnx"))) == 2


def test_adapt(command, work):
    asked = ("adapt", "--proxy", "proxy.csv", "--target", "slow.csv", "-o", "adapted.csv")
    assert "slow" in command(*asked, "--method", "acme-method(features=2)")
    assert len(_rows(work / "adapted.csv")) == 243
    assert "Known: features" in command(*asked, "--method", "acme-method(slabs=2)", fails=True)


def test_rank(command, work):
    command("rank", "--proxy", "proxy.csv", "--target", "chip.csv", "-o", "ranked.csv")
    latencies = [float(row["predicted_latency_ms_chip"]) for row in _rows(work / "ranked.csv")]
    assert latencies == sorted(latencies)


def test_fleet(command, work):
    head, *rest = (work / "chip.csv").read_text().splitlines()
    more = (work / "slow.csv").read_text().splitlines()[2:]
    (work / "fleet.csv").write_text("\n".join([head, *rest, *more]) + "\n")
    command("fleet", "fleet.csv", "--proxy", "proxy.csv", "-o", "served.csv")
    assert {row["device"] for row in _rows(work / "served.csv")} == {"chip", "slow"}


def test_evaluate(command, work):
    (work / "finalists.csv").write_text("# space: strips(width=4)\narch\nc3-c1-skip-skip-c3\n")
    command(
        "evaluate", "finalists.csv", "--target", "chip.yaml", "--target", "array.yaml", "--target", "edge-tpu-x2",
        "--mapper", "acme-mapper(batch=2)", "--evaluations", "30", "--scheduler", "acme-scheduler(orders=2)",
        "--rewriter", "acme-rewriter", "--cache", "cache", "-o", "evaluated.json",
    )  # fmt: skip
    evaluated = (work / "evaluated.json").read_text()
    assert all(word in evaluated for word in ("strips(width=4)", "acme-mapper(batch=2)", "acme-scheduler(orders=2)"))
    assert {finalist["target"] for finalist in json.loads(evaluated)["finalists"]} == {"chip", "array", "edge-tpu-x2"}


def test_map_schedule_optimise_and_compress(command, work):
    command("map", "--layer", "conv:8x8x6x6x3x3", "--mapper", "acme-mapper(batch=3)", "--budget", "40")
    command("export", "--space", "strips", "-n", "1", "-o", "one")
    [model] = (work / "one").glob("*.onnx")
    by = ("--scheduler", "acme-scheduler(orders=3)")
    assert "acme-scheduler" in command("schedule", model, "--device", "edge-tpu-x2", *by)
    by = ("--rewriter", "acme-rewriter(least_gain=0.01)")
    assert "operators" in command("optimise", model, "--for", "acme-nodes(weight=2)", *by, "-o", "less.onnx")
    command("compress", "acme-policy", "-m", "L2 0.5", "-o", "smaller")
    assert (work / "smaller" / "sweep.csv").exists()


@pytest.mark.nni
def test_run_and_report(command, work):
    from nas_proxy.nni_plugin.ports import free_port

    operators = ("c1", "c3", "skip")
    archs = map("-".join, itertools.product(operators, repeat=5))
    (work / "accuracy.txt").write_text("".join(f"{arch} {50 + arch.count('c')}\n" for arch in archs))
    measured = _rows(work / "proxy.csv")
    (work / "known.txt").write_text("".join(f"{row['arch']} {row['latency_ms']}\n" for row in measured))
    choices = {f"layer_{i}": {"_type": "choice", "_value": list(operators)} for i in range(5)}
    (work / "strips.json").write_text(json.dumps(choices))
    arguments = {
        "space": "strips",
        "proxy": {"dataset": "acme-lines", "path": "known.txt"},
        "targets": {"chip": {"device": "chip.yaml", "samples": 5}},
        "finalists": 1,
    }
    config = {
        "searchSpaceFile": "strips.json",
        "trialCommand": f"python -m nas_proxy.trial --table acme-lines:{work / 'accuracy.txt'}",
        "trialConcurrency": 1,
        "maxTrialNumber": 2,
        "tuner": {"className": "nas_proxy.ProxyTuner", "codeDirectory": ".", "classArgs": arguments},
        "trainingService": {"platform": "local"},
    }
    (work / "search.yml").write_text(yaml.safe_dump(config))
    worker = int(os.environ.get("PYTEST_XDIST_WORKER", "gw0").removeprefix("gw"))
    shown = command("run", "search.yml", "--folder", "run", "--port", str(free_port(20_000 + 1_000 * worker)))
    assert "Pareto front" in shown
    assert len(_rows(work / "run" / "results.csv")) == 2
    command("report", "run", "-o", "report.html")
    assert "strips" in (work / "report.html").read_text()


class TestConformance:
    """The package passes the suites of its points."""

    @pytest.fixture(autouse=True)
    def _installed(self, site: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
        monkeypatch.syspath_prepend(site)
        extensions._plug_ins.cache_clear()
        yield
        extensions._plug_ins.cache_clear()

    @pytest.mark.parametrize(("point", "name"), ENTRIES.items())
    def test_suite(self, point, name, tmp_path):
        more = {}
        if point == "rules":
            more = {"graphs": [_negations()]}
        elif point.endswith("_formats"):
            more = {"path": tmp_path / "lines.txt"}
            more["path"].write_text("c1-c3-skip-c1-c1 2.5\nskip-c3-skip-c1-c1 1.5\n")
        handed = ("mine", {"kind": name}) if point == "device_kinds" else ()
        for check in importlib.import_module(extensions.POINTS[point].suite).CHECKS:
            check(extensions.get(point, name, *handed), **more)


def _negations():
    from nas_proxy.graph import TensorGraph, Value
    from nas_proxy.graph._builder import GraphBuilder

    b = GraphBuilder()
    b.values["x"] = Value("x", (1, 8), "float32")
    found = "x"
    for operator in ("Neg", "Neg", "Relu"):
        found = b.emit(operator, [found], (1, 8), "float32")
    return TensorGraph(tuple(b.nodes), b.values, ("x",), (found,))
