"""Simulated devices are devices: the conformance suite, on a spatial array and on one and several Edge TPUs."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from nas_proxy.devices import Device, get_device
from nas_proxy.mapping.device import SpatialDevice
from nas_proxy.spaces import get_space
from nas_proxy.testing.device_kinds import CHECKS, check_repeatable
from nas_proxy.testing.mappers import small_accelerator

DEVICES: dict[str, Callable[[], Device]] = {
    "spatial": lambda: SpatialDevice("small", small_accelerator(), mapper="random", evaluations=32),
    "edge-tpu": lambda: get_device("edge-tpu"),
    "edge-tpu-x4": lambda: get_device("edge-tpu-x4"),
}


@pytest.mark.parametrize("check", [*CHECKS, check_repeatable], ids=lambda check: check.__name__)
@pytest.mark.parametrize("name", DEVICES)
def test_conformance(name: str, check: Callable[..., Any]) -> None:
    space = get_space("nasbench201", channels=4, cells=1, image_size=8)
    check(DEVICES[name](), space, space.sample(3, seed=0))


@pytest.mark.parametrize("name", ["eyeriss", "edge-tpu-x4"])
def test_a_description_tells_devices_of_a_name_apart(name: str) -> None:
    """So that measurements of one are not continued on another."""
    from nas_proxy import extensions, resources
    from nas_proxy.schema import load_yaml

    fields = load_yaml(resources.find("devices", name))
    changed = fields | ({"evaluations": 70} if name == "eyeriss" else {"devices": 5})
    first, second = (
        extensions.get("device_kinds", fields["kind"], name, description) for description in (fields, changed)
    )
    assert first.describe() != second.describe()
