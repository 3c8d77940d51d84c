"""Latencies from several workers: the same numbers, and never two timings at once on a machine."""

from __future__ import annotations

import itertools
import os
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import psutil
import pytest

from nas_proxy.devices import Device, LatencyResult, Workers, get_device, measure
from nas_proxy.errors import InputError, MissingDependencyError
from nas_proxy.spaces import get_space

SMALL = {"channels": 4, "cells": 1, "image_size": 8}
TWO = Workers(jobs=2)


class Clocked(Device):
    """Notes from when to when it was busy; each latency is the length of the architecture's text."""

    batch = 1

    def __init__(self, folder: Path, timed: bool) -> None:
        super().__init__("clocked")
        self.folder, self.timed = folder, timed

    def latency(self, network: Any) -> LatencyResult:
        raise NotImplementedError

    def latencies(self, space: Any, archs: Sequence[str]) -> Any:
        begun = time.monotonic_ns()
        time.sleep(0.2)
        (self.folder / f"{begun}.busy").write_text(str(time.monotonic_ns()))
        yield from enumerate(LatencyResult(float(len(arch))) for arch in archs)


class Elsewhere(Clocked):
    """Another device in each process."""

    def describe(self) -> dict[str, Any]:
        return {"name": self.name, "process": os.getpid()}


def busy(folder: Path) -> list[tuple[int, int]]:
    return sorted((int(path.stem), int(path.read_text())) for path in folder.glob("*.busy"))


def overlapping(intervals: list[tuple[int, int]]) -> bool:
    return any(end > begin for (_, end), (begin, _) in itertools.pairwise(intervals))


@pytest.fixture
def space() -> Any:
    return get_space("nasbench201", **SMALL)


@pytest.mark.slow  # each process imports torch
def test_simulated_by_processes_as_by_one(space: Any, tmp_path: Path) -> None:
    archs, device = space.sample(4, seed=0), get_device("edge-tpu")
    device.batch = 1
    alone = measure(device, space, archs, tmp_path / "alone.csv")
    together = measure(device, space, archs, tmp_path / "together.csv", workers=TWO)
    assert sorted(map(str, together.archs)) == sorted(map(str, alone.archs))
    rows = together.rows(alone.archs)
    assert (together.latency_ms("edge-tpu")[rows] == alone.latency_ms("edge-tpu")).all()


def test_what_is_done_is_continued_by_others(space: Any, tmp_path: Path) -> None:
    archs, path = space.sample(6, seed=0), tmp_path / "latency.csv"
    measure(Clocked(tmp_path, timed=False), space, archs[:2], path)
    calls: list[tuple[int, int]] = []
    device = Clocked(tmp_path, timed=False)
    table = measure(device, space, archs, path, workers=TWO, on_progress=lambda *call: calls.append(call))
    assert table.latency_ms("clocked")[table.rows(archs)].tolist() == [len(arch) for arch in archs]
    assert calls == [(n, 6) for n in range(2, 7)]
    assert len(busy(tmp_path)) == 1 + 4


def test_timing_by_several_processes_of_one_machine_is_refused(space: Any, tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"host-torch is timed, one network at a time.*2 workers.*--backend ray"):
        measure("host-torch", space, space.sample(2, seed=0), tmp_path / "latency.csv", workers=TWO)
    assert list(tmp_path.iterdir()) == []


def test_workers_that_are_other_devices_are_refused(space: Any, tmp_path: Path) -> None:
    with pytest.raises(InputError, match="is another machine than this one"):
        measure(Elsewhere(tmp_path, timed=False), space, space.sample(2, seed=0), tmp_path / "a.csv", workers=TWO)


def test_ray_missing(space: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(__import__("sys").modules, "ray", None)
    workers = Workers(jobs=2, backend="ray")
    with pytest.raises(MissingDependencyError, match=r"pip install .*nas-proxy\[ray\]"):
        measure(Clocked(tmp_path, timed=True), space, space.sample(2, seed=0), tmp_path / "a.csv", workers=workers)


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore")  # Ray's own
def test_a_local_ray_times_one_at_a_time(space: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Two workers on one machine take turns when they time, and not when they simulate."""
    ray = pytest.importorskip("ray", reason='no ray here (pip install "nas-proxy[ray]"), so it is NOT tested')
    monkeypatch.setenv("PYTHONPATH", str(Path(__file__).parent))  # where Ray's workers find this module
    monkeypatch.setenv("RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO", "0")
    archs, workers = space.sample(6, seed=0), Workers(jobs=2, backend="ray")
    ray.init(num_cpus=2, include_dashboard=False, log_to_driver=False, _node_ip_address="127.0.0.1")
    try:
        for name in ("timed", "simulated"):
            (tmp_path / name).mkdir()
            device = Clocked(tmp_path / name, timed=name == "timed")
            table = measure(device, space, archs, tmp_path / f"{name}.csv", workers=workers)
            assert len(table) == 6
        assert not overlapping(busy(tmp_path / "timed"))
        assert overlapping(busy(tmp_path / "simulated"))
        table = measure("host-torch", space, archs, tmp_path / "host.csv", workers=workers)
        assert (table.latency_ms("host-torch") > 0).all()
    finally:
        ray.shutdown()
    assert [child for child in psutil.Process().children(recursive=True) if "raylet" in child.name()] == []
