"""nas-proxy zoo and zoo-trace as a user meets them: files in, files out, one message for what is wrong."""

from __future__ import annotations

import csv

import numpy as np
import pytest
from typer.testing import CliRunner

from nas_proxy.cli import app
from nas_proxy.datasets import LatencyTable
from nas_proxy.datasets.timm_costs import networks_in
from nas_proxy.errors import InputError
from nas_proxy.ranking.zoo import rank_zoo, suggest_networks
from nas_proxy.ranking.zoo_csv import read_zoo_latencies


def _run(*arguments):
    return CliRunner().invoke(app, [str(argument) for argument in arguments])


@pytest.fixture(scope="module")
def folder(zoo_tables, zoo_measured, tmp_path_factory):
    """A folder with ``gpu.csv``, the proxy, ``phone.csv``, 20 measurements, and ``results.csv``, accuracies."""
    folder = tmp_path_factory.mktemp("zoo")
    zoo_tables[0].to_csv(folder / "gpu.csv")
    zoo_measured.to_csv(folder / "phone.csv")
    top1 = np.random.default_rng(0).uniform(60, 90, len(zoo_tables[0])).round(3)
    rows = (f"{arch.replace('@', '.tag,')},{percent}" for arch, percent in zip(zoo_tables[0].archs, top1, strict=True))
    (folder / "results.csv").write_text("\n".join(["model,img_size,top1", *rows, "unknown.tag,224,95"]) + "\n")
    LatencyTable("timm", zoo_tables[0].archs, ("a", "b"), np.ones((300, 2))).to_csv(folder / "two.csv")
    return folder


def test_suggest_fill_in_and_rank(zoo_tables, folder, tmp_path):
    to_fill_in = tmp_path / "mine.csv"
    result = _run("zoo", "--proxy", folder / "gpu.csv", "--suggest", to_fill_in, "-n", 12)
    assert result.exit_code == 0, result.output
    lines = to_fill_in.read_text().splitlines()
    archs = [line.removesuffix(",") for line in lines if line.endswith(",")]
    assert len(set(archs)) == 12
    filled = dict(zip(archs, zoo_tables[1].latency_ms("phone", archs), strict=True))
    filled.pop(archs[3])  # one does not run there
    to_fill_in.write_text("\n".join(line + str(filled.get(line.removesuffix(","), "")) for line in lines))

    ranked = tmp_path / "ranked.csv"
    rank = "zoo", "--proxy", folder / "gpu.csv", "--target", to_fill_in, "--top1", folder / "results.csv", "-o", ranked
    for _ in range(2):  # the second overwrites what is no measurement
        result = _run(*rank)
        assert result.exit_code == 0, result.output
    assert "accuracy-latency front" in result.output
    assert "Kendall's tau" in result.output
    assert "1 are in no table of costs (unknown@224)" in result.output.replace("\n", " ")
    rows = list(csv.DictReader(ranked.read_text().splitlines()))
    assert len(rows) == 300
    assert sum(row["measured"] == "True" for row in rows) == 11
    latencies = [float(row["ms_per_image"]) for row in rows]
    assert latencies == sorted(latencies)


def test_without_accuracies_the_fastest_are_shown(folder):
    result = _run("zoo", "--proxy", folder / "gpu.csv", "--target", folder / "phone.csv", "--top", 5)
    assert result.exit_code == 0, result.output
    assert "fastest networks: 5 of 300" in result.output
    assert "top-1" not in result.output


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ([], "give --target with your device's measurements, or --suggest"),
        (["--target", "phone.csv", "--suggest", "new.csv"], "give --target"),
        (["--target", "absent.csv"], "absent.csv"),
        (["--target", "two.csv"], "holds the devices a, b: keep the rows of one of them"),
        (["--target", "results.csv"], "the column 'arch' is missing"),
        (["--target", "phone.csv", "--top1", "phone.csv"], "the column 'model' is missing"),
        (["--target", "phone.csv", "-o", "phone.csv"], "holds measurements"),
        (["--suggest", "phone.csv"], "may hold measurements"),
        (["--suggest", "new.csv", "-n", "400"], "cannot suggest 400 architectures"),
        (["--target", "phone.csv", "--table", "phone.csv"], "expected a table of timm networks"),
        (["--target", "phone.csv", "--table", "absent.csv"], "expected a table of timm networks"),
    ],
)
def test_bad_input_is_one_message_and_touches_nothing(folder, monkeypatch, arguments, message):
    monkeypatch.chdir(folder)
    before = {path.name: path.read_bytes() for path in folder.iterdir()}
    result = _run("zoo", "--proxy", "gpu.csv", *arguments)
    assert isinstance(result.exception, InputError)
    assert message in str(result.exception)
    assert {path.name: path.read_bytes() for path in folder.iterdir()} == before


def test_networks_the_zoo_lacks_are_traced_and_ranked(folder, zoo_measured, zoo, tmp_path):
    pytest.importorskip("timm")
    table = tmp_path / "mine.csv"
    result = _run("zoo-trace", "resnet18@96", "resnet50@224", "resnet5O@224", "-o", table)
    assert result.exit_code == 1
    assert "not traced: resnet5O@224" in result.output
    assert "Did you mean 'resnet50'" in result.output
    assert [row["arch"] for row in csv.DictReader(table.read_text().splitlines())] == [
        "resnet18@96"
    ]  # resnet50@224 ships
    results = tmp_path / "results.csv"
    results.write_text("model,img_size,top1\nresnet18.tag,96,55\nresnet50.tag,224,80\n")
    result = _run(
        *("zoo", "--proxy", folder / "gpu.csv", "--target", folder / "phone.csv"), "--top1", results, "--table", table
    )
    assert result.exit_code == 0, result.output
    assert "2 ranked from 20 measurements; Kendall's tau expected" in result.output


def test_zoo_trace_counts_what_ships(tmp_path):
    result = _run("zoo-trace", "resnet50@224", "-o", tmp_path / "mine.csv")
    assert result.exit_code == 0
    assert "0 added to" in result.output
    assert "1 ship with nas-proxy" in result.output
    assert not (tmp_path / "mine.csv").exists()


def test_what_zoo_trace_is_given(tmp_path):
    with pytest.raises(InputError, match="name and image size"):
        networks_in(["resnet50"])
    results = tmp_path / "results.csv"
    results.write_text("model,img_size,top1\nos:getcwd,224,80\n")
    with pytest.raises(InputError, match=r"names 'os:getcwd@224'.*A file cannot have code run"):
        networks_in([str(results)])
    with pytest.raises(InputError, match=r"absent\.csv"):
        networks_in([str(tmp_path / "absent.csv")])


def test_timms_tables_are_taken_too(zoo, measurements, some_of):
    folder = measurements("timm")
    proxy = read_zoo_latencies(folder / "benchmark-infer-amp-nchw-pt240-cu124-rtx3090.csv", zoo)
    assert len(proxy) > 1400
    target = read_zoo_latencies(folder / "benchmark-infer-fp32-nchw-pt240-cpu-i9_10940x-dynamo.csv", zoo)
    few = some_of(target, [arch for arch in suggest_networks(proxy, 25, zoo) if arch in target.archs][:20])
    ranking = rank_zoo(proxy, few, zoo)
    assert len(ranking.networks) == len(proxy)
    assert len(networks_in([str(folder / "results-imagenet.csv"), "resnet50@224"])) == 1193
    assert set(networks_in(list(map(str, folder.glob("*.csv"))))) == set(zoo.choices["network"])
