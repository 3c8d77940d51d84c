"""The commands suggest, adapt and rank, from CSV to CSV."""

from __future__ import annotations

import csv

import numpy as np
import pytest
from typer.testing import CliRunner

from nas_proxy import LatencyTable
from nas_proxy.cli import app
from nas_proxy.datasets.csv_table import read_archs
from nas_proxy.errors import InputError


@pytest.fixture
def folder(tmp_path, population):
    """proxies.csv with two devices; target.csv and targets.csv with 20 measurements."""
    devices = {
        "near": population.device(kernels=2, macs=0.3, noise=0.02),
        "far": population.device(macs=3, noise=0.02, seed=1),
    }
    table = LatencyTable(
        "nasbench201", tuple(population.archs), tuple(devices), np.column_stack(list(devices.values()))
    )
    table.to_csv(tmp_path / "proxies.csv")
    table.measured_on("near").to_csv(tmp_path / "proxy.csv")
    chosen = range(0, 600, 30)
    latencies = [population.device(kernels=2, macs=0.3, noise=0.02, seed=s)[list(chosen)] for s in (2, 3)]
    archs = tuple(population.archs[i] for i in chosen)
    LatencyTable("nasbench201", archs, ("phone",), np.column_stack(latencies[:1])).to_csv(tmp_path / "target.csv")
    both = LatencyTable("nasbench201", archs, ("phone", "tablet"), np.column_stack(latencies))
    both.to_csv(tmp_path / "targets.csv")
    return tmp_path


def run(*arguments):
    result = CliRunner().invoke(app, [str(argument) for argument in arguments])
    if isinstance(result.exception, InputError):
        raise result.exception
    assert result.exit_code == 0, result.output
    return result.output


def rows(path):
    return list(csv.DictReader(line for line in path.read_text().splitlines() if not line.startswith("#")))


class TestSuggest:
    def test_writes_what_to_fill_in(self, folder):
        output = folder / "todo.csv"
        assert "20 architectures of 15625" in run("suggest", "--proxy", folder / "proxy.csv", "-o", output)
        assert len(set(read_archs(output))) == 20
        assert {row["latency_ms"] for row in rows(output)} == {""}

    def test_among_given_architectures(self, folder, population):
        output = folder / "todo.csv"
        run("suggest", "--proxy", folder / "proxy.csv", "-o", output, "-n", 5, "--archs", folder / "target.csv")
        assert set(read_archs(output)) < set(read_archs(folder / "target.csv"))

    def test_never_overwrites_measurements(self, folder):
        with pytest.raises(InputError, match="may hold measurements"):
            run("suggest", "--proxy", folder / "proxy.csv", "-o", folder / "target.csv")

    def test_more_than_there_are(self, folder):
        with pytest.raises(InputError, match="cannot suggest 21 architectures: there are 20"):
            run(
                "suggest",
                "--proxy",
                folder / "proxy.csv",
                "-o",
                folder / "x",
                "-n",
                21,
                "--archs",
                folder / "target.csv",
            )

    def test_one_device_only(self, folder):
        with pytest.raises(InputError, match="holds several devices: near, far"):
            run("suggest", "--proxy", folder / "proxies.csv", "-o", folder / "todo.csv")

    @pytest.mark.parametrize("command", [("suggest", "--proxy"), ("fleet", "target.csv", "--proxy")])
    def test_several_devices_are_refused_before_any_is_fitted(self, folder, population, monkeypatch, command):
        """Fitting would fail: there are two measurements only."""
        monkeypatch.chdir(folder)
        two = LatencyTable("nasbench201", tuple(population.archs[:2]), ("near", "far"), np.ones((2, 2)))
        two.to_csv("two.csv")
        with pytest.raises(InputError, match="holds several devices: near, far"):
            run(*command, "two.csv", "-o", "out.csv")


