"""Measuring into a file that survives everything, and is never continued with something else."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys
import time
from dataclasses import dataclass

import filelock
import pytest

from nas_proxy import LatencyTable
from nas_proxy.devices import Device, LatencyResult, measure
from nas_proxy.errors import InputError, UnknownNameError
from nas_proxy.graph import TensorGraph
from nas_proxy.testing.device_kinds import CHECKS, check_repeatable


class Counting(Device):
    """Takes as many milliseconds as the architecture has letters, and remembers what it was asked."""

    def __init__(self, name="counting", version=1):
        super().__init__(name)
        self.version = version
        self.asked = []

    def describe(self):
        return super().describe() | {"clock": {"version": self.version}}

    def latency(self, network):
        if not isinstance(network, str):
            raise InputError("expected a text")
        return LatencyResult(float(len(network)), energy_mj=0.5)

    def latencies(self, space, archs):
        archs = [space.to_str(arch) for arch in archs]
        for index in reversed(range(len(archs))):  # in an order of its own
            self.asked.append(archs[index])
            yield index, self.latency(archs[index])


@dataclass(frozen=True)
class Detailed(LatencyResult):
    per_layer: tuple[float, ...] = ()
    layers: int = 0


class Simulated(Device):
    """Takes graphs, as simulated devices do, a millisecond for each node."""

    def latency(self, network):
        if not isinstance(network, TensorGraph):
            raise InputError("expected a graph")
        return Detailed(float(len(network.nodes)), per_layer=(1.0,) * len(network.nodes), layers=len(network.nodes))


@pytest.mark.parametrize("check", [*CHECKS, check_repeatable], ids=lambda check: check.__name__)
@pytest.mark.parametrize("device", [Counting(), Simulated("simulated")], ids=lambda device: device.name)
def test_conformance(check, device, space, archs):
    check(device, space, archs[:2])


def test_what_fits_in_a_cell_is_kept(tmp_path, space, archs):
    measure(Simulated("simulated"), space, archs[:1], tmp_path / "x.csv")
    header, row = (tmp_path / "x.csv").read_text().splitlines()[1:]
    assert header == "arch,latency_ms,device,energy_mj,layers"
    assert row.split(",")[3:] == ["", str(int(float(row.split(",")[1])))]


def test_the_file_and_its_description(tmp_path, space, archs):
    path = tmp_path / "new" / "proxy.csv"
    calls = []
    table = measure(Counting(), space, archs, path, on_progress=lambda done, total: calls.append((done, total)))
    assert calls == [(0, 4), (1, 4), (2, 4), (3, 4), (4, 4)]
    assert set(table.archs) == set(archs)
    assert table.latency_ms("counting", archs).tolist() == [len(arch) for arch in archs]
    assert path.read_text().splitlines()[:2] == [
        "# space: nasbench201(channels=4,cells=1,image_size=8)",
        "arch,latency_ms,device,energy_mj",
    ]
    described = json.loads((tmp_path / "new" / "proxy.csv.machine.json").read_text())
    assert described["device"] == {"name": "counting", "clock": {"version": 1}}
    assert described["space"] == {"name": "nasbench201", **space.parameters}
    assert re.match(r"\d{4}-\d\d-\d\dT", described["started"])
    assert LatencyTable.from_csv(path).archs == table.archs


def test_only_what_is_missing_is_measured(tmp_path, space, archs):
    path = tmp_path / "proxy.csv"
    measure(Counting(), space, archs[:2], path)
    device = Counting()
    table = measure(device, space, [archs[3], archs[0], archs[2], archs[3]], path)
    assert set(device.asked) == {archs[2], archs[3]}
    assert len(device.asked) == 2
    assert len(table) == 4


def test_an_editor_that_drops_the_last_line_end(tmp_path, space, archs):
    path = tmp_path / "proxy.csv"
    measure(Counting(), space, archs[:2], path)
    path.write_text(path.read_text().rstrip("\n"))
    assert len(measure(Counting(), space, archs, path)) == 4


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (lambda d, s: (Counting(version=2), s), "device.clock.version: 1 in the file, 2 now"),
        (lambda d, s: (Counting("other"), s), "device.name: 'counting' in the file, 'other' now"),
        (lambda d, s: (d, s.with_parameters(cells=2)), "space.cells: 1 in the file, 2 now"),
    ],
)
def test_another_device_protocol_or_space_is_refused(tmp_path, space, archs, change, said):
    path = tmp_path / "proxy.csv"
    measure(Counting(), space, archs[:2], path)
    before = path.read_bytes()
    device, space = change(Counting(), space)
    with pytest.raises(InputError, match="must not be mixed") as error:
        measure(device, space, archs, path)
    assert said in str(error.value)
    assert path.read_bytes() == before
    assert device.asked == []


def test_a_file_of_unknown_origin_is_refused(tmp_path, space, archs):
    path = tmp_path / "proxy.csv"
    path.write_text(f"arch,latency_ms\n{archs[0]},1\n")
    with pytest.raises(InputError, match="was not written by measure"):
        measure(Counting(), space, archs, path)
    assert sorted(tmp_path.iterdir()) == [path]


def test_damaged_files_are_said(tmp_path, space, archs):
    path = tmp_path / "proxy.csv"
    measure(Counting(), space, archs[:2], path)
    whole = path.read_text()
    path.write_text(whole[:-30])
    with pytest.raises(InputError, match=r"proxy\.csv, line \d+"):
        measure(Counting(), space, archs, path)
    path.write_text(whole)
    (tmp_path / "proxy.csv.machine.json").write_text("{")
    with pytest.raises(InputError, match=r"machine\.json: cannot be read as a description"):
        measure(Counting(), space, archs, path)


def test_one_process_at_a_time(tmp_path, space, archs):
    path = tmp_path / "proxy.csv"
    measure(Counting(), space, archs[:2], path)
    other = filelock.FileLock(tmp_path / ".proxy.csv.lock")
    with other, pytest.raises(InputError, match="another process is measuring into this file"):
        measure(Counting(), space, archs, path)
    assert len(measure(Counting(), space, archs, path)) == 4


def test_an_exception_in_the_middle_keeps_what_was_measured(tmp_path, space, archs):
    class Failing(Counting):
        def latencies(self, space, archs):
            yield from list(super().latencies(space, archs))[:2]
            raise RuntimeError("unplugged")

    path = tmp_path / "proxy.csv"
    with pytest.raises(RuntimeError, match="unplugged"):
        measure(Failing(), space, archs, path)
    device = Counting()
    measure(device, space, archs, path)
    assert len(device.asked) == 2


@pytest.mark.parametrize("folder", ["/proc/nowhere", "file/below"])
def test_a_place_that_cannot_be_written(tmp_path, space, archs, folder):
    (tmp_path / "file").write_text("")
    device = Counting()
    with pytest.raises(InputError, match=r"proxy\.csv: cannot be written"):
        measure(device, space, archs, tmp_path / folder / "proxy.csv")
    assert device.asked == []


@pytest.mark.skipif(os.geteuid() == 0, reason="the superuser may write to read-only folders")
def test_a_read_only_folder(tmp_path, space, archs):
    tmp_path.chmod(0o555)
    try:
        with pytest.raises(InputError, match=r"proxy\.csv: cannot be written.*ermission"):
            measure(Counting(), space, archs, tmp_path / "proxy.csv")
    finally:
        tmp_path.chmod(0o755)


def test_a_disk_that_fills_up_keeps_what_was_measured(tmp_path, space, archs, monkeypatch):
    from nas_proxy import files

    path, write = tmp_path / "proxy.csv", files.write_text

    def full(path, text):
        if path.suffix == ".csv" and text.count("\n") > 4:
            raise OSError(28, "No space left on device")
        return write(path, text)

    monkeypatch.setattr(files, "write_text", full)
    with pytest.raises(InputError, match="No space left on device"):
        measure(Counting(), space, archs, path)
    monkeypatch.undo()
    assert len(LatencyTable.from_csv(path)) == 2
    assert len(measure(Counting(), space, archs, path)) == 4


def test_bad_arguments(tmp_path, space, archs):
    path = tmp_path / "proxy.csv"
    with pytest.raises(InputError, match="no architectures to measure"):
        measure(Counting(), space, [], path)
    with pytest.raises(InputError, match="nasbench201"):
        measure(Counting(), space, [*archs, "nonsense"], path)
    with pytest.raises(UnknownNameError, match="Did you mean 'nasbench201'"):
        measure(Counting(), "nasbench20", archs, path)
    assert list(tmp_path.iterdir()) == []


SCRIPT = """
import sys, time
from nas_proxy import get_device, get_space
from nas_proxy.devices import Device, LatencyResult, measure

