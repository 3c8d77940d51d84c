"""10,000 devices that measured the same 20 architectures: adapted, ranked and served at once.

    python -m benchmarks.fleet                  # into benchmarks/results/fleet.json; most of the time is simulation

What is simulated. NAS-Bench-201 on devices drawn around the shipped descriptions, nine of ten Edge TPUs
(devices/edge-tpu.yaml), the others spatial arrays (each of devices/*.yaml of that kind in turn). The fitted parameters
of an Edge TPU (efficiencies at most 1) and, of an array, clock and bandwidths are multiplied by factors between 1/2 and
2, drawn evenly in log; rows and columns of an array and its buffer are halved, kept or doubled. Latencies are the
simulators' own, with two things fixed: there is one Edge TPU, so nothing is to be scheduled, and on arrays each layer
runs as the fastest of three fixed dataflows (`default_mapping`), not as a search would map it. For the first devices of
each kind two latencies are compared with what the device class says. Measuring adds 1 % of Student-t noise (4 degrees
of freedom) to each latency.

The proxy is a published phone (HELP's Pixel 3, all 15,625 cells), the accuracies are NATS-Bench's on CIFAR-100; the 20
architectures are those the proxy suggests. Time and memory are those of a process of its own, from reading the CSV
files to writing the recommendations, two threads. The stated Kendall's tau is compared with the true one on cells that
no device has measured, and the model with `adapt()`, device by device, on the published devices of HELP.
"""

from __future__ import annotations

import copy
import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from functools import cache
from pathlib import Path
from typing import Annotated, Any

import numpy as np
import typer
from numpy.typing import NDArray
from rich.console import Console
from rich.progress import track
from rich.table import Table
from scipy import stats

from benchmarks.data import measurements
from nas_proxy import LatencyTable, ProxyLatencyModel, get_space, load_accuracies, load_latencies, resources
from nas_proxy.files import write_json, write_text
from nas_proxy.graph import TensorGraph, annotate, from_torch
from nas_proxy.mapping import running
from nas_proxy.mapping.dataflows import default_mapping
from nas_proxy.mapping.device import SpatialDevice
from nas_proxy.ranking.kendall import kendall_tau
from nas_proxy.scheduling.chip import EdgeTPUSpec, operator_times
from nas_proxy.scheduling.device import EdgeTPUDevice
from nas_proxy.schema import load_yaml

RESULTS = Path(__file__).parent / "results"
PROXY, SAMPLES, NOISE = "pixel3", 20, 0.01
SIZES = (100, 1_000, 10_000)
CELLS, CHECKED = 25, 100
BUDGET_S, BUDGET_GB = 60, 2
SPATIAL = ("edge-array", "eyeriss", "nvdla-large", "shidiannao", "simba", "tpu-v1", "tpu-v4i")
FITTED = ("clock_mhz", "array_efficiency", "depthwise_efficiency", "vector_gb_s", "operator_us", "stream_mb_s")


@dataclass(frozen=True)
class Run:
    """One process from CSV files to recommendations; memory is the peak of what was resident."""

    devices: int
    wall_s: float
    cpu_s: float
    peak_gb: float
    networks: int
    fewest: int
    doubtful: int


@dataclass(frozen=True)
class Honesty:
    """Stated and true Kendall's tau of one simulated device."""

    device: str
    stated: float
    low: float
    high: float
    true: float
    unadapted: float


@dataclass(frozen=True)
class Agreement:
    """The fleet's model and ``adapt()`` on published devices: mean rank correlations on what was not measured."""

    space: str
    proxy: str
    devices: int
    fleet_spearman: float
    adapt_spearman: float
    unadapted_spearman: float
    largest_difference: float
    fleet_tau_error: float
    adapt_tau_error: float


def perturbed_edge_tpu(rng: np.random.Generator) -> EdgeTPUDevice:
    """One Edge TPU with other parameters."""
    description = _description("edge-tpu")
    chip = description["chip"]
    for name in (*FITTED, "invoke_ms"):
        chip[name] *= _factor(rng)
        if name.endswith("efficiency"):
            chip[name] = min(chip[name], 1.0)
    return EdgeTPUDevice.from_description("edge-tpu", description)


