"""What every device must satisfy. In your tests::

from nas_proxy.testing.device_kinds import CHECKS

@pytest.mark.parametrize("check", CHECKS)
def test_my_device(check):
    check(MyDevice("mine"))

Devices are asked about small networks of NAS-Bench-201; ``space=`` and ``archs=`` name others that yours can take.
"""

from __future__ import annotations

import json
import math
import tempfile
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from nas_proxy.devices import Device, LatencyResult, measure
from nas_proxy.errors import InputError
from nas_proxy.spaces import SearchSpace, get_space

__all__ = [
    "CHECKS",
    "check_description",
    "check_foreign_networks",
    "check_latencies",
    "check_measuring",
    "check_repeatable",
]


def check_description(device: Device, space: SearchSpace, archs: Sequence[Any]) -> None:
    """The description is plain JSON, names the device, and does not change by itself."""
    described = device.describe()
    assert json.loads(json.dumps(described, allow_nan=False)) == device.describe(), "not plain JSON, or it changes"
    assert device.name, "a device has a name"
    assert described["name"] == device.name


def check_latencies(device: Device, space: SearchSpace, archs: Sequence[Any]) -> None:
    """Every architecture gets one positive latency."""
    results = dict(pairs := list(device.latencies(space, archs)))
    assert len(pairs) == len(archs), f"{len(archs)} architectures gave {len(pairs)} results"
    assert sorted(results) == list(range(len(archs))), "each architecture must have one result"
    for result in results.values():
        assert isinstance(result, LatencyResult)
        assert math.isfinite(result.latency_ms), f"{result.latency_ms} ms is no latency"
        assert result.latency_ms > 0, f"{result.latency_ms} ms is no latency"
        assert result.energy_mj is None or result.energy_mj > 0, f"{result.energy_mj} mJ is no energy"
    assert list(device.latencies(space, [])) == []


def check_foreign_networks(device: Device, space: SearchSpace, archs: Sequence[Any]) -> None:
    """What is no network is refused as a mistake of input."""
    for attempt in (
        lambda: device.latency(object()),
        lambda: list(device.latencies(space, ["not an architecture"])),
    ):
        try:
            attempt()
        except InputError:
            continue
        raise AssertionError("expected an InputError for something that is no network")


def check_measuring(device: Device, space: SearchSpace, archs: Sequence[Any]) -> None:
    """Measuring gives a table of all architectures, and measures none of them again."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "latencies.csv"
        half = measure(device, space, archs[: len(archs) // 2], path) if len(archs) > 1 else None
        table = measure(device, space, archs, path)
        assert {space.to_str(arch) for arch in table.archs} == {space.to_str(arch) for arch in archs}
        if half is not None:
            kept = table.latency_ms(device.name, half.archs)
            assert (kept == half.latency_ms(device.name)).all(), "what was measured before has changed"
        written, calls = path.read_bytes(), []
        measure(device, space, archs, path, on_progress=lambda done, total: calls.append((done, total)))
        assert calls == [(len(archs), len(archs))], "an architecture was measured twice"
        assert path.read_bytes() == written


def check_repeatable(device: Device, space: SearchSpace, archs: Sequence[Any]) -> None:
    """For devices that compute or look up: the same architectures have the same latencies, in any order."""
    first = dict(device.latencies(space, archs))
    again = dict(device.latencies(space, list(reversed(archs))))
    assert [first[i] for i in range(len(archs))] == [again[len(archs) - 1 - i] for i in range(len(archs))]


def _on_networks(check: Callable[..., None]) -> Callable[..., None]:
    """A check that takes small networks where none are given."""

    def checked(device: Device, space: SearchSpace | None = None, archs: Sequence[Any] | None = None) -> None:
        space = space or get_space("nasbench201", channels=4, cells=1, image_size=8)
        check(device, space, space.sample(3, seed=0) if archs is None else archs)

    checked.__name__, checked.__doc__ = check.__name__, check.__doc__
    return checked


CHECKS: tuple[Callable[..., None], ...] = tuple(
    map(_on_networks, (check_description, check_latencies, check_foreign_networks, check_measuring))
)
