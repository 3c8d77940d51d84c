"""From settings to latency models: measurements made or loaded, the proxy fitted, each target adapted."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from nas_proxy.datasets import LatencyTable, load_latencies
from nas_proxy.devices import get_device, measure
from nas_proxy.errors import InputError, naming
from nas_proxy.ranking import Monotonicity, ProxyLatencyModel
from nas_proxy.ranking._measurements import FEWEST
from nas_proxy.ranking.target import TargetLatencyModel
from nas_proxy.search.settings import SearchSettings, Source, Target
from nas_proxy.spaces import SearchSpace, space_text

__all__ = ["LatencyModels", "prepare", "require_sources"]

_PROXY_SAMPLES = 60
_TARGET_SAMPLES = 20

#: Called with what is done ("proxy", or a target's name), how many architectures are measured, and of how many.
OnProgress = Callable[[str, int, int], None]


@dataclass(frozen=True)
class LatencyModels:
    """What predicts latency in a search, and what it rests on.

    ``samples`` holds, for ``"proxy"`` and each target, the architectures measured; ``evidence`` a fingerprint of them.
    """

    space: SearchSpace
    proxy: ProxyLatencyModel
    targets: Mapping[str, Any]
    samples: Mapping[str, LatencyTable]
    evidence: Mapping[str, str]


def prepare(settings: SearchSettings, folder: Path, on_progress: OnProgress | None = None) -> LatencyModels:
    """Measure or load the proxy and the targets, and fit and adapt their models.

    Measurements are kept in ``folder / "measurements"``; what is there already is not measured again.

    Raises:
        InputError: a device, table or path does not exist, or holds too little.
    """
    space = settings.make_space()
    collect = _Collector(space, folder / "measurements", settings.seed, on_progress)
    proxy_table = collect.proxy(settings.proxy)
    proxy = ProxyLatencyModel(space).fit(proxy_table.archs, _latency_ms(proxy_table))
    adapted = {name: collect.target(name, target, proxy) for name, target in settings.targets.items()}
    tables = {name: table for name, (table, _) in adapted.items()}
    return LatencyModels(
        space=space,
        proxy=proxy,
        targets={name: model for name, (_, model) in adapted.items()},
        samples={"proxy": proxy_table, **tables},
        evidence={
            "the settings": settings.fingerprint,
            "the proxy's measurements": _fingerprint(proxy_table),
            **{f"the measurements of target {name!r}": _fingerprint(table) for name, table in tables.items()},
        },
    )


def require_sources(settings: SearchSettings) -> None:
    """Find everything that latencies are to come from, without measuring anything.

    Raises:
        InputError: a device, a table or a column of it does not exist, a table is of another space or holds too
            little, or more is to be measured than the space has.
    """
    space = settings.make_space()
    sources = {"proxy": settings.proxy} | {f"targets.{name}": target for name, target in settings.targets.items()}
    for name, source in sources.items():
        if source.device is not None:
            with naming(f"{name}.device"):
                get_device(source.device)
            with naming(f"{name}.samples"):
                _require_enough(space, source, settings.seed)
        else:
            with naming(name):
                _read(source, space)


def _require_enough(space: SearchSpace, source: Source, seed: int) -> None:
    """Raises InputError where the space has fewer architectures than are to be measured."""
    if not isinstance(source, Target):
        space.sample(source.samples or _PROXY_SAMPLES, seed)
    elif (n := source.samples or _TARGET_SAMPLES) > (there := len(space.pool(seed))):
        raise InputError(f"cannot suggest {n} architectures: there are {there} to choose from.")


@dataclass(frozen=True)
class _Collector:
    """Gets one-device tables of measurements, wherever they come from."""

    space: SearchSpace
    folder: Path
    seed: int
    on_progress: OnProgress | None

    def proxy(self, source: Source) -> LatencyTable:
        if source.device is not None:
            archs = self.space.sample(source.samples or _PROXY_SAMPLES, self.seed)
            return self._measured("proxy", source, archs)
        table = _read(source, self.space)
        if source.samples is not None and source.samples < len(table):
            by_text = sorted(range(len(table)), key=lambda row: self.space.to_str(table.archs[row]))
            table = _rows(table, np.random.default_rng(self.seed).choice(by_text, source.samples, replace=False))
        return table

    def target(self, name: str, source: Target, proxy: ProxyLatencyModel) -> tuple[LatencyTable, TargetLatencyModel]:
        """The target's measurements and its model; more than at first where its ranking is not good enough yet."""
        samples = source.samples or (None if source.csv and not source.device else _TARGET_SAMPLES)
        while True:
            table = self._suggested(name, source, proxy, samples)
            model = proxy.adapt(table.archs, _latency_ms(table))
            if source.least_tau is None or model.monotonicity.kendall_tau >= source.least_tau:
                return table, model
            if samples is None or len(table) < samples or samples >= source.most_samples:
                raise InputError(_too_doubtful(name, source, model.monotonicity, taken_all=samples is None))
            samples = min(samples + max(samples // 2, 1), source.most_samples)

    def _suggested(self, name: str, source: Source, proxy: ProxyLatencyModel, samples: int | None) -> LatencyTable:
        """``samples`` measurements chosen by the proxy, which are among those chosen for a larger number; None: all."""
        if source.device is not None:
            assert samples is not None
            pool = self.space.pool(self.seed)
            return self._measured(name, source, [pool[i] for i in proxy.suggest(pool, samples, seed=self.seed)])
        table = _read(source, self.space)
        if samples is not None and samples < len(table):
            table = _rows(table, proxy.suggest(table.archs, samples, seed=self.seed))
        return table

    def _measured(self, name: str, source: Source, archs: list[Any]) -> LatencyTable:
        assert source.device is not None
        device = get_device(source.device)
        path = Path(source.csv) if source.csv else self.folder / f"{name}.csv"

        def on_progress(done: int, total: int) -> None:
            if self.on_progress is not None:
                self.on_progress(name, done, total)

        table = measure(device, self.space, archs, path, on_progress=on_progress)
        return _rows(table, table.rows(archs))


def _read(source: Source, space: SearchSpace) -> LatencyTable:
    """The measurements of one device in a table."""
    if source.dataset is not None:
        assert source.path is not None
        table, where = load_latencies(source.dataset, source.path), source.path
    else:
        assert source.csv is not None
        table, where = LatencyTable.from_csv(source.csv, space), source.csv
    if table.space != space_text(space):
        raise InputError(f"{where}: holds {table.space}, but the search is in {space_text(space)}.")
    columns = table.devices if source.column is None else (source.column,)
    if len(columns) != 1:
        raise InputError(f"{where}: holds several devices; say which with `column`: {', '.join(columns)}.")
    table = table.measured_on(*columns)
    if len(table) < FEWEST:
        raise InputError(f"{where}: expected at least {FEWEST} measurements, found {len(table)}: measure more.")
    return table


def _too_doubtful(name: str, source: Target, stated: Monotonicity, taken_all: bool) -> str:
    low, high = stated.interval
    more = (
        "measure more architectures for its table"
        if taken_all
        else f"raise most_samples (now {source.most_samples}) if there is hope"
    )
    return (
        f"target {name!r}: with {stated.n} measurements its ranking would agree with the device's own to a Kendall's "
        f"tau of {stated.kendall_tau:.2f} ({low:.2f} to {high:.2f}), and least_tau asks for {source.least_tau:g}: "
        f"{stated.verdict}. Give another proxy, {more}, or lower least_tau."
    )


def _latency_ms(table: LatencyTable) -> Any:
    return table.latency_ms(table.devices[0])


def _rows(table: LatencyTable, rows: Any) -> LatencyTable:
    return LatencyTable(table.space, tuple(table.archs[i] for i in rows), table.devices, table.values_ms[rows])


def _fingerprint(table: LatencyTable) -> str:
    digest = hashlib.sha256("\n".join(map(str, table.archs)).encode())
    digest.update(np.ascontiguousarray(table.values_ms, dtype="<f8").tobytes())
    return digest.hexdigest()[:16]