def perturbed_array(name: str, rng: np.random.Generator) -> SpatialDevice:
    """A spatial array of another size, clock and bandwidths."""
    description = _description(name)
    description["clock_mhz"] = description.get("clock_mhz", 1000.0) * _factor(rng)
    for side in ("pe_rows", "pe_cols"):
        description[side] = max(1, int(description[side] * rng.choice([0.5, 1, 2])))
    size = rng.choice([0.5, 1, 2])
    buffer = description["levels"]["GLB"]
    if isinstance(words := buffer.get("capacity_words"), dict):
        buffer["capacity_words"] = {pool: max(1, int(size * many)) for pool, many in words.items()}
    elif words is not None:
        buffer["capacity_words"] = int(size * words)
    for level in description["levels"].values():
        for port in ("read_words_per_cycle", "write_words_per_cycle"):
            if level.get(port) is not None:
                level[port] *= _factor(rng)
    return SpatialDevice.from_description(name, description)


def _description(name: str) -> dict[str, Any]:
    return copy.deepcopy(_loaded(name))


@cache
def _loaded(name: str) -> Any:
    return load_yaml(resources.find("devices", name))


def _factor(rng: np.random.Generator) -> float:
    return float(2 ** rng.uniform(-1, 1))


class Networks:
    """Architectures as graphs, and what of them does not depend on a device's parameters."""

    def __init__(self, archs: Sequence[Any]) -> None:
        space = get_space("nasbench201")
        self.graphs = [from_torch(space.build(arch), (1, 3, 32, 32)) for arch in track(archs, "networks as graphs")]
        self._annotations = [annotate(graph, "int8") for graph in self.graphs]
        self._operators: dict[int, Any] = {}
        self._weights: NDArray[np.float64] | None = None

    def edge_tpu_ms(self, device: EdgeTPUDevice) -> NDArray[np.float64]:
        """Operators, overhead of the call, and activations over the link; parameters fit the cache.

        With the array's size fixed, the time of the operators is linear in what `_terms` gives.
        """
        chip = device.chip
        if self._weights is None:
            chips = [perturbed_edge_tpu(np.random.default_rng(seed)).chip for seed in range(12)]
            times = [[sum(operator_times(each, annotation)) for annotation in self._annotations] for each in chips]
            self._weights = np.linalg.lstsq(np.array([_terms(each) for each in chips]), np.array(times))[0]
        moved = np.array([_moved_bytes(graph) for graph in self.graphs])
        return np.array(_terms(chip)) @ self._weights + chip.invoke_ms + moved / chip.link_bytes_per_ms

    def array_ms(self, device: SpatialDevice) -> NDArray[np.float64]:
        """Each distinct operator once, times how often each network has it."""
        bits = device.accelerator.word_bits
        if bits not in self._operators:
            self._operators[bits] = _distinct([device.operators(graph) for graph in self.graphs])
        operators, counts = self._operators[bits]
        layers = {o.layer for o in operators if o.layer is not None}
        mapped = {layer: default_mapping(layer, device.accelerator, "latency") for layer in layers}
        return counts @ np.array(
            [running.run(device.accelerator, [operator], mapped).latency_ms for operator in operators]
        )

    def latency_ms(self, device: EdgeTPUDevice | SpatialDevice) -> NDArray[np.float64]:
        return self.edge_tpu_ms(device) if isinstance(device, EdgeTPUDevice) else self.array_ms(device)

    def check(self, device: EdgeTPUDevice | SpatialDevice) -> None:
        """The first networks' latencies are those that the device class gives."""
        for graph, found in zip(self.graphs[:2], self.latency_ms(device)[:2], strict=True):
            if isinstance(device, EdgeTPUDevice):
                expected = device.latency(graph).latency_ms
            else:
                operators = device.operators(graph)
                layers = {o.layer for o in operators if o.layer is not None}
                mapped = {layer: default_mapping(layer, device.accelerator, "latency") for layer in layers}
                expected = running.run(device.accelerator, operators, mapped).latency_ms
            if not np.isclose(found, expected, rtol=1e-6):
                raise RuntimeError(f"{device.name}: {found} ms, but its class says {expected} ms")


