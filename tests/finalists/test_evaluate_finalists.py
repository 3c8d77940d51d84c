"""Finalists on targets: figures that add up, nothing worked out twice, errors before any work."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import yaml

from nas_proxy import FinalistTable, evaluate_finalists, get_device, get_space
from nas_proxy.devices import Workers
from nas_proxy.errors import InputError, UnknownNameError
from nas_proxy.finalists import Finalist, evaluating
from nas_proxy.terminal.console import Terminal
from nas_proxy.terminal.finalists import finalists_page

SMALL = {"channels": 4, "cells": 1, "image_size": 8}
QUICK = {"mapper": "random", "evaluations": 40, "rewriting_evaluations": 20}
ARCHS = [
    "|nor_conv_3x3~0|+|avg_pool_3x3~0|avg_pool_3x3~1|+|skip_connect~0|none~1|nor_conv_1x1~2|",
    "|nor_conv_1x1~0|+|nor_conv_3x3~0|skip_connect~1|+|avg_pool_3x3~0|nor_conv_3x3~1|none~2|",
]
TARGETS = ["eyeriss", "edge-tpu", "edge-tpu-x4"]


@pytest.fixture(scope="session")
def space() -> Any:
    return get_space("nasbench201").with_parameters(**SMALL)


@pytest.fixture(scope="session")
def cache(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("finalists")


@pytest.fixture(scope="session")
def table(space: Any, cache: Path) -> FinalistTable:
    calls: list[tuple[int, int]] = []
    found = evaluate_finalists(
        ARCHS, TARGETS, space=space, cache=cache, on_progress=lambda *call: calls.append(call), **QUICK
    )
    assert calls == [(n, 6) for n in range(7)]
    return found


def value(finalist: Finalist, name: str) -> float:
    """What the target minimises."""
    variant = finalist.variant(name)
    if finalist.target == "eyeriss":
        assert variant.energy_mj is not None
        return variant.latency_ms * variant.energy_mj
    assert variant.throughput_per_s is not None
    return 1 / variant.throughput_per_s


def test_one_row_for_each_architecture_and_target(table: FinalistTable) -> None:
    assert [(f.arch, f.target) for f in table] == [(arch, target) for arch in ARCHS for target in TARGETS]
    assert (table.archs, table.targets) == (tuple(ARCHS), tuple(TARGETS))
    assert table.latency_ms("eyeriss").tolist() == [f.latency_ms for f in table.of("eyeriss")]


def test_all_is_never_worse(table: FinalistTable) -> None:
    expected = {
        "eyeriss": ["nothing", "rewriting", "mapping", "all"],
        "edge-tpu": ["nothing", "rewriting", "all"],
        "edge-tpu-x4": ["nothing", "rewriting", "scheduling", "all"],
    }
    for finalist in table:
        names = [variant.name for variant in finalist.variants]
        assert names == expected[finalist.target]
        assert all(value(finalist, "all") <= value(finalist, name) * (1 + 1e-12) for name in names)
        assert finalist.latency_ms == finalist.variant("all").latency_ms


def test_layers_and_stages_add_up(table: FinalistTable) -> None:
    for finalist in table:
        assert sum(layer.latency_ms for layer in finalist.layers) == pytest.approx(finalist.latency_ms)
        assert sum(layer.energy_mj or 0 for layer in finalist.layers) == pytest.approx(finalist.energy_mj)
        bounds = {layer.bound for layer in finalist.layers}
        if finalist.target == "eyeriss":
            assert bounds <= {"compute", "RF", "GLB", "DRAM"}
            assert not finalist.stages
        else:
            assert bounds <= {"compute", "activations", "parameters", "link", "overhead"}
            assert sum(stage.latency_ms for stage in finalist.stages) == pytest.approx(finalist.latency_ms)
            assert len(finalist.stages) == get_device(finalist.target).describe()["devices"]
        assert finalist.utilization is not None
        assert 0 < finalist.utilization < 1
        assert finalist.evaluations > 0


def test_the_mapped_network_is_what_the_device_says(space: Any, tmp_path: Path) -> None:
    """Without rewriting, 'mapping' takes at most what the device alone finds."""
    [finalist] = evaluate_finalists(ARCHS[:1], ["simba"], space=space, rewriter=None, cache=tmp_path, **QUICK)
    device = get_device("simba").configured(mapper="random", evaluations=40)
    [(_, alone)] = device.latencies(space, ARCHS[:1])
    mapped = finalist.variant("mapping")
    assert mapped.energy_mj is not None
    assert mapped.latency_ms * mapped.energy_mj <= alone.latency_ms * alone.energy_mj
    assert [variant.name for variant in finalist.variants] == ["nothing", "mapping", "all"]
    assert finalist.substitutions == {}


def test_json_and_csv(table: FinalistTable, tmp_path: Path) -> None:
    assert FinalistTable.from_json(table.to_json(tmp_path / "a.json")) == table
    lines = table.to_csv(tmp_path / "a.csv").read_text().splitlines()
    assert lines[0].startswith("# space: nasbench201")
    assert len(lines) == 2 + len(table)
    (tmp_path / "b.json").write_text("[]")
    with pytest.raises(InputError, match=r"b\.json: cannot be read as a table of finalists"):
        FinalistTable.from_json(tmp_path / "b.json")


def test_protocol_says_how(table: FinalistTable) -> None:
    assert table.protocol["rewriter"] == "greedy"
    assert table.protocol["mapper"] == {"eyeriss": "random"}
    assert {"python", "torch", "nas-proxy"} <= table.protocol["versions"].keys()
    json.dumps(dict(table.protocol), allow_nan=False)


def test_a_second_run_works_nothing_out(
    table: FinalistTable, space: Any, cache: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(evaluating, "_trace", lambda *_: pytest.fail("a network was traced"))
    calls: list[tuple[int, int]] = []
    again = evaluate_finalists(
        ARCHS, TARGETS, space=space, cache=cache, on_progress=lambda *call: calls.append(call), **QUICK
    )
    assert again == table
    assert calls == [(6, 6)]


def test_another_network_of_known_layers_is_not_mapped(table: FinalistTable, space: Any, cache: Path) -> None:
    arch = "|nor_conv_3x3~0|+|nor_conv_1x1~0|nor_conv_3x3~1|+|skip_connect~0|none~1|nor_conv_1x1~2|"
    [finalist] = evaluate_finalists([arch], ["eyeriss"], space=space, cache=cache, rewriter=None, **QUICK)
    assert finalist.evaluations == 0


def test_a_rewriting_is_retraced(table: FinalistTable, space: Any, cache: Path) -> None:
    """Finished finalists gone, the same graphs are found without pricing one."""
    (cache / "finalists.jsonl").rename(cache / "finalists.away")
    try:
        again = evaluate_finalists(ARCHS, TARGETS, space=space, cache=cache, **QUICK)
    finally:
        (cache / "finalists.away").replace(cache / "finalists.jsonl")
    for before, after in zip(table, again, strict=True):
        assert (after.latency_ms, after.substitutions) == (before.latency_ms, before.substitutions)
        assert after.evaluations == 0


def test_results_of_a_simulator_that_has_changed_are_worked_out_again(
    space: Any, tmp_path: Path, code_changed: Callable[..., None]
) -> None:
    def worked_out(target: str) -> bool:
        calls: list[tuple[int, int]] = []
        evaluate_finalists(
            ARCHS[:1],
            [target],
            space=space,
            cache=tmp_path / "cache",
            rewriter=None,
            on_progress=lambda *call: calls.append(call),
            **QUICK,
        )
        return calls[0] == (0, 1)

    targets = ["eyeriss", "edge-tpu"]
    assert [worked_out(target) for target in [*targets, *targets]] == [True, True, False, False]
    code_changed("nas_proxy.scheduling", "chip.py", "passes = 2", "passes = 3")
    assert [worked_out(target) for target in targets] == [False, True], "only what depends on it"


def test_killed_and_started_again(space: Any, tmp_path: Path) -> None:
    """SIGKILL in the middle of mapping: what was mapped is not mapped again, and the result is the same."""
    code = f"import tests_finalists_job as job; job.run({str(tmp_path / 'cache')!r})"
    (tmp_path / "tests_finalists_job.py").write_text(
        "from pathlib import Path\n"
        "from nas_proxy import evaluate_finalists, get_space\n"
        f"def run(cache):\n    space = get_space('nasbench201').with_parameters(**{SMALL!r})\n"
        f"    return evaluate_finalists({ARCHS!r}, ['eyeriss'], space=space, cache=Path(cache), rewriter=None,\n"
        "        mapper='random', evaluations=5000)\n"
    )
    process = subprocess.Popen([sys.executable, "-c", code], cwd=tmp_path)
    try:
        while process.poll() is None and sum(map(lines, (tmp_path / "cache").glob("mappings-*"))) < 2:
            time.sleep(0.01)
        assert process.poll() is None, "it ended before it could be killed"
    finally:
        process.send_signal(signal.SIGKILL)
        process.wait()
    [path] = (tmp_path / "cache").glob("mappings-*")
    before = path.read_bytes()
    assert not (tmp_path / "cache" / "finalists.jsonl").exists()
    settings = {"mapper": "random", "evaluations": 5_000, "rewriter": None}
    resumed = evaluate_finalists(ARCHS, ["eyeriss"], space=space, cache=tmp_path / "cache", **settings)
    assert path.read_bytes().startswith(before)
    counts = Counter(json.loads(line)["key"] for line in path.read_text().splitlines())
    assert set(counts.values()) == {1}, "a layer was mapped twice"
    layers = sum(finalist.evaluations for finalist in resumed) / 5_000
    assert layers <= len(counts) - 2


def lines(path: Path) -> int:
    return path.read_bytes().count(b"\n")


def test_a_measured_target(space: Any, tmp_path: Path) -> None:
    pytest.importorskip("onnxruntime")
    turns = {
        "warm_up_runs": 0,
        "runs_per_turn": 1,
        "min_turns": 6,
        "max_turns": 6,
        "min_seconds": 0,
        "networks_in_turn": 1,
    }
    for runtime in ("torch", "onnxruntime"):
        description = {"kind": "host", "runtime": runtime, "protocol": turns}
        (tmp_path / f"{runtime}.yaml").write_text(yaml.safe_dump(description))
    targets = [tmp_path / "onnxruntime.yaml", tmp_path / "torch.yaml"]
    table = evaluate_finalists(
        ARCHS[:1], targets, space=space, cache=tmp_path, rewriting_evaluations=5, measure_seconds=0.2
    )
    for finalist in table:
        assert finalist.interval_ms is not None
        assert finalist.latency_ms <= finalist.variant("nothing").latency_ms
        assert finalist.energy_mj is None
    rewritten, plain = table
    assert [variant.name for variant in plain.variants] == ["nothing", "all"]
    assert [variant.name for variant in rewritten.variants] == ["nothing", "rewriting", "all"]
    assert {layer.bound for layer in rewritten.layers} == {"measured"}
    finalists_page(table)


def test_shown(table: FinalistTable, capsys, monkeypatch) -> None:
    monkeypatch.setenv("COLUMNS", "140")
    Terminal().show(finalists_page(table))
    text = capsys.readouterr().out
    for wanted in (*TARGETS, *ARCHS, "mapping", "scheduling", "bound by"):
        assert wanted in text


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"archs": []}, "no architectures to evaluate"),
        ({"targets": []}, "no targets to evaluate on"),
        ({"archs": ["|nonsense|"]}, "nonsense"),
        ({"targets": ["eyeris"]}, "Did you mean 'eyeriss'"),
        ({"targets": ["eyeriss", "eyeriss"]}, "two targets are called 'eyeriss'"),
        ({"rewriter": "gredy"}, "Did you mean 'greedy'"),
        ({"mapper": "randon"}, "Did you mean 'random'"),
        ({"objective": "latenzy"}, "Did you mean 'latency'"),
        ({"scheduler": "respekt", "targets": ["edge-tpu-x4"]}, "Did you mean 'respect'"),
        ({"mapper": "genetic", "evaluations": 3}, "starts with 20 evaluations"),
        ({"rewriting_evaluations": -1}, "rewriting_evaluations must be an integer of at least 0"),
    ],
)
def test_errors_before_any_work(space: Any, tmp_path: Path, arguments: dict[str, Any], message: str) -> None:
    given = {"archs": ARCHS, "targets": ["eyeriss"], "space": space, "cache": tmp_path / "cache"} | arguments
    with pytest.raises(InputError, match=message):
        evaluate_finalists(given.pop("archs"), given.pop("targets"), **given)
    assert not (tmp_path / "cache").exists()


def test_layers_that_a_target_cannot_run(space: Any, tmp_path: Path) -> None:
    shipped = yaml.safe_load((Path(__file__).parents[2] / "devices" / "eyeriss.yaml").read_text())
    (tmp_path / "fc.yaml").write_text(yaml.safe_dump(shipped | {"layer_kinds": ["fc"]}))
    with pytest.raises(InputError, match="cannot run conv layers"):
        evaluate_finalists(ARCHS, ["eyeriss", tmp_path / "fc.yaml"], space=space, cache=tmp_path / "cache")
    assert not (tmp_path / "cache").exists()


def test_tables_know_no_other_networks(space: Any, tmp_path: Path) -> None:
    (tmp_path / "a.csv").write_text(f"# space: nasbench201\narch,latency_ms,device\n{ARCHS[0]},1.0,phone\n")
    (tmp_path / "phone.yaml").write_text(yaml.safe_dump({"kind": "table", "csv": "a.csv", "device": "phone"}))
    with pytest.raises(InputError, match="cannot be evaluated: expected a simulated accelerator"):
        evaluate_finalists(ARCHS, [tmp_path / "phone.yaml"], space=space)


def test_unknown_names_of_a_table(table: FinalistTable) -> None:
    with pytest.raises(UnknownNameError, match="Did you mean 'eyeriss'"):
        table.of("eyeris")
    with pytest.raises(UnknownNameError, match="Did you mean 'mapping'"):
        table.finalists[0].variant("maping")


@pytest.mark.slow  # each process imports torch
@pytest.mark.parametrize("backend", ["loky", "ray"])
@pytest.mark.filterwarnings("ignore")  # Ray's own
def test_by_several_workers_as_by_one(
    table: FinalistTable, space: Any, tmp_path: Path, backend: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    if backend == "ray":
        pytest.importorskip("ray", reason='no ray here (pip install "nas-proxy[ray]"), so it is NOT tested')
        monkeypatch.setenv("RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO", "0")
    workers = Workers(jobs=2, backend=backend)
    together = evaluate_finalists(ARCHS, TARGETS, space=space, cache=tmp_path, workers=workers, **QUICK)
    assert [(f.arch, f.target, f.variants, f.layers) for f in together] == [
        (f.arch, f.target, f.variants, f.layers) for f in table
    ]
    assert lines(tmp_path / "finalists.jsonl") == 6


def test_the_command(tmp_path: Path) -> None:
    from typer.testing import CliRunner

    from nas_proxy.cli import app

    (tmp_path / "archs.csv").write_text("arch\n" + "\n".join(ARCHS) + "\n")
    command = ["evaluate", str(tmp_path / "archs.csv"), "--space", "nasbench201", "--target", "edge-tpu"]
    command += [part for name, size in SMALL.items() for part in ("-p", f"{name}={size}")]
    command += ["--no-rewriting", "--cache", str(tmp_path / "cache"), "-o"]
    result = CliRunner().invoke(app, [*command, str(tmp_path / "out.json")])
    assert result.exit_code == 0, result.output
    found = FinalistTable.from_json(tmp_path / "out.json")
    assert found.targets == ("edge-tpu",)
    assert [v.name for v in found.finalists[0].variants] == ["nothing", "all"]
    result = CliRunner().invoke(app, [*command, str(tmp_path / "out.xlsx")])
    assert isinstance(result.exception, InputError)
    assert "written as .csv or .json" in str(result.exception)
