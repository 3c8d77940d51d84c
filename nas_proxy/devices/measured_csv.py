"""Measuring architectures on a device into a CSV that can be continued after any interruption.

Two files: the CSV of :mod:`nas_proxy.datasets.csv_table`, replaced as a whole after each result, and beside it
``<csv>.machine.json``, which says on what and how was measured. Another device, protocol, machine or space than
the file's own is refused.
"""

from __future__ import annotations

import datetime
import json
import logging
import math
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import fields
from pathlib import Path
from typing import Any

import filelock

from nas_proxy import cache, files
from nas_proxy.datasets import LatencyTable
from nas_proxy.datasets.csv_rows import csv_lines, csv_text
from nas_proxy.devices._base import Device, get_device
from nas_proxy.devices._fan_out import Workers
from nas_proxy.devices._machine import governor
from nas_proxy.devices.results import LatencyResult
from nas_proxy.errors import InputError, listed
from nas_proxy.spaces import SearchSpace, get_space, space_text

__all__ = ["measure"]

_log = logging.getLogger(__name__)


def measure(
    device: Device | str | Path,
    space: SearchSpace | str,
    archs: Sequence[Any],
    path: str | Path,
    *,
    on_progress: Callable[[int, int], None] | None = None,
    workers: Workers | None = None,
) -> LatencyTable:
    """Measure those of ``archs`` that the CSV at ``path`` does not hold yet.

    Args:
        device: the device, or its name or YAML file.
        space: the search space of the architectures, or its name.
        path: the CSV; a half-done one is continued.
        on_progress: called with ``(done, total)`` before the first and after each result.
        workers: who measures; by default this process. They are worth their start where a result takes seconds.

    Returns:
        All of the CSV, which may hold more than ``archs``.

    Raises:
        InputError: an architecture is not of the space; the CSV is of another device, protocol, machine or space (says
            what differs), is being written by another process, or cannot be written. What was measured until then is
            in the file.
    """
    device = device if isinstance(device, Device) else get_device(device)
    space = space if isinstance(space, SearchSpace) else get_space(space)
    path = Path(path)
    wanted = {space.to_str(arch): arch for arch in archs}
    workers = workers or Workers()
    workers.require_use(device)
    if "cache" in (settings := device.settings()) and settings["cache"] is None:
        device = device.configured(cache=cache.default_folder())
    if not wanted:
        raise InputError("no architectures to measure: give at least one.")
    description = device.describe()
    with _claim(path, description, space):
        text, done = _continue(path, space, device)
        todo = [arch for arch_text, arch in wanted.items() if arch_text not in done]
        _log.info("%s: %d of %d architectures are measured already", path, len(wanted) - len(todo), len(wanted))
        if on_progress:
            on_progress(len(wanted) - len(todo), len(wanted))
        results = workers.latencies(device, space, todo, description)
        for count, (index, result) in enumerate(results, start=len(wanted) - len(todo) + 1):
            _require_positive(device, result)
            columns = _columns(result)
            text = text or csv_text(space_text(space), columns, ())
            if (header := csv_lines([columns])) not in text:
                raise InputError(f"{path}: expected the columns {header.strip()}. Measure into another file.")
            text += _row(space.to_str(todo[index]), device, result)
            with _writable(path):
                files.write_text(path, text)
            if on_progress:
                on_progress(count, len(wanted))
    return LatencyTable.from_csv(path, space)


def _require_positive(device: Device, result: LatencyResult) -> None:
    """A device that gives anything else would write a file that nobody can read."""
    if not (math.isfinite(result.latency_ms) and result.latency_ms > 0):
        raise InputError(
            f"device {device.name!r} gives a latency of {result.latency_ms!r} ms: expected a positive number. Nothing "
            "was written for this network."
        )


def _columns(result: LatencyResult) -> list[str]:
    """All that the device knows and that fits in a cell."""
    others = [
        field.name for field in fields(result) if isinstance(getattr(result, field.name), int | float | str | None)
    ]
    return ["arch", "latency_ms", "device", *(name for name in others if name != "latency_ms")]


def _row(arch: str, device: Device, result: LatencyResult) -> str:
    given = {"arch": arch, "device": device.name}
    return csv_lines([[given.get(column) or getattr(result, column) for column in _columns(result)]])


def _continue(path: Path, space: SearchSpace, device: Device) -> tuple[str, set[str]]:
    """The CSV's text so far, and the architectures in it."""
    if not path.exists():
        return "", set()
    table = LatencyTable.from_csv(path, space)
    if table.devices != (device.name,):
        raise InputError(f"{path}: holds latencies of {listed(table.devices)}; expected {device.name} alone.")
    return path.read_text(encoding="utf-8").rstrip() + "\n", {space.to_str(arch) for arch in table.archs}


@contextmanager
def _claim(path: Path, description: dict[str, Any], space: SearchSpace) -> Iterator[None]:
    """Hold the measurement's description while adding to the CSV: one process at a time."""
    sidecar = path.with_name(path.name + ".machine.json")
    identity = {"device": description, "space": {"name": space.name, **space.parameters}}
    if path.exists() and not sidecar.exists():
        raise InputError(
            f"{path}: was not written by measure (no {sidecar.name} beside it), so on what it was measured is not "
            "known. Measure into another file."
        )
    with _writable(path):
        path.parent.mkdir(parents=True, exist_ok=True)
        try:
            lock = filelock.FileLock(path.with_name(f".{path.name}.lock")).acquire(blocking=False)
        except filelock.Timeout:
            raise InputError(f"{path}: another process is measuring into this file. Wait for it.") from None
    with lock:
        if path.exists():
            _require_same(path, sidecar, identity)
        else:
            now = datetime.datetime.now().astimezone().isoformat(timespec="seconds")
            with _writable(path):
                files.write_json(sidecar, identity | {"started": now, "governor": governor()})
        yield


def _require_same(path: Path, sidecar: Path, identity: dict[str, Any]) -> None:
    try:
        found = json.loads(sidecar.read_text())
    except (OSError, ValueError) as error:
        raise InputError(f"{sidecar}: cannot be read as a description of {path}: {error}") from None
    differing = [
        f"  {name}: {before!r} in the file, {now!r} now"
        for name, before, now in _differences(found, json.loads(json.dumps(identity)))
    ]
    if differing:
        raise InputError(
            f"{path}: was measured otherwise, and latencies that are not comparable must not be mixed:\n"
            + "\n".join(differing)
            + "\nMeasure into another file."
        )


def _differences(found: Any, expected: Any, name: str = "") -> Iterator[tuple[str, Any, Any]]:
    """Leaves of ``expected`` that ``found`` has otherwise, as ``(name, found, expected)``."""
    if isinstance(expected, dict) and isinstance(found, dict):
        for key in expected.keys() | (found.keys() if name else set()):  # at the top, more is known than must agree
            yield from _differences(found.get(key), expected.get(key), f"{name}.{key}" if name else key)
    elif found != expected:
        yield name, found, expected


@contextmanager
def _writable(path: Path) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise InputError(
            f"{path}: cannot be written: {error}. What was measured before is kept; give a folder that can be written "
            "to, or make room, and start again."
        ) from None
