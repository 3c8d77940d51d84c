"""Finalists on their targets: rewritten, mapped or scheduled, measured; every result kept as soon as it is there."""

from __future__ import annotations

import contextlib
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
from nas_proxy.devices._timing import MeasuredLatency
from nas_proxy.devices.host import HostDevice
from nas_proxy.errors import InputError, UnknownNameError, whole_number
from nas_proxy.finalists.rewritten import Cheaper, rewrite
from nas_proxy.finalists.table import Finalist, FinalistTable
from nas_proxy.finalists.targets import Outcome, on_edge_tpu, on_host, on_spatial
from nas_proxy.graph import TensorGraph, from_torch
from nas_proxy.mapping.device import SpatialDevice
from nas_proxy.mapping.problem import OBJECTIVES, Objective
from nas_proxy.rewriting.costs import GraphCost, MeasuredCost, SpatialCost, cost_for
from nas_proxy.scheduling.device import EdgeTPUDevice
from nas_proxy.spaces import SearchSpace, get_space, space_text

__all__ = ["can_evaluate", "evaluate_finalists"]

#: The code that every figure comes from; a device names its own.
_CODE = ("nas_proxy.devices", "nas_proxy.finalists", "nas_proxy.graph", "nas_proxy.rewriting", "nas_proxy.spaces")


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
    objective: Objective | None = None,
    scheduler: str | None = None,
    measure_seconds: float = 20.0,
    seed: int = 0,
    cache: str | Path | None = None,
    workers: Workers | None = None,
    on_progress: Callable[[int, int], None] | None = None,
) -> FinalistTable:
    """How fast each network can be made on each target, and what each optimisation gains.

    A network is traced with one image a batch, rewritten for the target's cost, and mapped layer by layer (spatial
    accelerators), scheduled (Edge TPUs) or measured before and after rewriting (this machine under ONNX Runtime). What
    is worked out is kept in ``cache`` at once, and taken from there the next time.

    Args:
        archs: architectures of ``space``.
        targets: devices, or their names or YAML files.
        space: the search space, or its name.
        rewriter: ``greedy``, ``learned``, ...; None: networks stay as they are.
        rewriting_evaluations: graphs to price at most.
        mapper, evaluations, objective: instead of those that a spatial accelerator's file names.
        scheduler: instead of the one that a pipeline's file names.
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
    folder = default_folder() if cache is None else Path(cache)
    given = [target if isinstance(target, Device) else get_device(target) for target in targets]
    devices = [_prepared(device, mapper, evaluations, objective, scheduler, seed, folder) for device in given]
    texts = list(dict.fromkeys(space.to_str(arch) for arch in archs))
    _require(texts, devices)
    records = Records(folder / "finalists.jsonl")
    keys = {(text, d.name): _key(space, text, d, settings) for text in texts for d in devices}
    done = {pair: records.get(key) for pair, key in keys.items()}
    todo = {text: missing for text in texts if (missing := [d for d in devices if done[text, d.name] is None])}
    _check_layers(space, todo)
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


def can_evaluate(device: Device) -> bool:
    """Whether the device runs any network: a simulated accelerator or this machine, no table of measurements."""
    return isinstance(device, SpatialDevice | EdgeTPUDevice | HostDevice)


def _prepared(
    device: Device,
    mapper: str | None,
    evaluations: int | None,
    objective: Objective | None,
    scheduler: str | None,
    seed: int,
    folder: Path,
) -> Device:
    """The device with what the caller wants otherwise, and the cache."""
    if not can_evaluate(device):
        raise InputError(
            f"{device.name} cannot be evaluated: expected a simulated accelerator (eyeriss, edge-tpu-x4, ...) or this "
            "machine (host-onnxruntime, host-torch). A table of measurements knows no networks but its own."
        )
    if isinstance(device, SpatialDevice):
        own = {"mapper": mapper, "evaluations": evaluations, "objective": objective}
        return device.replaced(**{k: v for k, v in own.items() if v is not None}, seed=seed, cache=folder)
    if isinstance(device, EdgeTPUDevice):
        extensions.get("schedulers", scheduler or device.scheduler)
        return EdgeTPUDevice(device.name, device.chip, devices=device.devices, scheduler=scheduler or device.scheduler)
    return device


def _require(texts: Sequence[str], devices: Sequence[Device]) -> None:
    if not texts:
        raise InputError("no architectures to evaluate: give at least one.")
    if not devices:
        raise InputError("no targets to evaluate on: give at least one, such as eyeriss or edge-tpu-x4.")
    names = [device.name for device in devices]
    if twice := next((name for name in names if names.count(name) > 1), None):
        raise InputError(f"two targets are called {twice!r}: give each once, or another name to its YAML file.")
    for device in devices:
        if isinstance(device, SpatialDevice):
            if device.objective not in OBJECTIVES:
                raise UnknownNameError("objective", device.objective, OBJECTIVES)
            initial = extensions.get("mappers", device.mapper).initial
            if device.evaluations < initial:
                raise InputError(f"mapper {device.mapper!r} starts with {initial} evaluations: give at least as many.")


def _check_layers(space: SearchSpace, todo: Mapping[str, Sequence[Device]]) -> None:
    """Raises InputError for a layer that an accelerator cannot run, where there is an accelerator that cannot run all.

    Tracing every network only to find that all of them run would take longer than some evaluations.
    """
    kinds = {"conv", "dwconv", "gemm", "fc"}
    for text, devices in todo.items():
        picky = [d for d in devices if isinstance(d, SpatialDevice) and kinds - set(d.accelerator.layer_kinds)]
        graph = _trace(space, text) if picky else None
        for device in picky:
            assert graph is not None
            device.operators(graph)


def _key(space: SearchSpace, text: str, device: Device, settings: _Settings) -> str:
    return digest("finalist", *_identity(space, text, device, settings), asdict(settings))


def _identity(space: SearchSpace, text: str, device: Device, settings: _Settings) -> tuple[Any, ...]:
    """Which network on which device, by which code."""
    rewriter = [type(extensions.get("rewriters", settings.rewriter)).__module__] if settings.rewriter else []
    code = source_digest(*_CODE, *device.modules(), type(space).__module__, *rewriter)
    return space_text(space), text, device.describe(), code


def _all(
    space: SearchSpace, todo: Mapping[str, Sequence[Device]], settings: _Settings, folder: Path, workers: Workers
) -> Iterator[Finalist]:
    """What is simulated, by the workers, network by network; then what is measured, here, with nothing beside it.

    The networks measured on a device take turns: a disturbance falls on all of them.
    """
    simulated = {text: kept for text, devices in todo.items() if (kept := [d for d in devices if not d.timed])}
    jobs = [(space, text, devices, settings, folder) for text, devices in simulated.items()]
    if workers == Workers():
        for job in jobs:
            yield from _evaluated(*job)
    else:
        for finalists in parallel(workers, _listed, jobs):
            yield from finalists
    for device in {device.name: device for devices in todo.values() for device in devices if device.timed}.values():
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

    ``measured`` is what the device, one of this machine's runtimes, takes for the network as it is.
    """
    records, known = Records(folder / "finalists.jsonl"), Records(folder / "rewritings.jsonl")
    begun = time.process_time()
    graph = _trace(space, text)
    tracing_s = time.process_time() - begun
    for device in devices:
        begun = time.process_time()
        spent, cost = _spent(device), _cost(device) if settings.rewriter else None
        cheaper = None
        if cost is not None and settings.rewriter is not None:
            options = {"evaluations": settings.rewriting_evaluations, "seed": settings.seed}
            key = _identity(space, text, device, settings)
            cheaper = rewrite(graph, cost, settings.rewriter, **options, known=known, key=key)
        outcome = _outcome(device, graph, cheaper, cost, settings, measured)
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
            substitutions=dict(cheaper.substitutions) if cheaper and outcome.rewritten else {},
            evaluations=_spent(device) - spent + _spent(cost) + (cheaper.evaluations if cheaper else 0),
            cpu_s=round(tracing_s + time.process_time() - begun, 3),
        )
        records.put(_key(space, text, device, settings), asdict(finalist))
        yield finalist