def _terms(chip: EdgeTPUSpec) -> tuple[float, ...]:
    """What the time of operators is linear in: products, those of depthwise layers, bytes, operators."""
    rate = chip.clock_mhz / 1e3
    return (
        1 / (rate * chip.array_efficiency),
        1 / (rate * chip.depthwise_efficiency),
        1 / chip.vector_gb_s,
        chip.operator_us,
    )


def _moved_bytes(graph: TensorGraph) -> int:
    """Input and output, one byte an element."""
    return sum(graph.values[name].elements for name in (*graph.inputs, *graph.outputs))


def _distinct(networks: list[list[Any]]) -> tuple[list[Any], NDArray[np.float64]]:
    """Distinct operators, and how often each network has each."""
    found: dict[Any, tuple[int, Any]] = {}
    pairs = []
    for i, operators in enumerate(networks):
        for operator in operators:
            key = (operator.layer, operator.read_words, operator.written_words)
            pairs.append((i, found.setdefault(key, (len(found), operator))[0]))
    counts = np.zeros((len(networks), len(found)))
    np.add.at(counts, tuple(np.array(pairs).T), 1)
    return [operator for _, operator in found.values()], counts


def simulated(count: int, seed: int) -> list[EdgeTPUDevice | SpatialDevice]:
    """Nine of ten are Edge TPUs, the others arrays; the first ones are the same whatever the count."""
    devices = []
    for i in range(count):
        rng = np.random.default_rng([seed, i])
        devices.append(
            perturbed_array(SPATIAL[i // 10 % len(SPATIAL)], rng) if i % 10 == 9 else perturbed_edge_tpu(rng)
        )
    return devices


def _noisy(latency_ms: NDArray[np.float64], seed: int) -> NDArray[np.float64]:
    noise = np.random.default_rng(seed).standard_t(4, size=latency_ms.shape)
    return latency_ms * np.exp(NOISE * noise)


def process(folder: Path, devices: int) -> Run:
    """A process of its own that reads, adapts, recommends and writes."""
    command = [sys.executable, "-W", "ignore", "-m", "benchmarks.fleet", "--worker", str(folder), str(devices)]
    found = subprocess.run(
        command, check=True, capture_output=True, text=True, env=os.environ | {"OMP_NUM_THREADS": "1"}
    )
    return Run(**json.loads(found.stdout.splitlines()[-1]))


def worker(folder: Path, devices: int) -> None:
    from nas_proxy.ranking.fleet_csv import fleet_csv, write_fleet

    wall, cpu = time.perf_counter(), time.process_time()
    fleet, space = fleet_csv(folder / f"fleet-{devices}.csv", folder / "proxy.csv", folder / "accuracy.csv")
    write_fleet(folder / f"recommended-{devices}.csv", fleet, space)
    wall, cpu = time.perf_counter() - wall, time.process_time() - cpu
    status = dict(line.split(":", 1) for line in Path("/proc/self/status").read_text().splitlines() if ":" in line)
    peak_gb = int(status["VmHWM"].split()[0]) * 1024 / 1e9
    doubtful = sum(map(bool, fleet.doubts))
    print(json.dumps(asdict(Run(devices, wall, cpu, peak_gb, len(fleet.shared), fleet.fewest, doubtful))))


def honesty(
    proxy: ProxyLatencyModel, table: LatencyTable, devices: Sequence[Any], cells: Sequence[Any], networks: Networks
) -> list[Honesty]:
    """Stated against true Kendall's tau of devices, the first of ``table``, on ``cells``."""
    from nas_proxy.ranking._fleet_monotonicity import assess_fleet, pairs_of
    from nas_proxy.ranking._fleet_posterior import fit_fleet
    from nas_proxy.ranking.target import unmeasured

    y = table.values_ms[:, : len(devices)].T
    posterior = fit_fleet(proxy.inputs(table.archs), y / y.mean(axis=1, keepdims=True), proxy.knowledge)
    stated = assess_fleet(posterior, pairs_of(proxy.inputs(unmeasured(proxy, table.archs))))
    predicted, unadapted = posterior.coefficients @ proxy.inputs(cells).matrix.T, proxy.predict(cells)
    found = []
    for i, device in enumerate(track(devices, "true rankings")):
        true = _noisy(networks.latency_ms(device), seed=1_000_000 + i)
        said = float(stated.kendall_tau[i]), float(stated.low[i]), float(stated.high[i])
        tau = kendall_tau(predicted[i], true), kendall_tau(unadapted, true)
        found.append(Honesty(table.devices[i], *said, *tau))
    return found


def _number(correlation: Any) -> float:
    return float(correlation.statistic)


def agreement(space: str, name: str) -> Agreement:
    """Published devices: the batch against one device at a time, 20 suggested samples each."""
    from nas_proxy.ranking._fleet_monotonicity import assess_fleet, pairs_of
    from nas_proxy.ranking._fleet_posterior import fit_fleet

    table = load_latencies("help", measurements("help", space))
    proxy = ProxyLatencyModel(space).fit(table.archs, table.latency_ms(name))
    chosen = proxy.suggest(table.archs, SAMPLES)
    rest, archs = np.setdiff1d(np.arange(len(table)), chosen), [table.archs[i] for i in chosen]
    devices = [device for device in table.devices if device != name]
    y = np.stack([table.latency_ms(device)[chosen] for device in devices])
    posterior = fit_fleet(proxy.inputs(archs), y / y.mean(axis=1, keepdims=True), proxy.knowledge)
    population = proxy.inputs(table.archs)[rest]
    stated, unadapted = assess_fleet(posterior, pairs_of(population)), proxy.predict(table.archs)[rest]
    rows = []
    for i, device in enumerate(track(devices, f"{space}, proxy {name}")):
        true, model = table.latency_ms(device)[rest], proxy.adapt(archs, y[i])
        single, batch = (population.matrix @ c for c in (model.posterior.coefficients, posterior.coefficients[i]))
        spearman = [_number(stats.spearmanr(values, true)) for values in (batch, single, unadapted)]
        stated_tau = float(stated.kendall_tau[i]), model.monotonicity.kendall_tau
        true_tau = [kendall_tau(values, true) for values in (batch, single)]
        rows.append([*spearman, *np.abs(np.subtract(stated_tau, true_tau))])
    means = np.mean(rows, axis=0)
    largest = float(np.abs(np.subtract(*np.array(rows).T[:2])).max())
    batch, single, plain, *errors = map(float, means)
    return Agreement(space, name, len(devices), batch, single, plain, largest, errors[0], errors[1])


def main(
    worker_: Annotated[bool, typer.Option("--worker", hidden=True)] = False,
    folder: Annotated[Path | None, typer.Argument(help="For the CSV files; measurements there are used again.")] = None,
    devices: Annotated[int, typer.Argument(help="At most.")] = SIZES[-1],
) -> None:
    if worker_ and folder is not None:
        worker(folder, devices)
        return
    with tempfile.TemporaryDirectory() as temporary:
        _benchmark(folder or Path(temporary), [size for size in SIZES if size <= devices])


def _benchmark(folder: Path, sizes: list[int]) -> None:
    console = Console()
    published = load_latencies("help", measurements("help", "nasbench201"))
    proxy_table = published.measured_on(PROXY)
    proxy = ProxyLatencyModel("nasbench201").fit(proxy_table.archs, proxy_table.latency_ms(PROXY))
    archs = [proxy_table.archs[i] for i in proxy.suggest(proxy_table.archs, SAMPLES)]
    fleet = simulated(sizes[-1], seed=0)
    table = _measured(folder / f"fleet-{sizes[-1]}.csv", archs, fleet)
    for size in sizes[:-1]:
        LatencyTable(table.space, table.archs, table.devices[:size], table.values_ms[:, :size]).to_csv(
            folder / f"fleet-{size}.csv"
        )
    proxy_table.to_csv(folder / "proxy.csv")
    accuracies = load_accuracies("nats-bench", measurements("nats-bench", "cifar100_perfmetrics.txt"))
    rows = zip(accuracies.archs, accuracies.accuracy, strict=True)
    lines = ["# space: nasbench201", "arch,accuracy", *(f"{arch},{value:.4f}" for arch, value in rows)]
    write_text(folder / "accuracy.csv", "\n".join(lines) + "\n")

    runs = [process(folder, size) for size in sizes]
    shown = Table(title="from CSV files to recommendations, two threads")
    for heading in ("devices", "wall [s]", "CPU [s]", "peak [GB]", "networks serve all", "at least", "doubtful"):
        shown.add_column(heading)
    for run in runs:
        numbers = f"{run.wall_s:.1f}", f"{run.cpu_s:.1f}", f"{run.peak_gb:.2f}", run.networks, run.fewest, run.doubtful
        shown.add_row(str(run.devices), *map(str, numbers))
    console.print(shown)

    space = get_space("nasbench201")
    cells = [cell for cell in space.sample(CELLS + SAMPLES, seed=1) if cell not in set(archs)][:CELLS]
    told = honesty(proxy, table, fleet[:CHECKED], cells, Networks(cells))
    true, stated, unadapted = (np.array([getattr(each, n) for each in told]) for n in ("true", "stated", "unadapted"))
    within = np.mean([each.low <= each.true <= each.high for each in told])
    console.print(
        f"{len(told)} simulated devices, {len(cells)} cells: true Kendall's tau {true.mean():.3f} on average, lowest "
        f"{true.min():.3f} (un-adapted {unadapted.mean():.3f}), stated {stated.mean():.3f}, off by "
        f"{np.abs(true - stated).mean():.3f}; {within:.0%} within the stated 90 % interval"
    )

    found = [agreement(space, name) for space in ("nasbench201", "fbnet") for name in ("pixel3", "1080ti_1")]
    shown = Table(title="published devices: mean Spearman, and error of the stated tau")
    for heading in ("space", "proxy", "fleet", "adapt()", "un-adapted", "largest difference", "tau off", "adapt() off"):
        shown.add_column(heading)
    for each in found:
        shown.add_row(each.space, each.proxy, *(f"{value:.4f}" for value in list(asdict(each).values())[3:]))
    console.print(shown)
    last = runs[-1]
    if last.wall_s > BUDGET_S or last.peak_gb > BUDGET_GB:
        console.print(f"[bold red]over budget[/]: at most {BUDGET_S} s and {BUDGET_GB} GB")
    if sizes[-1] == SIZES[-1]:
        results = {
            "runs": [asdict(run) for run in runs],
            "honesty": [asdict(each) for each in told],
            "agreement": [asdict(each) for each in found],
        }
        write_json(RESULTS / "fleet.json", results)


def _measured(path: Path, archs: Sequence[Any], fleet: Sequence[Any]) -> LatencyTable:
    """The fleet's measurements, simulated unless they are there."""
    if path.exists():
        return LatencyTable.from_csv(path)
    networks = Networks(archs)
    for device in [*fleet[:5], *fleet[9 : 10 * len(SPATIAL) : 10]]:
        networks.check(device)
    values = np.stack([networks.latency_ms(device) for device in track(fleet, "simulating")], axis=1)
    names = tuple(f"{device.name}-{i}" for i, device in enumerate(fleet))
    table = LatencyTable("nasbench201", tuple(archs), names, np.stack([
        _noisy(column, seed) for seed, column in enumerate(values.T)
    ], axis=1))  # fmt: skip
    table.to_csv(path)
    return LatencyTable.from_csv(path)


if __name__ == "__main__":
    typer.run(main)
