"""Kept mappings are what the search found, and what the cost model says today; what bounds a mapping; defaults."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from nas_proxy import get_device, resources
from nas_proxy.cache import source_digest
from nas_proxy.errors import InputError
from nas_proxy.mapping import Layer, Problem, map_problem, parse_layer
from nas_proxy.mapping.dataflows import DATAFLOWS, default_mapping
from nas_proxy.mapping.device import SpatialDevice
from nas_proxy.testing.mappers import small_accelerator

LAYER = Layer(k=16, c=8, p=8, q=8, r=3, s=3)


def device(cache: Path | None, **changes) -> SpatialDevice:
    settings = {"mapper": "random", "evaluations": 50} | changes
    return SpatialDevice("small", small_accelerator(), cache=cache, **settings)


def test_a_kept_mapping_is_the_one_found(tmp_path: Path) -> None:
    first = device(tmp_path)
    found, again = first.mapping(LAYER), device(tmp_path)
    kept = again.mapping(LAYER)
    assert (first.spent, again.spent) == (50, 0)
    assert (kept.mapping.factors == found.mapping.factors).all()
    assert (kept.value, kept.evaluations) == (found.value, found.evaluations)
    np.testing.assert_array_equal(kept.history, found.history)
    assert kept.costs.cycles == found.costs.cycles


@pytest.mark.parametrize("changes", [{"seed": 1}, {"objective": "latency"}, {"evaluations": 51}, {"mapper": "genetic"}])
def test_another_search_is_another_record(tmp_path: Path, changes: dict) -> None:
    device(tmp_path).mapping(LAYER)
    other = device(tmp_path, **changes)
    other.mapping(LAYER)
    assert other.spent > 0


@pytest.mark.parametrize(
    "change",
    [
        ("nas_proxy.mapping", "mappers/baselines.py", "population: int = 100", "population: int = 99"),
        ("nas_proxy.gaussian_process", "gaussian_process.py", "scaled**2 / 3", "scaled**2 / 4"),
        ("nas_proxy.ties", "ties.py", "SAME = 1e-9", "SAME = 1e-8"),
    ],
    ids=lambda change: change[1],
)
def test_mappings_of_a_mapper_whose_code_has_changed_are_searched_for_again(
    tmp_path: Path, code_changed: Callable[..., None], change: tuple[str, ...]
) -> None:
    device(tmp_path).mapping(LAYER)
    code_changed(*change)
    other = device(tmp_path)
    other.mapping(LAYER)
    assert other.spent == 50


def test_another_accelerator_has_another_file(tmp_path: Path) -> None:
    accelerator = small_accelerator()
    for changed in (accelerator, accelerator.model_copy(update={"description": "same"})):
        SpatialDevice("a", changed, mapper="random", evaluations=20, cache=tmp_path).mapping(LAYER)
    assert len(list(tmp_path.glob("*.jsonl"))) == 1
    other = accelerator.model_copy(update={"mac_energy_pj": 2.0})
    SpatialDevice("a", other, mapper="random", evaluations=20, cache=tmp_path).mapping(LAYER)
    assert len(list(tmp_path.glob("*.jsonl"))) == 2


@pytest.mark.parametrize(
    "damage", [('"factors": [[', '"factors": [[9'), ('"keep"', '"kept"'), ('"order": [[', '"order": [[9, ')]
)
def test_a_damaged_record_is_searched_for_again(tmp_path: Path, damage: tuple[str, str]) -> None:
    value = device(tmp_path).mapping(LAYER).value
    [path] = tmp_path.glob("*.jsonl")
    path.write_text(path.read_text().replace(*damage))
    again = device(tmp_path)
    assert (again.mapping(LAYER).value, again.spent) == (value, 50)


def test_bounds_are_named() -> None:
    costs = device(None).mapping(LAYER).costs
    slowest = costs.level_cycles.max()
    assert (costs.bound[0] == "compute") == (slowest <= costs.compute_cycles[0])
    starved = parse_layer("fc:4096x1000")  # every weight is used once: DRAM's two words a cycle decide
    assert device(None).mapping(starved).costs.bound == ("DRAM",)


def spatial() -> list[SpatialDevice]:
    found = map(get_device, resources.names("devices"))
    return [device for device in found if isinstance(device, SpatialDevice)]


@pytest.mark.parametrize("device", spatial(), ids=lambda device: device.name)
@pytest.mark.parametrize("text", ["conv:64x32x16x16x3x3", "dwconv:96x14x14x5x5,stride=2", "fc:640x10", "gemm:50x64x70"])
def test_defaults_fit_every_shipped_accelerator(device: SpatialDevice, text: str) -> None:
    layer = parse_layer(text)
    found, again = (default_mapping(layer, device.accelerator, device.objective) for _ in range(2))
    found.mapping.check(layer, device.accelerator)
    assert found.costs.valid[0]
    assert found.value == again.value
    assert 1 <= found.evaluations <= len(DATAFLOWS)


@pytest.mark.parametrize("device", spatial(), ids=lambda device: device.name)
def test_defaults_are_no_straw_man(device: SpatialDevice) -> None:
    """On a common layer they are about as good as the best of many random mappings, or better."""
    layer = parse_layer("conv:64x64x16x16x3x3")
    searched = map_problem(Problem(layer, device.accelerator, device.objective, budget=300, pad=True), "random")
    assert default_mapping(layer, device.accelerator, device.objective).value <= searched.value + np.log(1.5)


def test_defaults_refuse_what_the_accelerator_does() -> None:
    only_fc = small_accelerator().model_copy(update={"layer_kinds": ("fc",)})
    with pytest.raises(InputError, match="cannot run conv layers"):
        default_mapping(LAYER, only_fc)


def test_the_module_of_a_function_that_makes_a_shipped_mapper_counts(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "somebodys_mapper.py"
    path.write_text("from nas_proxy import extensions\n\ndef make():\n    return extensions.get('mappers', 'random')\n")
    monkeypatch.syspath_prepend(tmp_path)
    mapper = "somebodys_mapper:make"
    spent = []
    for _ in range(2):
        again = device(tmp_path, mapper=mapper)
        again.mapping(LAYER)
        spent.append(again.spent)
    path.write_text(path.read_text() + "# changed\n")
    source_digest.cache_clear()
    changed = device(tmp_path, mapper=mapper)
    changed.mapping(LAYER)
    assert [*spent, changed.spent] == [50, 0, 50]
