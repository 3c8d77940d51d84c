"""Networks as ONNX for devices that are elsewhere, and the commands about measuring."""

from __future__ import annotations

import sys

import onnxruntime
import pytest
import torch

from nas_proxy import cli, load_latencies
from nas_proxy.devices import export_onnx
from nas_proxy.errors import InputError


def test_files_are_the_networks(tmp_path, space, archs):
    table = export_onnx(space, archs[:2], tmp_path / "out", batch_size=3)
    assert table.read_text().splitlines()[2] == "arch,file,latency_ms"
    rows = [line.split(",") for line in table.read_text().splitlines()[3:]]
    assert [row[0] for row in rows] == archs[:2]
    for arch, name, latency_ms in rows:
        assert latency_ms == ""
        session = onnxruntime.InferenceSession(tmp_path / "out" / name, providers=["CPUExecutionProvider"])
        [given] = session.get_inputs()
        assert given.shape == [3, *space.input_shape(arch)]
        [output] = session.run(None, {given.name: torch.zeros(given.shape).numpy()})
        assert output.shape == (3, space.classes)


def test_names_are_stable_and_nothing_is_overwritten(tmp_path, space, archs):
    table = export_onnx(space, archs[:2], tmp_path)
    names = {path.name: path.stat().st_mtime_ns for path in tmp_path.glob("*.onnx")}
    filled = table.read_text().replace(".onnx,\n", ".onnx,1.5\n", 1)
    table.write_text(filled)
    export_onnx(space, archs[:3], tmp_path)
    assert table.read_text().startswith(filled)
    assert len(table.read_text().splitlines()) == 6
    assert names.items() <= {path.name: path.stat().st_mtime_ns for path in tmp_path.glob("*.onnx")}.items()
    other = export_onnx(space.with_parameters(cells=2), archs[:2], tmp_path / "other")
    assert not names.keys() & {path.name for path in other.parent.glob("*.onnx")}


def test_rows_are_added_to_the_columns_the_user_has_made(tmp_path, space, archs):
    table = export_onnx(space, archs[:1], tmp_path)
    mine = f"latency_ms,device,arch\n1.5,phone,{archs[0]}"  # no line end after the last row
    table.write_text(f"# space: nasbench201(channels=4,cells=1,image_size=8)\n{mine}")
    export_onnx(space, archs[:2], tmp_path)
    assert table.read_text() == f"# space: nasbench201(channels=4,cells=1,image_size=8)\n{mine}\n,,{archs[1]}\n"
    assert load_latencies("csv", table).latency_ms("phone").tolist() == [1.5]


def test_the_filled_in_csv_is_read(tmp_path, space, archs, caplog):
    table = export_onnx(space, archs[:2], tmp_path)
    with pytest.raises(InputError, match="no row has a latency_ms yet \\(2 rows to fill in\\)"):
        load_latencies("csv", table)
    table.write_text(table.read_text().replace(".onnx,\n", ".onnx,1.5\n", 1))
    assert load_latencies("csv", table).latency_ms("latencies").tolist() == [1.5]
    assert "1 of 2 rows have no latency_ms yet" in caplog.text


def test_what_cannot_be_exported(tmp_path, space, archs):
    with pytest.raises(InputError, match="no architectures"):
        export_onnx(space, [], tmp_path)
    (tmp_path / "file").write_text("")
    with pytest.raises(InputError, match="cannot be written"):
        export_onnx(space, archs[:1], tmp_path / "file")
    (tmp_path / "latencies.csv").write_text("a,b\n1,2\n")
    with pytest.raises(InputError, match="the column 'arch' is missing"):
        export_onnx(space, archs[:1], tmp_path)


@pytest.fixture
def run(monkeypatch, capsys):
    """Runs a command as from the shell and gives what it printed."""

    def run(*arguments, code=0):
        monkeypatch.setattr(sys, "argv", ["nas-proxy", *map(str, arguments)])
        with pytest.raises(SystemExit) as stopped:
            cli.main()
        printed = "".join(capsys.readouterr())
        assert (stopped.value.code or 0) == code, printed
        return " ".join(printed.split())

    return run


SMALL = ("--space", "nasbench201", "-p", "cells=1", "-p", "channels=4", "-p", "image_size=8")


def test_commands(tmp_path, host, run):
    """Export two networks, measure them here, and continue with a third."""
    host("mine")
    assert "2 networks in" in run("export", *SMALL, "-n", 2, "-o", tmp_path / "out")
    measure = ("measure", "--device", tmp_path / "mine.yaml", "-o", tmp_path / "proxy.csv")
    assert "2 architectures measured on mine" in run(*measure, "--archs", tmp_path / "out" / "latencies.csv")
    assert "of which search space?" in run(*measure, "-n", 3, code=2)
    assert "3 architectures measured on mine" in run(*measure, *SMALL, "-n", 3)  # the first two are the same ones


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("-n", 2, "--device", "host-torhc"), "Did you mean 'host-torch'"),
        (("--device", "host-torch"), "which architectures?"),
        (("-n", 2, "--archs", "x.csv", "--device", "host-torch"), "give -n or --archs, not both"),
        (("-n", 2, "-p", "cell=1", "--device", "host-torch"), "Did you mean 'cells'"),
        (("-n", 2, "-p", "cells", "--device", "host-torch"), "expected NAME=VALUE"),
        (("--archs", "no.csv", "--device", "host-torch"), "found nothing"),
    ],
)
def test_commands_given_wrong_arguments(tmp_path, run, arguments, said):
    path = tmp_path / "proxy.csv"
    assert said in run("measure", "--space", "nasbench201", "-o", path, *arguments, code=2)
    assert not path.exists()
