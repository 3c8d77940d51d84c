"""Finalists on their targets: rewritten, mapped or scheduled, measured; every result kept as soon as it is there."""

from __future__ import annotations

import contextlib
import logging
import platform
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from importlib.metadata import version
from operator import itemgetter
from pathlib import Path
from typing import Any

from nas_proxy import extensions
from nas_proxy.cache import Records, default_folder, digest, source_digest
from nas_proxy.devices import Device, LatencyResult, Workers, get_device
from nas_proxy.devices._fan_out import parallel
from nas_proxy.errors import InputError, listed, whole_number
from nas_proxy.finalists.optimised import optimised
from nas_proxy.finalists.rewritten import rewrite
from nas_proxy.finalists.table import Finalist, FinalistTable
from nas_proxy.graph import TensorGraph, from_torch
from nas_proxy.spaces import SearchSpace, get_space, space_text

__all__ = ["evaluate_finalists"]

_log = logging.getLogger(__name__)

#: The code that every figure comes from; a device names its own.
_CODE = ("nas_proxy.devices", "nas_proxy.finalists", "nas_proxy.graph", "nas_proxy.rewriting", "nas_proxy.spaces")
#: What a caller may ask of the targets.
_OPTIONS = ("mapper", "evaluations", "objective", "scheduler")


@dataclass(frozen=True)
class _Settings:
    """What a result depends on besides architecture and target."""

    rewriter: str | None
    rewriting_evaluations: int
    measure_seconds: float
    seed: int


def evaluate_finalists(
    archs: Sequence[Any],
    targets: Sequence[str | Path | Device],
    *,
    space: SearchSpace | str,
    rewriter: str | None = "greedy",
    rewriting_evaluations: int = 300,
    mapper: str | None = None,
    evaluations: int | None = None,
    objective: str | None = None,
    scheduler: str | None = None,
    measure_seconds: float = 20.0,
    seed: int = 0,
    cache: str | Path | None = None,
    workers: Workers | None = None,
    on_progress: Callable[[int, int], None] | None = None,
) -> FinalistTable:
    """How fast each network can be made on each target, and what each optimisation gains.

    A network is traced with one image a batch, rewritten for the target's cost where it has one, and optimised by the
    target itself (mapped layer by layer, scheduled, measured, ...), see :class:`nas_proxy.devices.Device`. What is
    worked out is kept in ``cache`` at once, and taken from there the next time.

    Args:
        archs: architectures of ``space``.
        targets: devices, or their names or YAML files.
        space: the search space, or its name.
        rewriter: ``greedy``, ``learned``, ...; None: networks stay as they are.
        rewriting_evaluations: graphs to price at most.
        mapper, evaluations, objective, scheduler: instead of what a target's file says. Each target takes those that
            it has (``Device.options``): spatial accelerators the first three, pipelines the last. The log names an
            option that none has.
        measure_seconds: for the pairs of a measured network before and after rewriting.
        seed: of all searches.
        cache: folder of what was worked out before; by default the user's own.
        workers: who evaluates what is simulated; by default this process, which does all measuring.
        on_progress: called with ``(done, total)``, of finalists, before the first and after each.

    Raises:
        InputError: no architectures or targets, an architecture that is not of the space, a target that cannot be
            evaluated, a layer that one cannot run: before any of the work.
        UnknownNameError: no such device, rewriter, mapper, objective or scheduler; names the closest.
    """
    space = space if isinstance(space, SearchSpace) else get_space(space)
    settings = _Settings(rewriter, whole_number(rewriting_evaluations, "rewriting_evaluations"), measure_seconds, seed)
    if rewriter is not None:
        extensions.get("rewriters", rewriter)
    for point, asked_for in (("mappers", mapper), ("schedulers", scheduler)):  # though no target may have the option
        if asked_for is not None:
            extensions.get(point, asked_for)
    folder = default_folder() if cache is None else Path(cache)
    texts = list(dict.fromkeys(space.to_str(arch) for arch in archs))
    given = [target if isinstance(target, Device) else get_device(target) for target in targets]
    _require(texts, given)
    asked = {"mapper": mapper, "evaluations": evaluations, "objective": objective, "scheduler": scheduler}
    devices = _configured(given, asked, {"seed": seed, "cache": folder})
    records = Records(folder / "finalists.jsonl")
    keys = {(text, d.name): _key(space, text, d, settings) for text in texts for d in devices}
    done = {pair: records.get(key) for pair, key in keys.items()}
    todo = {text: missing for text in texts if (missing := [d for d in devices if done[text, d.name] is None])}
    _check_graphs(space, todo)
    count = sum(plain is not None for plain in done.values())
    if on_progress:
        on_progress(count, len(keys))
    for finalist in _all(space, todo, settings, folder, workers or Workers()):
        pair = finalist.arch, finalist.target
        done[pair] = asdict(finalist)
        if records.get(keys[pair]) is None:  # a worker of another machine has kept it there
            records.put(keys[pair], done[pair])
        count += 1
        if on_progress:
            on_progress(count, len(keys))
    finalists = tuple(Finalist.from_dict(done[text, device.name]) for text in texts for device in devices)
    return FinalistTable(space_text(space), finalists, _protocol(devices, settings))


