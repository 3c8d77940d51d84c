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
from nas_proxy.errors import InputError, UnknownNameError
from nas_proxy.graph import TensorGraph, from_torch
from nas_proxy.spaces import SearchSpace, get_space

__all__ = [
    "CHECKS",
    "check_configured",
    "check_cost",
    "check_description",
    "check_foreign_networks",
    "check_latencies",
    "check_measuring",
    "check_optimise",
    "check_repeatable",
]


def _on_networks(check: Callable[..., None]) -> Callable[..., None]:
    """A check that takes small networks where none are given."""

    def checked(device: Device, space: SearchSpace | None = None, archs: Sequence[Any] | None = None) -> None:
        space = space or get_space("nasbench201", channels=4, cells=1, image_size=8)
        check(device, space, space.sample(3, seed=0) if archs is None else archs)

    checked.__name__, checked.__doc__ = check.__name__, check.__doc__
    return checked


@_on_networks
def check_description(device: Device, space: SearchSpace, archs: Sequence[Any]) -> None:
    """The description is plain JSON, names the device, and does not change by itself."""
    described = device.describe()
    assert json.loads(json.dumps(described, allow_nan=False)) == device.describe(), "not plain JSON, or it changes"
    assert device.name, "a device has a name"
    assert described["name"] == device.name


@_on_networks
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


@_on_networks
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


@_on_networks
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


@_on_networks
def check_repeatable(device: Device, space: SearchSpace, archs: Sequence[Any]) -> None:
    """For devices that compute or look up: the same architectures have the same latencies, in any order."""
    first = dict(device.latencies(space, archs))
    again = dict(device.latencies(space, list(reversed(archs))))
    assert [first[i] for i in range(len(archs))] == [again[len(archs) - 1 - i] for i in range(len(archs))]


@_on_networks
def check_configured(device: Device, space: SearchSpace, archs: Sequence[Any]) -> None:
    """Configuring gives a new device of the same kind and leaves the old one; an option that it lacks is refused."""
    settings, described = device.settings(), device.describe()
    same = device.configured(**settings)
    assert same is not device, "configured() gave the device itself: what changes one would change the other"
    assert type(same) is type(device)
    assert (same.settings(), same.describe()) == (settings, described), "the same options gave another device"
    assert (device.settings(), device.describe()) == (settings, described), "configured() has changed the old device"
    try:
        device.configured(no_such_option=1)
    except UnknownNameError:
        return
    raise AssertionError("expected an UnknownNameError for an option that the device does not have")


@_on_networks
def check_cost(device: Device, space: SearchSpace, archs: Sequence[Any]) -> None:
    """A cost, where there is one, prices every node, the same each time, and from a price as from nothing."""
    if (cost := device.cost()) is None:
        return
    graph = _graph(space, archs[0])
    priced = cost.price(graph)
    assert priced.by_node.keys() == {node.name for node in graph.nodes}, "each node must have a cost"
    assert all(math.isfinite(ms) and ms >= 0 for ms in priced.by_node.values()), "a node costs less than nothing"
    assert math.isfinite(priced.total), f"{priced.total} {cost.unit} is no cost"
    assert priced.total > 0, f"{priced.total} {cost.unit} is no cost"
    for again in (cost.price(graph), cost.reprice(priced, graph)):
        assert math.isclose(again.total, priced.total, rel_tol=1e-9), "the same graph has two costs"


@_on_networks
def check_optimise(device: Device, space: SearchSpace, archs: Sequence[Any]) -> None:
    """``nothing`` comes first and ``all`` last, which is the best of the others by what the device minimises."""
    if device.known_only:
        return
    measured = None if device.simulated else dict(device.latencies(space, archs[:1]))[0]
    outcome = device.optimise(_graph(space, archs[0]), measured)
    names = [variant.name for variant in outcome.variants]
    assert names[0] == "nothing", f"expected the variant 'nothing' first, found {names}"
    assert names[-1] == "all", f"expected the variant 'all' last, found {names}"
    assert len(set(names)) == len(names), f"two variants have the same name: {names}"
    figures = [(v.latency_ms, v.energy_mj, v.throughput_per_s) for v in outcome.variants]
    assert figures[-1] in figures[:-1], "'all' is none of the other variants"
    assert all(math.isfinite(latency_ms) and latency_ms > 0 for latency_ms, *_ in figures)
    if outcome.value == figures[-1][:1]:
        assert figures[-1][0] == min(latency_ms for latency_ms, *_ in figures), "'all' is slower than another variant"
    if measured is not None:
        assert figures[0][0] == measured.latency_ms, "'nothing' is not what was measured"


def _graph(space: SearchSpace, arch: Any) -> TensorGraph:
    return from_torch(space.build(arch), (1, *space.input_shape(arch)))


CHECKS: tuple[Callable[..., None], ...] = (
    check_description,
    check_latencies,
    check_foreign_networks,
    check_measuring,
    check_configured,
    check_cost,
    check_optimise,
)
