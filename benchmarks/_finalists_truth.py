"""The networks that :mod:`benchmarks.finalists` chooses among, and what each of them takes on each simulated target."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from rich.progress import track

from benchmarks.data import measurements
from nas_proxy import ProxyLatencyModel, get_device, get_space, load_accuracies
from nas_proxy.cache import Records
from nas_proxy.devices import Device, measure
from nas_proxy.graph import annotate, from_torch
from nas_proxy.spaces import SearchSpace
from nas_proxy.terminal.console import Terminal

RUNS = Path(__file__).parents[1] / "runs" / "bench-finalists"
MEASURED, UTILITIES = 60, 20
IN_FULL, CHECKED = 30, 10


@dataclass(frozen=True)
class Study:
    """A space, and what is asked of it.

    Attributes:
        space, setting: its networks, and in words what is not in the space's name.
        targets: that are ranked.
        ablated: targets on which ten networks are optimised.
        pool: architectures evaluated on all targets.
        everything: networks that all of the space is counted as, where cost is compared.
        criteria: what a network must have enough of: ``(m, n)`` for ``m`` criteria and ``n`` architectures.
        resolutions: image sizes, each as likely, where the space has a choice of them.
        by_cells: whether networks are a stack of like cells, see :func:`evaluate_all`.
    """

    space: SearchSpace
    setting: str
    targets: tuple[str, ...]
    ablated: tuple[str, ...]
    pool: int
    everything: int
    criteria: Callable[[SearchSpace, Sequence[str]], NDArray[np.float64]]
    resolutions: tuple[int, ...] = ()
    by_cells: bool = False

    @cached_property
    def measured(self) -> list[str]:
        """What the proxy measures."""
        return self._drawn(MEASURED, seed=1)

    @cached_property
    def archs(self) -> list[str]:
        """The pool: architectures that the proxy has not measured."""
        return [text for text in self._drawn(self.pool + MEASURED, seed=2) if text not in self.measured][: self.pool]

    @cached_property
    def known(self) -> Records:
        """What was evaluated before: a row for each architecture."""
        return Records(RUNS / f"truth-{self.space.name}.jsonl")

    @cached_property
    def devices(self) -> list[Device]:
        return [self._kept(get_device(name)) for name in self.targets]

    @staticmethod
    def _kept(device: Device) -> Device:
        """The device, which keeps what it works out where it can."""
        return device.configured(cache=RUNS / "cache") if "cache" in device.options else device

    def networks(self, texts: Sequence[str]) -> list[Any]:
        return [self.space.from_str(text) for text in texts]

    def _drawn(self, n: int, seed: int) -> list[str]:
        archs = self.space.sample(n, seed)
        if self.resolutions:
            sizes = np.random.default_rng(seed).choice(self.resolutions, n)
            archs = [{**arch, "r": int(size)} for arch, size in zip(archs, sizes, strict=True)]
        return [self.space.to_str(arch) for arch in archs]


def cifar100(space: SearchSpace, archs: Sequence[str]) -> NDArray[np.float64]:
    """Accuracy on CIFAR-100, NATS-Bench: one criterion."""
    table = load_accuracies("nats-bench", measurements("nats-bench", "cifar100_perfmetrics.txt"))
    return table.accuracy_of([space.from_str(text) for text in archs])[None]


def utilities(space: SearchSpace, archs: Sequence[str]) -> NDArray[np.float64]:
    """Random utilities of MobileNetV3 networks: none falls when a kernel, expansion, depth or the image grows.

    A utility weighs 20 layers at random, and at random four terms, each in units of its spread over ``archs``: layers
    that exist, their kernels, their expansions (weighted sums), and image size. All weights are uniform on the simplex.
    These are no accuracies: there is no table of those. Whatever accuracy favours, some of the utilities are like it.
    """
    networks, rng, found = [space.from_str(text) for text in archs], np.random.default_rng(0), []
    exists = np.array([[i % 4 < arch["d"][i // 4] for i in range(20)] for arch in networks])
    kernels = exists * (np.array([arch["ks"] for arch in networks]) - 3) / 4
    expansions = exists * (np.array([arch["e"] for arch in networks]) - 3) / 3
    sizes = np.array([arch["r"] for arch in networks], dtype=float)
    for _ in range(UTILITIES):
        layers, shares = rng.dirichlet(np.ones(20)), rng.dirichlet(np.ones(4))
        terms = np.stack([exists @ layers, kernels @ layers, expansions @ layers, sizes])
        found.append(shares @ (terms / terms.std(axis=1, keepdims=True)))
    return np.array(found)


STUDIES = (
    Study(
        space=get_space("nasbench201"),
        setting="5 cells a stage, 32 x 32, one image",
        targets=("eyeriss", "edge-array", "nvdla-large", "shidiannao", "simba", "tpu-v1", "edge-tpu", "edge-tpu-x4"),
        ablated=("eyeriss", "nvdla-large", "simba", "edge-tpu", "edge-tpu-x4"),
        pool=340,
        everything=15_625,
        criteria=cifar100,
        by_cells=True,
    ),
    Study(
        space=get_space("mobilenetv3"),
        setting="160 or 224 pixels, one image",
        targets=("eyeriss", "nvdla-large", "shidiannao", "simba", "edge-tpu", "edge-tpu-x4"),
        ablated=("eyeriss", "simba", "edge-tpu", "edge-tpu-x4"),
        pool=320,
        everything=10_000,
        criteria=utilities,
        resolutions=(160, 224),
    ),
)


def proxy(study: Study) -> ProxyLatencyModel:
    """This machine, measured once."""
    path, archs = RUNS / f"proxy-{study.space.name}.csv", study.networks(study.measured)
    with Terminal().progress("measuring the proxy") as on_progress:
        table = measure("host-torch", study.space, archs, path, on_progress=on_progress)
    return ProxyLatencyModel(study.space).fit(archs, table.latency_ms("host-torch")[table.rows(archs)])


# -- the truth ---------------------------------------------------------------------------------------------------------


def evaluate_all(study: Study) -> None:
    """All architectures on all targets; goes on where it was stopped.

    Where operators run one after the other (pipelines do not) and the cells of a stage are alike, a network of five
    cells a stage takes five times what one of a single cell takes, less four times what is not cells (stem, reductions,
    head). That is the same for all architectures, follows from the first ones, which are evaluated in full, and must be
    the same to a millionth in all of these. Tracing a fifth of the network is most of what this saves.
    """
    pipelines = [device for device in study.devices if getattr(device, "devices", 1) > 1]
    for number, text in enumerate(track(study.archs, f"{study.space.name} in full")):
        row = study.known.get(text) or {}
        wanted = pipelines if study.by_cells and number >= IN_FULL else study.devices
        if missing := [device for device in wanted if device.name not in row]:
            study.known.put(text, _evaluated(study.space, text, missing) | row)
    if study.by_cells:
        _by_cells(study, [device for device in study.devices if device not in pipelines])


def _by_cells(study: Study, devices: Sequence[Device]) -> None:
    single = study.space.with_parameters(cells=1)
    repeated = study.space.parameters["cells"]
    outside: dict[str, float] = {}
    for number, text in enumerate(track(study.archs, "by a cell a stage")):
        row = study.known.get(text) or {"trace_s": None}
        if number >= CHECKED and all(device.name in row for device in devices):
            continue
        figures = _figures(_evaluated(single, text, devices), devices)
        if number < CHECKED:
            for name, value in figures.items():
                found = (repeated * value - _figures(row, devices)[name]) / (repeated - 1)
                expected = outside.setdefault(name, found)
                assert abs(found - expected) <= 1e-6 * abs(expected), f"{name}: not a sum over cells"
        else:
            totals = {name: repeated * value - (repeated - 1) * outside[name] for name, value in figures.items()}
            latencies = {d.name: {"latency_ms": totals[d.name], "cpu_s": None, "mapped": False} for d in devices}
            study.known.put(text, {"macs": totals["macs"]} | latencies | row)


def _figures(row: dict[str, Any], devices: Sequence[Device]) -> dict[str, float]:
    return {"macs": row["macs"], **{device.name: row[device.name]["latency_ms"] for device in devices}}


def _evaluated(space: SearchSpace, text: str, devices: Sequence[Device]) -> dict[str, Any]:
    begun = time.process_time()
    arch = space.from_str(text)
    graph = from_torch(space.build(arch), (1, *space.input_shape(arch)))
    row: dict[str, Any] = {"trace_s": time.process_time() - begun, "macs": annotate(graph).macs}
    for device in devices:
        spent, begun = getattr(device, "spent", 0), time.process_time()
        result = device.latency(graph)
        taken = time.process_time() - begun
        fresh = getattr(device, "spent", 0) > spent  # then its time is that of mapping new layers
        row[device.name] = {"latency_ms": result.latency_ms, "cpu_s": taken, "mapped": fresh}
        if len(getattr(result, "stage_ms", ())) > 1:
            row[device.name]["interval_ms"] = max(result.stage_ms)  # pyright: ignore[reportAttributeAccessIssue]
    return row


@dataclass(frozen=True)
class Truth:
    """What is evaluated of the pool on one target; arrays are ``(n,)``.

    Attributes:
        archs, macs, latency_ms: of the networks.
        interval_ms: between two results of a pipeline, the time of its slowest stage; None for a single device.
        network_s: processor time for a network: median of tracing and of adding up what is mapped.
        mapping_s: processor time of mapping all distinct layers, once.
    """

    archs: tuple[str, ...]
    macs: NDArray[np.float64]
    latency_ms: NDArray[np.float64]
    interval_ms: NDArray[np.float64] | None
    network_s: float
    mapping_s: float


def truth_of(study: Study, target: str) -> Truth:
    """What there is."""
    rows = {text: row for text in study.archs if (row := study.known.get(text)) is not None and target in row}
    costs = [row[target] for row in rows.values()]
    traces_s = [row["trace_s"] for row in rows.values() if row["trace_s"] is not None]
    typical_s = float(np.median([c["cpu_s"] for c in costs if c["cpu_s"] is not None and not c["mapped"]]))
    return Truth(
        archs=tuple(rows),
        macs=np.array([row["macs"] for row in rows.values()], dtype=float),
        latency_ms=np.array([cost["latency_ms"] for cost in costs]),
        interval_ms=np.array([c["interval_ms"] for c in costs]) if "interval_ms" in costs[0] else None,
        network_s=float(np.median(traces_s)) + typical_s,
        mapping_s=float(sum(c["cpu_s"] - typical_s for c in costs if c["mapped"])),
    )