def _require(texts: Sequence[str], devices: Sequence[Device]) -> None:
    if not texts:
        raise InputError("no architectures to evaluate: give at least one.")
    if not devices:
        raise InputError("no targets to evaluate on: give at least one, such as eyeriss or edge-tpu-x4.")
    names = [device.name for device in devices]
    if twice := next((name for name in names if names.count(name) > 1), None):
        raise InputError(f"two targets are called {twice!r}: give each once, or another name to its YAML file.")
    for device in devices:
        if device.known_only:
            raise InputError(
                f"{device.name} cannot be evaluated: expected a simulated accelerator (eyeriss, edge-tpu-x4, ...), "
                "this machine (host-onnxruntime, host-torch) or another device that runs any network. A table of "
                "measurements knows no networks but its own."
            )


def _configured(devices: Sequence[Device], asked: Mapping[str, Any], ours: Mapping[str, Any]) -> list[Device]:
    """The devices, each with those options that it has, of what the caller asks for and of what we set in any case."""
    wanted = {name: value for name, value in asked.items() if value is not None}
    for name in wanted:
        if not any(name in device.options for device in devices):
            names = listed([device.name for device in devices])
            _log.warning("none of the targets has the option %r, so it changes nothing: %s", name, names)
    return [
        device.configured(**{name: value for name, value in {**ours, **wanted}.items() if name in device.options})
        for device in devices
    ]


def _check_graphs(space: SearchSpace, todo: Mapping[str, Sequence[Device]]) -> None:
    """Raises InputError for a network that a target cannot run, where there is a target that does not run all.

    Tracing every network only to find that all of them run would take longer than some evaluations.
    """
    for text, devices in todo.items():
        if picky := [device for device in devices if device.picky]:
            graph = _trace(space, text)
            for device in picky:
                device.check(graph)


def _key(space: SearchSpace, text: str, device: Device, settings: _Settings) -> str:
    return digest("finalist", *_identity(space, text, device, settings), asdict(settings))


def _identity(space: SearchSpace, text: str, device: Device, settings: _Settings) -> tuple[Any, ...]:
    """Which network on which device, by which code."""
    rewriter = extensions.modules("rewriters", settings.rewriter) if settings.rewriter else ()
    code = source_digest(*_CODE, *device.modules(), type(space).__module__, *rewriter)
    return space_text(space), text, device.describe(), code


