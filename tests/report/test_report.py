"""The report: what it says, for every kind of run folder, and what it refuses."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import numpy as np
import pytest
from report_page import Page, read
from run_folders import build_run, write
from typer.testing import CliRunner

from nas_proxy.cli import app
from nas_proxy.errors import InputError
from nas_proxy.ranking.pareto import recommended
from nas_proxy.report import write_report
from nas_proxy.report.evidence import fit_models
from nas_proxy.report.folder import read_run
from nas_proxy.report.page import script_safe

SECTIONS = ("answer", "front", "proxy", "search", "finalists", "measured")


def without_finalists(run_folder: Path, tmp_path: Path) -> Path:
    copy = shutil.copytree(run_folder, tmp_path / "run")
    (copy / "finalists.json").unlink()
    (copy / "checks.json").unlink()
    return copy


def test_recommends_by_the_best_knowledge(run_folder: Path, page: Page, tmp_path: Path) -> None:
    """Optimised latencies decide where there are finalists, found ones after the search, else the predicted ones."""
    run = read_run(run_folder)
    predicted_ms = [network.predicted_ms["onnxruntime"] for network in run.networks]
    wanted = recommended([network.accuracy for network in run.networks], predicted_ms, 8.0)
    assert wanted is not None

    copy = without_finalists(run_folder, tmp_path)
    answer = read(write_report(copy, tmp_path / "report.html")).data["targets"][2]["recommendation"]
    assert answer["basis"] == "predicted"
    assert answer["network"]["number"] == wanted + 1
    low, high = answer["interval_ms"]
    assert low < answer["latency_ms"] < high
    assert answer["interval_ms"] == answer["predicted_interval_ms"]

    shutil.copy(run_folder / "checks.json", copy)
    answer = read(write_report(copy, tmp_path / "report.html")).data["targets"][2]["recommendation"]
    assert answer["basis"] == "found"
    assert answer["latency_ms"] == pytest.approx(1.05 * answer["predicted_ms"])

    for target in page.data["targets"]:
        answer = target["recommendation"]
        own = [f for f in page.data["finalists"] if f["target"] == target["name"]]
        assert answer["basis"] == "optimised"
        assert answer["latency_ms"] in [f["latency_ms"] for f in own]
        assert (answer["interval_ms"] is not None) == (target["name"] == "onnxruntime")


def test_nothing_keeps_the_limit(tmp_path: Path) -> None:
    run = build_run(tmp_path / "run", ("eyeriss",), limits_ms={"eyeriss": 1e-3}, finalists=False)
    page = read(write_report(run, tmp_path / "report.html"))
    assert page.data["targets"][0]["recommendation"]["network"] is None
    assert "no network keeps the limit of 0.001 ms" in page.text


def test_every_section_is_filled(page: Page) -> None:
    assert set(SECTIONS) <= set(page.ids)
    assert "24 networks evaluated of the 15,625 in nasbench201, for 3 devices" in page.text
    assert "A proxy was measured on 60 networks, each device on 20" in page.text
    assert "good enough: of two architectures" in page.text
    assert "2 failed" in page.text
    assert "not the one chosen by prediction but another is the best of them" in page.text
    assert "Found in" not in page.text  # written by the script, for the finalist chosen
    assert "nas-proxy run 'a search.yml'" in page.text
    assert "a CPU & more" in page.text
    assert "mapper marl" in page.text
    assert "proxy device host-torch" in page.text
    for network in page.data["networks"]:
        assert network["arch"] in page.text
        assert f"network-{network['number']}" in page.ids


def test_shows_how_the_search_went(page: Page) -> None:
    for target in page.data["targets"]:
        volumes = target["progress"]["hypervolume"]
        assert len(volumes) == len(page.data["networks"])
        assert volumes[-1] == pytest.approx(1.0)
        assert volumes == sorted(volumes)
        latency = {n["number"]: n["predicted_ms"][target["name"]] for n in page.data["networks"]}
        on_front = [latency[number] for number in target["front"]["numbers"]]
        assert on_front == sorted(on_front)
        assert sum(target["density"]["counts"]) == pytest.approx(15625, rel=0.01)


def test_held_out_predictions_never_saw_the_measurement(run_folder: Path, page: Page) -> None:
    run = read_run(run_folder)
    models = fit_models(run)
    assert models is not None
    for target in page.data["targets"]:
        found = target["evidence"]
        model = models.targets[target["name"]]
        fitted = model.predict(model.archs)
        measured = np.array(found["measured_ms"])
        held_out = np.array(found["held_out_ms"])
        others = [i for i in range(20) if i % 10]
        alone = models.proxy.adapt([model.archs[i] for i in others], measured[others]).predict(model.archs[::10])
        assert held_out[::10] == pytest.approx(alone)
        assert np.abs(held_out - measured).mean() > np.abs(fitted - measured).mean()
        assert -1 <= found["proxy_tau"] <= 1
        assert found["held_out_tau"] > 0.5
    correlations = page.data["correlations"]
    assert correlations["devices"] == ["proxy", "eyeriss", "edge-tpu-x4", "onnxruntime"]
    assert np.allclose(np.diag(correlations["tau"]), 1)
    assert np.allclose(correlations["tau"], np.transpose(correlations["tau"]))


def test_models_are_those_of_the_search_wherever_the_measurements_came_from(run_folder: Path, tmp_path: Path) -> None:
    copy = shutil.copytree(run_folder, tmp_path / "run")
    settings = json.loads((copy / "experiment.yml").read_text())
    settings["tuner"]["classArgs"]["proxy"] = {"csv": str(tmp_path / "gone.csv"), "samples": 60, "column": "proxy"}
    write(copy / "experiment.yml", settings)
    run = read_run(copy)
    models = fit_models(run)
    assert models is not None
    assert [len(model.archs) for model in models.targets.values()] == [20, 20, 20]
    for name, model in models.targets.items():
        assert model.monotonicity.kendall_tau == run.stated[name].kendall_tau
    assert run.sources["proxy"] == "read from gone.csv, column proxy"


def test_a_state_that_was_cut_off_is_replaced_by_the_one_before(run_folder: Path, tmp_path: Path) -> None:
    copy = shutil.copytree(run_folder, tmp_path / "run")
    shutil.copy(copy / "search.json", copy / "search.previous.json")
    (copy / "search.json").write_text("{")
    assert len(read_run(copy).networks) == len(read_run(run_folder).networks)


def test_finalists(page: Page) -> None:
    found = page.data["finalists"]
    assert len(found) == 9
    assert [f["target"] for f in found[::3]] == ["eyeriss", "edge-tpu-x4", "onnxruntime"]
    for finalist in found:
        shown = [layer["latency_ms"] for layer in finalist["layers"]]
        assert shown == sorted(shown, reverse=True)
        assert finalist["rest"]["count"] == 8
        assert bool(finalist["stages"]) == (finalist["target"] == "edge-tpu-x4")


def test_without_finalists_says_how_to_get_them(run_folder: Path, tmp_path: Path) -> None:
    page = read(write_report(without_finalists(run_folder, tmp_path), tmp_path / "report.html"))
    assert "nas-proxy evaluate" in page.text
    assert page.data["finalists"] == []
    assert set(SECTIONS) <= set(page.ids)


def test_state_of_a_search_that_has_no_measurements(run_folder: Path, tmp_path: Path) -> None:
    """What ProxyStrategy keeps: no configuration, no measurements, no name."""
    folder = tmp_path / "strategy"
    folder.mkdir()
    shutil.copy(run_folder / "search.json", folder)
    page = read(write_report(folder, tmp_path / "report.html"))
    assert "does not say where latencies came from" in page.text
    assert "24 networks evaluated, for 3 devices" in page.text
    assert page.data["targets"][0]["recommendation"]["interval_ms"] is None


@pytest.mark.parametrize("space", ["fbnet", "mobilenetv3"])
def test_spaces_that_cannot_be_listed(space: str, tmp_path: Path) -> None:
    run = build_run(tmp_path / "run", ("eyeriss",), space=space, finalists=False)
    page = read(write_report(run, tmp_path / "report.html"))
    assert page.data["correlations"]["n"] == 2000
    assert f"in {space}, for 1 device." in page.text


def test_hundreds_of_results_fit(tmp_path: Path) -> None:
    targets = tuple(f"device-{i}" for i in range(3))
    run = build_run(tmp_path / "run", targets, results=400)
    path = write_report(run, tmp_path / "report.html")
    assert path.stat().st_size < 8e6
    assert len(read(path).data["networks"]) == 400


def test_what_comes_from_outside_is_text(run_folder: Path, tmp_path: Path) -> None:
    hostile = "</script><script>document.title='taken'</script><img src=x onerror=alert(1)>"
    copy = shutil.copytree(run_folder, tmp_path / "run")
    state = json.loads((copy / "search.json").read_text())
    state["failures"][0]["reason"] = hostile
    state["engine"]["results"][0]["arch"] = hostile
    write(copy / "search.json", state)
    write(copy / "run.json", {"name": hostile})
    (copy / "config.yml").write_text(hostile)
    text = write_report(copy, tmp_path / "report.html").read_text(encoding="utf-8")
    assert hostile not in text
    assert "<img" not in text.split("<script>")[0]
    page = read(tmp_path / "report.html")
    assert page.data["networks"][0]["arch"] == hostile
    assert page.text.count(hostile) == 5  # the title, the heading, the network, the failure, the configuration


def test_json_in_a_script_element() -> None:
    value = {"a": "</script><!--&\u2028\u2029é"}
    text = script_safe(value)
    assert not set("<>&\u2028\u2029") & set(text)
    assert json.loads(text) == value
    with pytest.raises(ValueError, match="JSON compliant"):
        script_safe(float("nan"))


def test_page_may_fetch_nothing(page: Page) -> None:
    text = page.path.read_text(encoding="utf-8")
    assert "default-src 'none'; script-src 'unsafe-inline'; style-src 'unsafe-inline'; img-src data: blob:" in text
    assert page.path.stat().st_size < 8e6


def test_same_run_same_page(run_folder: Path, page: Page, tmp_path: Path) -> None:
    assert write_report(run_folder, tmp_path / "again.html").read_bytes() == page.path.read_bytes()


def test_refuses_what_is_no_run(run_folder: Path, tmp_path: Path) -> None:
    output = tmp_path / "report.html"
    with pytest.raises(InputError, match="no such folder"):
        write_report(tmp_path / "absent", output)
    with pytest.raises(InputError, match="holds no run"):
        write_report(tmp_path, output)
    started = tmp_path / "started"
    started.mkdir()
    write(started / "run.json", {"name": "quickstart"})
    with pytest.raises(InputError, match="has no results yet: go on with nas-proxy run --resume"):
        write_report(started, output)
    state = json.loads((run_folder / "search.json").read_text())
    state["engine"]["results"] = []
    write(started / "search.json", state)
    with pytest.raises(InputError, match="no results yet; 2 trials failed"):
        write_report(started, output)
    (started / "search.json").write_text("{")
    with pytest.raises(InputError, match=r"search\.json: cannot be read"):
        write_report(started, output)
    write(started / "search.json", {"engine": {"results": [{}]}})
    with pytest.raises(InputError, match="a file of this run is damaged"):
        write_report(started, output)
    with pytest.raises(InputError, match="is a folder: name the HTML file"):
        write_report(run_folder, tmp_path)
    assert not output.exists()


def test_command(run_folder: Path, tmp_path: Path) -> None:
    output = tmp_path / "report.html"
    done = CliRunner().invoke(app, ["report", str(run_folder), "-o", str(output)])
    assert done.exit_code == 0, done.output
    assert "MB; open it in a browser" in done.output
    assert output.exists()
