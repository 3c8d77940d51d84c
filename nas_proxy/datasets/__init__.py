"""Readers of measurements: the project's CSV and published data sets, in their original formats."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, TypeVar

from nas_proxy.datasets.tables import AccuracyTable, LatencyTable
from nas_proxy.errors import UnknownNameError
from nas_proxy.registry import Registry

__all__ = ["AccuracyTable", "LatencyTable", "load_accuracies", "load_latencies"]

T = TypeVar("T")

_latency_formats: Registry[Callable[..., LatencyTable]] = Registry(
    "latency format",
    {
        "csv": "nas_proxy.datasets.csv_table:read_latencies",
        "help": "nas_proxy.datasets.help:read_help",
        "hw-nas-bench": "nas_proxy.datasets.hw_nas_bench:read_hw_nas_bench",
        "oneproxy": "nas_proxy.datasets.oneproxy:read_oneproxy",
        "timm": "nas_proxy.datasets.timm:read_timm",
    },
)
_accuracy_formats: Registry[Callable[..., AccuracyTable]] = Registry(
    "accuracy format",
    {
        "csv": "nas_proxy.datasets.csv_table:read_accuracies",
        "nats-bench": "nas_proxy.datasets.nats_bench:read_nats_bench",
        "timm": "nas_proxy.datasets.timm:read_timm_accuracies",
    },
)


def load_latencies(format: str, path: str | Path, **options: Any) -> LatencyTable:
    """Latencies from a file or folder in a named format: ``"csv"``, ``"help"``, ``"hw-nas-bench"``, ``"oneproxy"`` or
    ``"timm"``.

    ``options`` are those of the format's reader: ``space`` for ``"csv"``, ``space`` and ``dataset`` for
    ``"hw-nas-bench"``, ``operators`` for ``"oneproxy"``.

    Raises:
        UnknownNameError: no such format, or no such option of it; the message names the closest.
        InputError: the data is missing, damaged or not what the format says.
    """
    return _reader(_latency_formats, format, options)(path, **options)


def load_accuracies(format: str, path: str | Path, index: str | Path | None = None, **options: Any) -> AccuracyTable:
    """Accuracies in percent from a file in a named format, ``"csv"``, ``"nats-bench"`` or ``"timm"``.

    ``index`` is where the ``"nats-bench"`` reader finds the order of the architectures (HELP's ``str_arch2idx.pt``; by
    default ``../help/nasbench201/`` beside the table's folder). Further ``options`` are those of the format's reader.

    Raises:
        UnknownNameError: no such format, or no such option of it; the message names the closest.
        InputError: the data is missing, damaged or not what the format says.
    """
    if index is not None:
        options["index"] = index
    return _reader(_accuracy_formats, format, options)(path, **options)


def _reader(formats: Registry[Callable[..., T]], format: str, options: Mapping[str, Any]) -> Callable[..., T]:
    reader = formats.get(format)
    _, *known = inspect.signature(reader).parameters  # the first is the path
    for option in options:
        if option not in known:
            raise UnknownNameError(f"option of the format {format!r}", option, known)
    return reader