class TestAdapt:
    def test_tells_the_proxy_and_the_quality(self, folder):
        output = run("adapt", "--target", folder / "targets.csv", "--proxy", folder / "proxies.csv")
        assert output.count("near") == 2
        assert "far" not in output
        assert "tablet: good enough" in output

    def test_names_are_no_markup(self, folder):
        for name, device in (("proxy", "near"), ("target", "phone")):
            text = (folder / f"{name}.csv").read_text()
            (folder / f"odd_{name}.csv").write_text(text.replace(device, f"{device}[/y]"))
        files = "--target", folder / "odd_target.csv", "--proxy", folder / "odd_proxy.csv"
        assert "phone[/y]: good enough" in run("adapt", *files)
        assert "fastest on phone[/y]" in run("rank", *files)

    def test_too_few_are_told_with_device_and_file(self, folder):
        lines = (folder / "targets.csv").read_text().splitlines()
        kept = [line for line in lines if "tablet" not in line] + [line for line in lines if "tablet" in line][:2]
        (folder / "few.csv").write_text("\n".join(kept))
        with pytest.raises(InputError, match=r"few\.csv, device 'tablet': .* at least 3 measurements, found 2"):
            run("adapt", "--target", folder / "few.csv", "--proxy", folder / "proxy.csv")

    def test_predictions(self, folder, population):
        archs = folder / "proxies.csv"
        run(
            "adapt",
            "--target",
            folder / "targets.csv",
            "--proxy",
            folder / "proxies.csv",
            "-o",
            folder / "p.csv",
            "--archs",
            archs,
        )
        found = rows(folder / "p.csv")
        assert [row["arch"] for row in found] == population.archs
        predicted = np.array([float(row["predicted_latency_ms_phone"]) for row in found])
        assert np.median(np.abs(predicted / population.device(kernels=2, macs=0.3) - 1)) < 0.03
        assert all(float(row["std_latency_ms_tablet"]) > 0 for row in found)

    def test_other_space(self, folder):
        (folder / "fbnet.csv").write_text("# space: fbnet\narch,latency_ms\n" + ",".join(["0"] * 22) + ",1\n")
        with pytest.raises(InputError, match="fbnet"):
            run("adapt", "--target", folder / "fbnet.csv", "--proxy", folder / "proxies.csv")


class TestRank:
    def test_fastest_first(self, folder):
        output = run(
            "rank",
            "--target",
            folder / "target.csv",
            "--proxy",
            folder / "proxies.csv",
            "-o",
            folder / "r.csv",
            "--top",
            3,
        )
        assert "fastest on phone: 3 of 15625" in output
        assert "predicted [ms]" in output
        assert "by the proxy near and 20 measurements; Kendall's tau expected: 0." in output
        predicted = [float(row["predicted_latency_ms_phone"]) for row in rows(folder / "r.csv")]
        assert predicted == sorted(predicted)
        assert len(predicted) == 15625

    def test_pareto_front(self, folder, population):
        percent = np.linspace(50, 70, 600)
        lines = [f"{arch},{p}" for arch, p in zip(population.archs, percent, strict=True)]
        (folder / "accuracy.csv").write_text("# space: nasbench201\narch,accuracy\n" + "\n".join(lines) + "\n")
        arguments = [
            "rank",
            "--target",
            folder / "target.csv",
            "--proxy",
            folder / "proxies.csv",
            "-o",
            folder / "r.csv",
        ]
        assert "Pareto front on phone" in run(*arguments, "--accuracy", folder / "accuracy.csv")
        front = [row["arch"] for row in rows(folder / "r.csv")]
        assert population.archs[-1] == front[-1]
        with pytest.raises(InputError, match="not both"):
            run(*arguments, "--accuracy", folder / "accuracy.csv", "--archs", folder / "target.csv")

    def test_one_target_only(self, folder):
        with pytest.raises(InputError, match="several devices: phone, tablet"):
            run("rank", "--target", folder / "targets.csv", "--proxy", folder / "proxies.csv")
