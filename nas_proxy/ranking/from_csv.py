"""Suggest, adapt and rank from CSV files of measurements, for the command line."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from nas_proxy import files, ties
from nas_proxy.datasets import AccuracyTable, LatencyTable
from nas_proxy.datasets.csv_rows import write_csv
from nas_proxy.datasets.csv_table import read_archs
from nas_proxy.errors import InputError, listed, naming
from nas_proxy.ranking.pareto import pareto_front
from nas_proxy.ranking.proxy import ProxyLatencyModel
from nas_proxy.ranking.selection import select_proxy
from nas_proxy.ranking.target import TargetLatencyModel
from nas_proxy.spaces import SearchSpace, space_text

__all__ = [
    "Adapted",
    "Ranking",
    "adapt_csv",
    "candidates",
    "fit_csv",
    "fit_one",
    "rank_csv",
    "write_predictions",
    "write_to_measure",
]


@dataclass(frozen=True)
class Adapted:
    """A target of a CSV, the proxy that serves it best and the model adapted from it."""

    target: str
    proxy: str
    model: TargetLatencyModel


def fit_csv(path: Path, space: str | None = None) -> dict[str, ProxyLatencyModel]:
    """A proxy model of each device in a CSV, by the device's name.

    Raises:
        InputError: the file cannot be read, or a device has too few measurements.
    """
    return _fitted(LatencyTable.from_csv(path, space), path)


def fit_one(path: Path, space: str | None = None, *, why: str) -> ProxyLatencyModel:
    """The proxy model of a CSV that is to hold one device only, for the reason ``why``.

    Raises:
        InputError: the file cannot be read, holds several devices, or has too few measurements.
    """
    table = LatencyTable.from_csv(path, space)
    if len(table.devices) > 1:
        raise InputError(f"{path} holds several devices: {listed(table.devices)}. {why}")
    [model] = _fitted(table, path).values()
    return model


def _fitted(table: LatencyTable, path: Path) -> dict[str, ProxyLatencyModel]:
    found: dict[str, ProxyLatencyModel] = {}
    for device in table.devices:
        own = table.measured_on(device)
        with naming(f"{path}, device {device!r}"):
            found[device] = ProxyLatencyModel(own.space).fit(own.archs, own.latency_ms(device))
    return found


def adapt_csv(proxies: Mapping[str, ProxyLatencyModel], path: Path, method: str = "bayes") -> list[Adapted]:
    """A model of each device in a CSV of targets, adapted from the proxy that serves it best.

    Raises:
        InputError: the file cannot be read or holds another space, or a target has too few measurements.
    """
    table = LatencyTable.from_csv(path, next(iter(proxies.values())).space)
    adapted: list[Adapted] = []
    for target in table.devices:
        own = table.measured_on(target)
        given = own.archs, own.latency_ms(target)
        with naming(f"{path}, device {target!r}"):
            chosen = select_proxy(proxies, *given)
        adapted.append(Adapted(target, chosen, proxies[chosen].adapt(*given, method=method)))
    return adapted


def candidates(space: SearchSpace, path: Path | None, seed: int = 0) -> list[Any]:
    """The architectures of a CSV; without one all of the space, or 2,000 at random where it cannot be listed."""
    return read_archs(path, space) if path is not None else space.pool(seed)


def write_to_measure(path: Path, space: SearchSpace, archs: Sequence[Any]) -> Path:
    """Write a CSV of architectures with the latencies left to fill in.

    Raises:
        InputError: the file exists: it may hold measurements.
    """
    if path.exists():
        raise InputError(f"{path} exists and may hold measurements: give another name, or move it away.")
    return write_csv(path, space_text(space), ("arch", "latency_ms"), ([space.to_str(arch), ""] for arch in archs))


def write_predictions(path: Path, adapted: Sequence[Adapted], archs: Sequence[Any]) -> Path:
    """Write the predicted latencies of ``archs`` on each target, and how far measurements will be from them.

    Raises:
        InputError: the file exists and holds measurements.
    """
    files.require_free(path)
    columns = [column for each in adapted for column in each.model.predict(archs, return_std=True)]
    heading = [f"{what}_latency_ms_{each.target}" for each in adapted for what in ("predicted", "std")]
    space = adapted[0].model.proxy.space
    rows = zip(map(space.to_str, archs), *(column.tolist() for column in columns), strict=True)
    return write_csv(path, space_text(space), ("arch", *heading), rows)


@dataclass(frozen=True)
class Ranking:
    """Architectures by rising predicted latency, those of the same latency by their text.

    ``accuracy`` is in percent, where it was given.
    """

    adapted: Adapted
    archs: list[Any]
    latency_ms: NDArray[np.float64]
    accuracy: NDArray[np.float64] | None


def rank_csv(
    proxies: Mapping[str, ProxyLatencyModel], target: Path, archs: Path | None = None, accuracy: Path | None = None
) -> Ranking:
    """Rank the architectures of a CSV (see :func:`candidates`), or the Pareto front of a CSV of accuracies.

    Raises:
        InputError: there are several targets, both or unreadable files are given.
    """
    if archs is not None and accuracy is not None:
        raise InputError("give --archs or --accuracy, not both: the accuracies say which architectures to rank.")
    space = next(iter(proxies.values())).space
    devices = LatencyTable.from_csv(target, space).devices
    if len(devices) > 1:
        raise InputError(f"a ranking is of one target, but {target} holds several devices: {listed(devices)}.")
    [adapted] = adapt_csv(proxies, target)
    model = adapted.model
    if accuracy is None:
        pool, percent = sorted(candidates(space, archs), key=space.to_str), None
        order = ties.order(model.predict(pool))
    else:
        table = AccuracyTable.from_csv(accuracy, space)
        rows = sorted(range(len(table.archs)), key=lambda row: space.to_str(table.archs[row]))
        pool, percent = [table.archs[row] for row in rows], table.accuracy[rows]
        order = pareto_front(percent, model.predict(pool))
    found = [pool[i] for i in order]
    return Ranking(adapted, found, model.predict(found), None if percent is None else percent[order])
