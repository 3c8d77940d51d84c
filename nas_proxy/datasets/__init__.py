"""Readers of measurements: the project's CSV and published data sets, in their original formats."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Protocol, runtime_checkable

from nas_proxy import extensions
from nas_proxy.datasets.tables import AccuracyTable, LatencyTable

__all__ = ["AccuracyFormat", "AccuracyTable", "LatencyFormat", "LatencyTable", "load_accuracies", "load_latencies"]


@runtime_checkable
class LatencyFormat(Protocol):
    """A format of latencies; what is in a file is never executed."""

    def read(self, path: str | Path) -> LatencyTable:
        """The latencies in a file or folder.

        Raises:
            InputError: it is missing, damaged or not what the format says; names the file and the place.
        """
        ...


@runtime_checkable
class AccuracyFormat(Protocol):
    """A format of accuracies; what is in a file is never executed."""

    def read(self, path: str | Path) -> AccuracyTable:
        """The accuracies in a file or folder, in percent.

        Raises:
            InputError: it is missing, damaged or not what the format says; names the file and the place.
        """
        ...


def load_latencies(format: str | LatencyFormat, path: str | Path, **options: Any) -> LatencyTable:
    """Latencies from a file or folder in a named format: ``"csv"``, ``"help"``, ``"hw-nas-bench"``, ``"oneproxy"``,
    ``"timm"``, or one of your own.

    ``options`` are those of the format: ``space`` for ``"csv"``, ``space`` and ``dataset`` for ``"hw-nas-bench"``,
    ``operators`` for ``"oneproxy"``; the format's text may state them, too: ``"hw-nas-bench(dataset=cifar100)"``.

    Raises:
        UnknownNameError: no such format, or no such option of it; the message names the closest.
        InputError: the data is missing, damaged or not what the format says.
    """
    reader: LatencyFormat = extensions.get("latency_formats", format, **options)
    return reader.read(path)


def load_accuracies(format: str | AccuracyFormat, path: str | Path, **options: Any) -> AccuracyTable:
    """Accuracies in percent from a file in a named format: ``"csv"``, ``"nats-bench"``, ``"timm"``, or one of your own.

    ``options`` are those of the format: ``space`` for ``"csv"``; for ``"nats-bench"``, ``index`` is where it finds the
    order of the architectures (HELP's ``str_arch2idx.pt``; by default ``../help/nasbench201/`` beside the table's
    folder).

    Raises:
        UnknownNameError: no such format, or no such option of it; the message names the closest.
        InputError: the data is missing, damaged or not what the format says.
    """
    reader: AccuracyFormat = extensions.get("accuracy_formats", format, **options)
    return reader.read(path)
