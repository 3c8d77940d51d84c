"""What a device is, and how one is made from its YAML file."""

from __future__ import annotations

import re
from abc import ABC, abstractmethod
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from nas_proxy import extensions, resources
from nas_proxy.errors import InputError
from nas_proxy.schema import load_yaml

if TYPE_CHECKING:
    from nas_proxy.spaces import SearchSpace

__all__ = ["Device", "LatencyResult", "get_device", "register_device_kind"]


@dataclass(frozen=True)
class LatencyResult:
    """What running a network once on a device takes. Devices that know more return a subclass.

    ``latency_ms`` is for one input batch; ``energy_mj`` (millijoule) is None where the device cannot tell.
    """

    latency_ms: float
    energy_mj: float | None = None


class Device(ABC):
    """Something a network runs on, measured or simulated.

    Attributes:
        timed: whether latencies are timed on this machine, so that nothing else should run meanwhile.
        batch: how many architectures a worker gets at once, where several workers share the work.
    """

    timed: bool = False
    batch: int = 8

    def __init__(self, name: str, description: Mapping[str, Any] | None = None) -> None:
        """A device of a name; a kind with options takes the fields of its description itself.

        Raises:
            InputError: the description has fields that this kind knows nothing of.
        """
        unknown = sorted(set(description or ()) - {"kind", "description", "sources"})
        if unknown:
            raise InputError(f"device {name!r}: {type(self).__name__} has no options, found {', '.join(unknown)}.")
        self.name = name

    @abstractmethod
    def latency(self, network: Any) -> LatencyResult:
        """Latency of a network: a torch module or a ``TensorGraph``, as the kind of device can take.

        Raises:
            InputError: the device cannot run this network (says why).
        """

    def latencies(self, space: SearchSpace, archs: Sequence[Any]) -> Iterator[tuple[int, LatencyResult]]:
        """Latencies of architectures of a space, as ``(index, result)`` in the order in which they become known.

        The default gives :meth:`latency` the graph of each network, one image a batch. Devices that execute networks
        override it, so that networks can take turns.
        """
        from nas_proxy.graph import from_torch

        for index, arch in enumerate(archs):
            yield index, self.latency(from_torch(space.build(arch), (1, *space.input_shape(arch))))

    def cached(self, folder: Path) -> Device:
        """The same device, which keeps in files of this folder what it works out; itself where there is nothing."""
        return self

    def describe(self) -> dict[str, Any]:
        """Everything that must be the same for two latencies of this device to be comparable, as plain JSON values."""
        return {"name": self.name}

    def modules(self) -> tuple[str, ...]:
        """Modules and packages whose code decides the latencies: those kept from before a change of it do not count."""
        return (type(self).__module__,)


def register_device_kind(kind: str, factory: Any) -> None:
    """:func:`nas_proxy.extensions.register` for the point ``"device_kinds"``: for YAML files with ``kind: <kind>``,
    ``factory(name, description)`` makes the device of the file's name and fields."""
    extensions.register("device_kinds", kind, factory)


def get_device(name: str | Path) -> Device:
    """A device by the name of a shipped YAML file, or by the path of your own; or one made of a kind and its options,
    ``"host(runtime=torch,threads=2)"``, which may be your own, ``"module:Class"``.

    Relative paths in a file's fields ``csv`` and ``path`` start at the folder of that file.

    Raises:
        UnknownNameError: no shipped device has the name; the message names the closest.
        InputError: the file cannot be read or a field of it is wrong (names the field).
    """
    if (of_kind := _kind_in(name)) is not None:
        kind, options = of_kind
        called = re.sub(r"[^\w.+-]+", "-", str(name)).strip("-")
        return extensions.get("device_kinds", kind, called, _from_folder({"kind": kind, **options}, Path()))
    path = resources.find("devices", name)
    description = load_yaml(path)
    if "kind" not in description:
        known = ", ".join(extensions.names("device_kinds"))
        raise InputError(f"{path}: the field 'kind' is missing: expected one of {known}.")
    kind = str(description["kind"])  # data: it never names code
    return extensions.get("device_kinds", kind, path.stem, _from_folder(description, path.parent), trusted=False)


def _kind_in(name: Any) -> tuple[str, dict[str, Any]] | None:
    """The kind and its options, where a text says these and no file."""
    if not isinstance(name, str) or name in resources.names("devices") or Path(name).is_file():
        return None
    try:
        kind, options = extensions.parse_text(name)
    except InputError:
        return None
    return (kind, options) if ":" in kind or kind in extensions.names("device_kinds") else None


def _from_folder(description: Mapping[str, Any], folder: Path) -> dict[str, Any]:
    """The description with its paths made absolute."""
    return {
        key: _from_folder(value, folder)
        if isinstance(value, dict)
        else str((folder / value).absolute())
        if key in {"csv", "path"} and isinstance(value, str)
        else value
        for key, value in description.items()
    }