def _spent(who: Device | GraphCost | None) -> int:
    """Mappings that a device or a cost has evaluated so far."""
    return who.spent if isinstance(who, SpatialDevice | SpatialCost) else 0


def _trace(space: SearchSpace, text: str) -> TensorGraph:
    """The network's graph, one image a batch; weights are random, the same each time."""
    import torch

    arch = space.from_str(text)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        network = space.build(arch)
    return from_torch(network, (1, *space.input_shape(arch)))


def _cost(device: Device) -> GraphCost | None:
    """What graphs cost on a device; None where it runs networks in a way that rewriting has no part in."""
    if isinstance(device, HostDevice) and device.spec.runtime != "onnxruntime":
        return None
    return cost_for(device)


def _outcome(
    device: Device,
    graph: TensorGraph,
    cheaper: Cheaper | None,
    cost: GraphCost | None,
    settings: _Settings,
    measured: LatencyResult | None,
) -> Outcome:
    if isinstance(device, SpatialDevice):
        return on_spatial(device, graph, cheaper)
    if isinstance(device, EdgeTPUDevice):
        return on_edge_tpu(device, graph, cheaper)
    assert isinstance(measured, MeasuredLatency)
    if isinstance(cost, MeasuredCost):
        with contextlib.suppress(OSError):  # times of operators are worth keeping, not worth failing for
            cost.save()
    return on_host(
        measured,
        graph=graph,
        cheaper=cheaper,
        price=lambda network: cost.price(network).by_node if cost is not None else {},
        seconds=settings.measure_seconds,
    )


def _protocol(devices: Sequence[Device], settings: _Settings) -> dict[str, Any]:
    packages = ("nas-proxy", "torch", "numpy", "onnxruntime")
    versions = {"python": platform.python_version()}
    for package in packages:
        with contextlib.suppress(ImportError):  # PackageNotFoundError: an extra that is not installed
            versions[package] = version(package)
    plain = {device.name: device.describe() for device in devices}
    return asdict(settings) | {
        "targets": plain,
        "mapper": {d.name: d.mapper for d in devices if isinstance(d, SpatialDevice)},
        "evaluations": {d.name: d.evaluations for d in devices if isinstance(d, SpatialDevice)},
        "objective": {d.name: d.objective for d in devices if isinstance(d, SpatialDevice)},
        "scheduler": {d.name: d.scheduler for d in devices if isinstance(d, EdgeTPUDevice)},
        "versions": versions,
        "machine": {"processor": platform.processor() or platform.machine(), "system": platform.system()},
    }
