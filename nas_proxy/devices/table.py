"""A device that is a table of latencies: measured elsewhere, or published."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from pydantic import model_validator

from nas_proxy import extensions
from nas_proxy.datasets import LatencyTable, load_latencies
from nas_proxy.devices._base import Device
from nas_proxy.devices.results import LatencyResult
from nas_proxy.errors import InputError, listed
from nas_proxy.schema import Spec, parse
from nas_proxy.spaces import get_space, space_text

if TYPE_CHECKING:
    from nas_proxy.spaces import SearchSpace

__all__ = ["TableDevice", "TableSpec"]


class DatasetSpec(Spec):
    """A published data set: a format of :func:`nas_proxy.load_latencies` and where it is."""

    format: str
    path: Path


class TableSpec(Spec):
    """A YAML file with ``kind: table``: the CSV (and its space), or a data set; and which of the devices in it."""

    kind: Literal["table"]
    space: str | None = None
    csv: Path | None = None
    dataset: DatasetSpec | None = None
    device: str | None = None

    @model_validator(mode="after")
    def _one_source(self) -> TableSpec:
        if (self.csv is None) == (self.dataset is None):
            raise ValueError("give either 'csv' or 'dataset'")
        return self


class TableDevice(Device):
    """Looks latencies up.

    Args:
        name: name of this device.
        table: the latencies.
        device: which of the table's devices; may be left out where it has one only.

    Raises:
        UnknownNameError: the table has no such device; the message names the closest.
        InputError: the table has several devices and none is named.
    """

    Spec = TableSpec
    known_only = True

    def __init__(self, name: str, table: LatencyTable, device: str | None = None) -> None:
        super().__init__(name)
        if device is None:
            if len(table.devices) != 1:
                raise InputError(
                    f"device {name!r}: the table holds {len(table.devices)} devices; say which with 'device': "
                    f"{listed(table.devices)}."
                )
            [device] = table.devices
        self.column = device
        self.table = table.measured_on(self.column)
        self._space = get_space(table.space)

    @classmethod
    def from_description(cls, name: str, description: Mapping[str, Any]) -> TableDevice:
        """The device of a YAML file.

        Raises:
            InputError: a field is unknown, missing or of the wrong type, the file cannot be read, or its space is not
                the one described.
            UnknownNameError: the space or the format of the data set is not known.
        """
        spec = parse(TableSpec, description, f"device {name!r}")
        if spec.space is not None:
            extensions.stated("spaces", spec.space)
        if spec.csv is not None:
            table = LatencyTable.from_csv(spec.csv, spec.space)
        else:
            assert spec.dataset is not None  # the spec has one of the two
            table = load_latencies(extensions.stated("latency_formats", spec.dataset.format), spec.dataset.path)
            if spec.space not in {None, table.space}:
                raise InputError(f"device {name!r}: the data set is of {table.space!r}, not of {spec.space!r}.")
        return cls(name, table, spec.device)

    def describe(self) -> dict[str, Any]:
        """As :meth:`Device.describe`."""
        return {"name": self.name, "kind": "table", "space": self.table.space, "column": self.column}

    def latency(self, network: Any) -> LatencyResult:
        """The latency of an architecture, given as a value of the space or as its text.

        Raises:
            InputError: not an architecture of the space, or not in the table.
        """
        arch = self._space.from_str(network) if isinstance(network, str) else network
        [(_, result)] = self.latencies(self._space, [arch])
        return result

    def latencies(self, space: SearchSpace, archs: Sequence[Any]) -> Iterator[tuple[int, LatencyResult]]:
        """As :meth:`Device.latencies`: read from the table.

        Raises:
            InputError: the space is not the table's, or an architecture is not of it or not in the table.
        """
        if (asked := space_text(space)) != self.table.space:
            raise InputError(f"device {self.name!r}: the table is of {self.table.space!r}, not of {asked!r}.")
        archs = [space.from_str(space.to_str(arch)) for arch in archs]  # canonical, or an error that says what is wrong
        for index, latency_ms in enumerate(self.table.latency_ms(self.column, archs)):
            yield index, LatencyResult(float(latency_ms))