class Slow(Device):
    def latency(self, network):
        time.sleep(0.002)
        return LatencyResult(float(len(network)))
    def latencies(self, space, archs):
        return ((i, self.latency(arch)) for i, arch in enumerate(archs))

device, path, n = sys.argv[1:]
space = get_space("nasbench201").with_parameters(channels=4, cells=1, image_size=8)
device = Slow("slow") if device == "slow" else get_device(device)
measure(device, space, space.sample(int(n), seed=1), path, on_progress=lambda done, _: print(done, flush=True))
"""


def start(device, path, n):
    command = [sys.executable, "-c", SCRIPT, str(device), str(path), str(n)]
    return subprocess.Popen(command, stdout=subprocess.PIPE, text=True)


def kill_after(process, more):
    """kill -9 as soon as ``more`` results are reported; returns how many were."""
    assert process.stdout is not None
    first = done = int(process.stdout.readline())
    while done < first + more:
        done = int(process.stdout.readline())
    process.send_signal(signal.SIGKILL)
    rest = process.communicate()[0].split()
    assert process.returncode == -signal.SIGKILL
    return int(rest[-1]) if rest else done


def test_kill_9_on_this_machine(tmp_path, space, host):
    """Really killed, really resumed: nothing measured is lost or measured again, and the file is never in between."""
    host("mine")
    path = tmp_path / "proxy.csv"
    done = kill_after(start(tmp_path / "mine.yaml", path, 8), 3)
    assert done >= 3
    killed = path.read_text()
    finished = LatencyTable.from_csv(path).archs
    assert len(finished) in {done, done + 1}  # killed between writing and saying so
    device, asked = host("mine"), []
    latencies = device.latencies
    device.latencies = lambda space, archs: asked.extend(archs) or latencies(space, archs)
    wanted = space.sample(8, seed=1)
    table = measure(device, space, wanted, path)
    assert set(table.archs) == set(wanted)
    assert set(asked) == set(wanted) - set(finished)
    assert path.read_text().startswith(killed)


def test_kill_9_at_any_moment(tmp_path):
    """Killed again and again, at moments unrelated to the writing: the file is whole each time, and only grows."""
    path, before = tmp_path / "proxy.csv", ""
    for attempt in range(5):
        process = start("slow", path, 2000)
        assert process.stdout is not None
        process.stdout.readline()
        time.sleep(0.05 + 0.0137 * attempt)
        process.kill()
        process.communicate()
        text = path.read_text() if path.exists() else ""
        assert text.startswith(before)
        if text:
            assert len(LatencyTable.from_csv(path)) == text.count("\n") - 2
        before = text
    assert before
    assert len(before.splitlines()) == len(set(before.splitlines()))


@pytest.mark.parametrize("latency_ms", [0.0, -3.0, float("nan"), float("inf")])
def test_latencies_that_cannot_be_are_refused_and_not_written(tmp_path, space, archs, latency_ms):
    class Odd(Counting):
        def latencies(self, space, archs):
            for index, _ in enumerate(archs):
                yield index, LatencyResult(latency_ms)

    with pytest.raises(InputError, match=r"gives a latency of .* ms: expected a positive number"):
        measure(Odd(), space, archs, tmp_path / "odd.csv")
    assert not (tmp_path / "odd.csv").exists()
