"""Tables of measurements: latencies of architectures on devices, accuracies of architectures."""

from __future__ import annotations

import json
from collections.abc import Hashable, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from nas_proxy.datasets import csv_table
from nas_proxy.errors import InputError, UnknownNameError

if TYPE_CHECKING:
    from nas_proxy.spaces import SearchSpace

__all__ = ["AccuracyTable", "LatencyTable"]


def _key(arch: Any) -> Hashable:
    """Architectures are plain values, but a mapping or a list cannot be a key."""
    if isinstance(arch, str | tuple):
        return arch
    return tuple(arch) if isinstance(arch, list) else json.dumps(arch, sort_keys=True)


@dataclass(frozen=True, eq=False)
class _Table:
    space: str
    archs: tuple[Any, ...]

    def __post_init__(self) -> None:
        object.__setattr__(self, "archs", tuple(self.archs))
        if len(self._row) < len(self.archs):
            repeated = next(arch for row, arch in enumerate(self.archs) if self._row[_key(arch)] != row)
            raise InputError(f"the architectures of a table are distinct; {repeated!r} is there twice.")

    @cached_property
    def _row(self) -> dict[Hashable, int]:
        return {_key(arch): row for row, arch in enumerate(self.archs)}

    def rows(self, archs: Sequence[Any]) -> NDArray[np.int64]:
        """Rows of ``archs`` in this table, of shape ``(len(archs),)``.

        Raises:
            InputError: an architecture is not in the table (names it).
        """
        try:
            return np.array([self._row[_key(arch)] for arch in archs], dtype=np.int64)
        except KeyError:
            missing = [arch for arch in archs if _key(arch) not in self._row]
            raise InputError(
                f"the table of {len(self.archs)} {self.space} architectures does not hold {missing[0]!r}"
                + (f", nor {len(missing) - 1} others asked for" if len(missing) > 1 else "")
                + ": ask for those in its .archs, or measure the missing ones."
            ) from None

    def __len__(self) -> int:
        return len(self.archs)


@dataclass(frozen=True, eq=False)
class LatencyTable(_Table):
    """Latencies of architectures on one or several devices.

    Attributes:
        space: text of the search space (:func:`nas_proxy.spaces.space_text`).
        archs: the ``n`` architectures, all distinct.
        devices: names of the ``d`` devices.
        values_ms: latencies, ``(n, d)``; NaN where a device has not measured an architecture.

    Raises:
        InputError: shapes do not fit, an architecture or device is there twice, or a latency is zero, negative or
            infinite (names row and device).
    """

    devices: tuple[str, ...]
    values_ms: NDArray[np.float64]

    def __post_init__(self) -> None:
        super().__post_init__()
        values = np.array(self.values_ms, dtype=np.float64)
        if values.shape != (len(self.archs), len(self.devices)):
            raise InputError(
                f"latencies have shape {values.shape}; expected ({len(self.archs)}, {len(self.devices)}): "
                "one row per architecture, one column per device."
            )
        if len(set(self.devices)) < len(self.devices):
            twice = next(device for device in self.devices if self.devices.count(device) > 1)
            raise InputError(f"the devices of a table are distinct; {twice!r} is there twice.")
        bad = np.argwhere((values <= 0) | np.isinf(values))
        if len(bad):
            row, column = bad[0]
            raise InputError(
                f"a latency must be a positive number of ms; row {row} on {self.devices[column]!r} "
                f"is {values[row, column]}."
            )
        values.setflags(write=False)
        object.__setattr__(self, "values_ms", values)
        object.__setattr__(self, "devices", tuple(self.devices))

    def latency_ms(self, device: str, archs: Sequence[Any] | None = None) -> NDArray[np.float64]:
        """Latencies on ``device``: of all architectures in table order ``(n,)``, or of ``archs`` ``(len(archs),)``.

        NaN where the device has not measured an architecture; :meth:`measured_on` leaves those out.

        Raises:
            UnknownNameError: the table has no such device; the message names the closest.
            InputError: one of ``archs`` is not in the table.
        """
        if device not in self.devices:
            raise UnknownNameError("device", device, self.devices)
        column = self.values_ms[:, self.devices.index(device)]
        return column if archs is None else column[self.rows(archs)]

    def measured_on(self, *devices: str) -> LatencyTable:
        """The table of ``devices`` alone, with the architectures that all of them have measured.

        Raises:
            UnknownNameError: the table has no such device; the message names the closest.
        """
        values = np.stack([self.latency_ms(device) for device in devices], axis=1)
        keep = np.flatnonzero(np.isfinite(values).all(axis=1))
        return LatencyTable(self.space, tuple(self.archs[i] for i in keep), devices, values[keep])

    @staticmethod
    def from_csv(path: str | Path, space: str | SearchSpace | None = None) -> LatencyTable:
        """Read a CSV of measurements; see :mod:`nas_proxy.datasets.csv_table` for the format and the errors."""
        return LatencyTable(*csv_table.latency_cells(path, space))

    def to_csv(self, path: str | Path) -> Path:
        """Write the table as CSV, one row per measurement, atomically.

        :meth:`from_csv` reads the same values back (the order may differ where devices have measured different
        architectures).
        """
        return csv_table.write_latencies(path, self.space, self.archs, self.devices, self.values_ms)


@dataclass(frozen=True, eq=False)
class AccuracyTable(_Table):
    """Accuracies of architectures.

    Attributes:
        space: text of the search space (:func:`nas_proxy.spaces.space_text`).
        archs: the ``n`` architectures, all distinct.
        accuracy: test accuracies in percent, ``(n,)``.

    Raises:
        InputError: another length, an architecture twice, or a value outside 0..100 (names the row).
    """

    accuracy: NDArray[np.float64]

    def __post_init__(self) -> None:
        super().__post_init__()
        values = np.array(self.accuracy, dtype=np.float64)
        if values.shape != (len(self.archs),):
            raise InputError(f"expected {len(self.archs)} accuracies, one per architecture, found {values.shape}.")
        bad = np.flatnonzero(~((values >= 0) & (values <= 100)))
        if len(bad):
            raise InputError(f"an accuracy must be in percent, 0 to 100; row {bad[0]} is {values[bad[0]]}.")
        values.setflags(write=False)
        object.__setattr__(self, "accuracy", values)

    @staticmethod
    def from_csv(path: str | Path, space: str | SearchSpace | None = None) -> AccuracyTable:
        """Read a CSV of accuracies; see :mod:`nas_proxy.datasets.csv_table` for the format and the errors."""
        return AccuracyTable(*csv_table.accuracy_rows(path, space))

    def accuracy_of(self, archs: Sequence[Any]) -> NDArray[np.float64]:
        """Accuracies in percent of ``archs``, of shape ``(len(archs),)``.

        Raises:
            InputError: one of ``archs`` is not in the table.
        """
        return self.accuracy[self.rows(archs)]