def _all(
    space: SearchSpace, todo: Mapping[str, Sequence[Device]], settings: _Settings, folder: Path, workers: Workers
) -> Iterator[Finalist]:
    """What is simulated, by the workers, network by network; then the other targets, here, with nothing beside them.

    The networks measured on a device take turns: a disturbance falls on all of them.
    """
    simulated = {text: kept for text, devices in todo.items() if (kept := [d for d in devices if d.simulated])}
    jobs = [(space, text, devices, settings, folder) for text, devices in simulated.items()]
    if workers == Workers():
        for job in jobs:
            yield from _evaluated(*job)
    else:
        for finalists in parallel(workers, _listed, jobs):
            yield from finalists
    for device in {
        device.name: device for devices in todo.values() for device in devices if not device.simulated
    }.values():
        texts = [text for text, devices in todo.items() if device in devices]
        for i, result in sorted(device.latencies(space, list(map(space.from_str, texts))), key=itemgetter(0)):
            yield from _evaluated(space, texts[i], [device], settings, folder, result)


def _listed(*job: Any) -> list[Finalist]:
    return list(_evaluated(*job))


def _evaluated(
    space: SearchSpace,
    text: str,
    devices: Sequence[Device],
    settings: _Settings,
    folder: Path,
    measured: LatencyResult | None = None,
) -> Iterator[Finalist]:
    """One network on several devices, each result kept before the next one is begun.

    ``measured`` is what the network as it is takes on the device, unless that is simulated.
    """
    records, known = Records(folder / "finalists.jsonl"), Records(folder / "rewritings.jsonl")
    begun = time.process_time()
    graph = _trace(space, text)
    tracing_s = time.process_time() - begun
    for device in devices:
        begun = time.process_time()
        cost = device.cost() if settings.rewriter else None
        cheaper, priced = None, 0
        if cost is not None and settings.rewriter is not None:
            spent = cost.spent
            options = {"evaluations": settings.rewriting_evaluations, "seed": settings.seed}
            key = _identity(space, text, device, settings)
            cheaper = rewrite(graph, cost, settings.rewriter, **options, known=known, key=key)
            priced = cheaper.evaluations + cost.spent - spent
        outcome, rewritten = optimised(device, graph, cheaper, measured, settings.measure_seconds)
        if cost is not None:
            with contextlib.suppress(OSError):  # what the cost has measured is worth keeping, not worth failing for
                cost.save()
        best = outcome.variants[-1]
        finalist = Finalist(
            arch=text,
            target=device.name,
            latency_ms=best.latency_ms,
            interval_ms=outcome.interval_ms,
            energy_mj=best.energy_mj,
            throughput_per_s=best.throughput_per_s,
            utilization=outcome.utilization,
            variants=outcome.variants,
            layers=outcome.layers,
            stages=outcome.stages,
            substitutions=dict(cheaper.substitutions) if cheaper and rewritten else {},
            evaluations=outcome.evaluations + priced,
            cpu_s=round(tracing_s + time.process_time() - begun, 3),
        )
        records.put(_key(space, text, device, settings), asdict(finalist))
        yield finalist


def _trace(space: SearchSpace, text: str) -> TensorGraph:
    """The network's graph, one image a batch; weights are random, the same each time."""
    import torch

    arch = space.from_str(text)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        network = space.build(arch)
    return from_torch(network, (1, *space.input_shape(arch)))


def _protocol(devices: Sequence[Device], settings: _Settings) -> dict[str, Any]:
    packages = ("nas-proxy", "torch", "numpy", "onnxruntime")
    versions = {"python": platform.python_version()}
    for package in packages:
        with contextlib.suppress(ImportError):  # PackageNotFoundError: an extra that is not installed
            versions[package] = version(package)
    plain = {device.name: device.describe() for device in devices}
    return asdict(settings) | {
        "targets": plain,
        **{option: {d.name: d.settings()[option] for d in devices if option in d.options} for option in _OPTIONS},
        "versions": versions,
        "machine": {"processor": platform.processor() or platform.machine(), "system": platform.system()},
    }
