"""What a device is, and how one is made from its YAML file."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from nas_proxy import resources
from nas_proxy.errors import InputError
from nas_proxy.registry import Registry
from nas_proxy.schema import load_yaml

__all__ = ["Device", "LatencyResult", "get_device", "register_device_kind"]


@dataclass(frozen=True)
class LatencyResult:
    """What running a network once on a device takes. Devices that know more return a subclass.

    ``latency_ms`` is for one input batch; ``energy_mj`` (millijoule) is None where the device cannot tell.
    """

    latency_ms: float
    energy_mj: float | None = None


class Device(ABC):
    """Something a network runs on, measured or simulated."""

    def __init__(self, name: str) -> None:
        self.name = name

    @abstractmethod
    def latency(self, network: Any) -> LatencyResult:
        """Latency of a network: a torch module or a ``TensorGraph``, as the kind of device can take.

        Raises:
            InputError: the device cannot run this network (says why).
        """


#: From (name, description) to a device. Kinds are imported on first use: a simulator is not needed to read a table.
DeviceKind = Callable[[str, Mapping[str, Any]], Device]

_kinds: Registry[DeviceKind] = Registry(
    "device kind",
    {
        "host": "nas_proxy.devices.host:HostDevice.from_description",
        "table": "nas_proxy.devices.table:TableDevice.from_description",
        "spatial": "nas_proxy.devices.spatial:SpatialDevice.from_description",
        "edge-tpu": "nas_proxy.devices.edge_tpu:EdgeTPUDevice.from_description",
    },
)


def register_device_kind(kind: str, factory: DeviceKind | str) -> None:
    """Make a kind of device known: ``factory(name, description)`` is called for YAML files with ``kind: <kind>``."""
    _kinds.register(kind, factory)


def get_device(name: str | Path) -> Device:
    """A device by the name of a shipped YAML file, or by the path of your own.

    Raises:
        UnknownNameError: no shipped device has the name; the message names the closest.
        InputError: the file cannot be read or a field of it is wrong (names the field).
    """
    path = resources.find("devices", name)
    description = load_yaml(path)
    if "kind" not in description:
        raise InputError(f"{path}: the field 'kind' is missing: expected one of {', '.join(_kinds)}.")
    return _kinds.get(description["kind"])(path.stem, description)
