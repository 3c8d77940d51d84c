"""Mappers at equal numbers of evaluations, on layers and accelerators for which Timeloop's own mapper was recorded.

    python -m benchmarks.mapping               # what is missing is run, then the tables are printed
    python -m benchmarks.mapping --report      # tables of what there is
    python -m benchmarks.mapping --methods marl genetic --seeds 3

Every run is kept in ``runs/mapping-benchmark`` by pair, objective, method and seed, so that the benchmark goes on where
it was stopped; seeds come in rounds, all methods one seed after the other. Every evaluation counts: random starts,
clustering, mappings that do not fit. Mappings already evaluated in the same run are recognised by all methods alike.
"""

from __future__ import annotations

import argparse
import json
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Literal, cast

import numpy as np
from numpy.typing import NDArray
from rich.console import Console
from rich.table import Table

from benchmarks.data import measurements
from benchmarks.golden import read_architectures, read_layer, read_mapping
from nas_proxy import extensions
from nas_proxy.devices import get_device
from nas_proxy.files import write_bytes, write_json, write_text
from nas_proxy.mapping import CostModel, Layer, Problem, map_problem, parse_layer
from nas_proxy.mapping.device import SpatialDevice, SpatialResult
from nas_proxy.mapping.mappers import Mapper
from nas_proxy.mapping.mappers.marl import MarlMapper, without_critic
from nas_proxy.mapping.mappers.policy_gradient import PolicyGradientMapper
from nas_proxy.mapping.problem import Objective

RUNS = Path(__file__).parents[1] / "runs" / "mapping-benchmark"
RESULTS = Path(__file__).parent / "results" / "mapping.json"
MARKS = (100, 300, 1_000, 10_000)
PAIRS = (  # the first ones vary most: slow methods run on them alone
    ("eyeriss_like", "resnet50_conv2_1x1"),
    ("small_edge", "mbv2_dw3x3_s1"),
    ("tpu_like", "resnet18_conv2_3x3"),
    ("eyeriss_like", "fc_4096x1000"),
    ("small_edge", "resnet18_conv3_3x3_n4"),
    ("eyeriss_like", "alexnet_conv2_5x5"),
    ("eyeriss_like", "vgg16_conv2_1"),
    ("eyeriss_like", "mbv2_dw3x3_s1"),
    ("eyeriss_like", "mbv2_pw_expand"),
    ("small_edge", "resnet50_conv2_1x1"),
    ("small_edge", "nb201_c16_32x32_3x3"),
    ("tpu_like", "resnet18_conv5_3x3"),
)


@dataclass(frozen=True)
class Method:
    """A mapper and what it may spend: evaluations, seeds by objective, the first so many of the pairs."""

    make: Callable[[], Mapper]
    budget: int
    seeds: dict[str, int]
    pairs: int = len(PAIRS)
    group: Literal["compared", "ablation", "best known"] = "compared"


def _compared(name: str, budget: int, edp: int, latency: int, pairs: int = len(PAIRS)) -> Method:
    return Method(partial(extensions.get, "mappers", name), budget, {"edp": edp, "latency": latency}, pairs)


def _ablation(make: Callable[[], Mapper], budget: int) -> Method:
    return Method(make, budget, {"edp": 5}, group="ablation")


METHODS = {
    "marl": _compared("marl", 1_000, 10, 10),
    "genetic-with-critic": _compared("genetic-with-critic", 1_000, 10, 10),
    "genetic, budget 1,000": _compared("genetic", 1_000, 10, 10),
    "genetic": _compared("genetic", 10_000, 10, 10),
    "random": _compared("random", 10_000, 10, 10),
    "marl-without-critic": _compared("marl-without-critic", 10_000, 10, 10),
    "policy-gradient": _compared("policy-gradient", 10_000, 5, 5),
    "cma-es": _compared("cma-es", 10_000, 3, 3),
    "long run": Method(without_critic, 50_000, {"edp": 1, "latency": 1}, group="best known"),
    "ppo": _compared("ppo", 10_000, 1, 1, pairs=4),
    "ppo-archgym": _compared("ppo-archgym", 10_000, 1, 1, pairs=4),
    "ppo-masked, budget 1,000": _compared("ppo-masked", 1_000, 1, 1, pairs=4),
    "ppo-masked": _compared("ppo-masked", 10_000, 1, 1, pairs=3),
    "agents: random clusters": _ablation(partial(without_critic, clusters="random"), 1_000),
    "agents: linkage clusters": _ablation(partial(without_critic, clusters="linkage"), 1_000),
    "agents: no clusters": _ablation(partial(without_critic, clusters="none"), 1_000),
    "agents: no elite pool": _ablation(partial(without_critic, elite=1), 1_000),
    "agents: no masks": _ablation(partial(without_critic, masked=False), 1_000),
    "critic: random clusters": _ablation(partial(MarlMapper, clusters="random"), 300),
    "critic: linkage clusters": _ablation(partial(MarlMapper, clusters="linkage"), 300),
    "critic: no clusters": _ablation(partial(MarlMapper, clusters="none"), 300),
    "gradient: random clusters": _ablation(partial(PolicyGradientMapper, clusters="random"), 1_000),
    "gradient: one agent": _ablation(partial(PolicyGradientMapper, clusters="none"), 1_000),
    "gradient: one per parameter": _ablation(partial(PolicyGradientMapper, clusters="each"), 1_000),
}
OBJECTIVES: tuple[Objective, ...] = ("edp", "latency")


@dataclass(frozen=True)
class Run:
    """One search: best value after each evaluation, and the CPU time it took."""

    history: NDArray[np.float64]
    cpu_s: float
    wall_s: float


class Store:
    """All runs, on disk, by (pair, objective, method, seed)."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.accelerators = read_architectures(measurements("timeloop", "architectures.json"))
        self.layers: dict[str, Layer] = {}
        self.timeloop: dict[tuple[tuple[str, str], Objective], list[tuple[int, float]]] = {}
        for line in measurements("timeloop", "timeloop_mapper_dev.jsonl").read_text().splitlines():
            record = json.loads(line)
            layer, arch = read_layer(record["layer"]), record["arch"]
            self.layers[layer.name] = layer
            mapping = read_mapping(record["mapping"], bool(record["layer"].get("depthwise")))
            costs = CostModel(layer, self.accelerators[arch]).evaluate(mapping)
            objective: Objective = "edp" if record["mapper"]["metric"] == "edp" else "latency"
            value = float(np.log(costs.edp[0] if objective == "edp" else costs.cycles[0]))
            found = self.timeloop.setdefault(((arch, layer.name), objective), [])
            found.append((record["mapper"]["valid_evaluated"], value))

    def path(self, pair: tuple[str, str], objective: str, method: str, seed: int) -> Path:
        name = method.replace(" ", "_").replace(":", "").replace(",", "")
        return self.folder / objective / f"{pair[0]}-{pair[1]}" / f"{name}-{seed}.npy"

    def run(self, pair: tuple[str, str], objective: Objective, method: str, seed: int) -> None:
        """Run it, unless it has been."""
        path = self.path(pair, objective, method, seed)
        if path.exists():
            return
        setting = METHODS[method]
        mapper = setting.make()
        problem = Problem(self.layers[pair[1]], self.accelerators[pair[0]], objective, budget=setting.budget)
        cpu, wall = time.process_time(), time.perf_counter()
        history = map_problem(problem, mapper, seed).history
        record = np.concatenate([[time.process_time() - cpu, time.perf_counter() - wall], history])
        write_bytes(path, record.tobytes())

    def get(self, pair: tuple[str, str], objective: str, method: str) -> list[Run]:
        """All runs there are, in the order of seeds."""
        runs = []
        for seed in range(METHODS[method].seeds.get(objective, 0)):
            path = self.path(pair, objective, method, seed)
            if path.exists():
                record = np.frombuffer(path.read_bytes())
                runs.append(Run(record[2:], record[0], record[1]))
        return runs

    def best(self, pair: tuple[str, str], objective: Objective) -> float:
        """The best value that any run, or Timeloop's mapper, has found."""
        values = [run.history[-1] for method in METHODS for run in self.get(pair, objective, method)]
        return min([*values, *(value for _, value in self.timeloop.get((pair, objective), ()))])


def ratios(store: Store, objective: Objective, method: str, mark: int) -> dict[tuple[str, str], float]:
    """Logarithm of value over best known, averaged over seeds, by pair; pairs without a run of that length left out."""
    found = {}
    for pair in PAIRS:
        values = [run.history[mark - 1] for run in store.get(pair, objective, method) if mark <= len(run.history)]
        if values:
            found[pair] = float(np.mean(values)) - store.best(pair, objective)
    return found


def interval(store: Store, objective: Objective, method: str, mark: int) -> tuple[float, float]:
    """95 % interval of the geometric mean, by drawing seeds anew within each pair."""
    rng = np.random.default_rng(0)
    pairs = ratios(store, objective, method, mark)
    means = np.zeros(1000)
    for pair in pairs:
        values = np.array([run.history[mark - 1] for run in store.get(pair, objective, method)])
        means += values[rng.integers(len(values), size=(1000, len(values)))].mean(axis=1) - store.best(pair, objective)
    low, high = np.quantile(np.exp(means / len(pairs)), [0.025, 0.975])
    return float(low), float(high)


def samples_to_reach(histories: Iterable[NDArray[np.float64]], value: float) -> list[float]:
    """Evaluations each history needs to reach a value; infinite where it does not."""
    return [float(np.argmax(h <= value + 1e-9)) + 1 if h[-1] <= value + 1e-9 else np.inf for h in histories]


def quality(store: Store, objective: Objective) -> dict[str, dict[str, float | list[float]]]:
    """Geometric mean over best known, with interval, of every method at every mark; pairs and seeds it ran on."""
    table: dict[str, dict[str, float | list[float]]] = {}
    for method in METHODS:
        counts = [len(runs) for pair in PAIRS if (runs := store.get(pair, objective, method))]
        if not counts:
            continue
        table[method] = {"pairs": len(counts), "seeds": min(counts)}
        for mark in MARKS:
            if found := ratios(store, objective, method, mark):
                mean = float(np.exp(np.mean(list(found.values()))))
                spread = interval(store, objective, method, mark) if min(counts) > 1 else ()
                table[method][str(mark)] = [mean, *spread]
    return table


def by_pair(store: Store, objective: Objective) -> dict[str, dict[str, list[float]]]:
    """Ratio to the best known on each pair at 100, 300 and 1,000, of the mappers that must be below one another."""
    table: dict[str, dict[str, list[float]]] = {}
    for method in ("marl", "genetic-with-critic", "genetic, budget 1,000", "marl-without-critic"):
        found = [ratios(store, objective, method, mark) for mark in MARKS[:3]]
        for pair in found[0]:
            table.setdefault(" ".join(pair), {})[method] = [float(np.exp(f[pair])) for f in found]
    return table


def advantage(store: Store, objective: Objective) -> dict[str, dict[str, list[float]]]:
    """A baseline over marl (at 10,000: without critic) at equal evaluations: mean over pairs, least, most."""
    table: dict[str, dict[str, list[float]]] = {}
    for method, setting in METHODS.items():
        if setting.group != "compared" or method.startswith("marl"):
            continue
        for mark in MARKS:
            ours = ratios(store, objective, "marl" if mark <= METHODS["marl"].budget else "marl-without-critic", mark)
            theirs = ratios(store, objective, method, mark)
            if both := [np.exp(theirs[pair] - ours[pair]) for pair in theirs if pair in ours]:
                row = [_geometric_mean(both), float(min(both)), float(max(both))]
                table.setdefault(method, {})[str(mark)] = row
    return table


def _geometric_mean(values: list[float]) -> float:
    return float(np.exp(np.mean(np.log(values))))


def sample_ratios(store: Store, objective: Objective) -> dict[str, dict[str, float | list[float]]]:
    """How many times fewer evaluations marl needs to reach what a baseline has after 1,000 and 10,000.

    Median over marl's seeds, geometric mean over pairs; a pair on which marl does not get there within its 1,000 counts
    as no gain (1). "from its last progress" counts a baseline's evaluations only up to where it last got better: what
    it spent in vain afterwards is no merit of marl.
    """
    table: dict[str, dict[str, float | list[float]]] = {}
    for method, setting in METHODS.items():
        if setting.group != "compared" or method.startswith("marl"):
            continue
        for mark in MARKS[2:]:
            gains, strict = [], []
            for pair, target in ratios(store, objective, method, mark).items():
                histories = [run.history - store.best(pair, objective) for run in store.get(pair, objective, "marl")]
                if not histories:
                    continue
                needed = float(np.median(samples_to_reach(histories, target)))
                runs = [run.history[:mark] for run in store.get(pair, objective, method)]
                progress = float(np.median([samples_to_reach([h], h[-1])[0] for h in runs]))
                gains.append(mark / needed if np.isfinite(needed) else 1.0)
                strict.append(progress / needed if np.isfinite(needed) else 1.0)
            if gains:
                row = table.setdefault(method, {"pairs": len(gains)})
                row[str(mark)] = [_geometric_mean(gains), float(min(gains)), float(max(gains))]
                row[f"{mark}, from its last progress"] = _geometric_mean(strict)
    return table


def against_timeloop(store: Store) -> dict[str, dict[str, float]]:
    """Median evaluations of marl to reach the best of Timeloop's mapper, by pair and valid evaluations it spent."""
    table: dict[str, dict[str, float]] = {}
    for (pair, objective), found in store.timeloop.items():
        histories = [run.history for run in store.get(pair, objective, "marl")]
        if pair not in PAIRS or not histories:
            continue
        best: dict[str, float] = {}  # of both its algorithms
        for spent, value in found:
            for budget in (1_000, 10_000, 100_000):
                if spent <= budget and max(s for s, _ in found) > budget / 10:
                    best[str(budget)] = min(value, best.get(str(budget), np.inf))
        table[f"{pair[0]} {pair[1]} {objective}"] = {
            budget: float(np.median(samples_to_reach(histories, value))) for budget, value in best.items()
        }
    return table


def cost_of_search(store: Store) -> dict[str, dict[str, float]]:
    """CPU and wall seconds per 1,000 evaluations."""
    table = {}
    for method in METHODS:
        if runs := [run for pair in PAIRS for run in store.get(pair, "edp", method)]:
            evaluations = sum(len(run.history) for run in runs) / 1000
            table[method] = {
                "cpu_s": sum(run.cpu_s for run in runs) / evaluations,
                "wall_s": sum(run.wall_s for run in runs) / evaluations,
            }
    return table


def throughput(store: Store) -> dict[str, float]:
    """Mappings per CPU second on one core, by batch size (conv, three levels, physical counting)."""
    layer, accelerator = store.layers["vgg16_conv2_1"], store.accelerators["eyeriss_like"]
    problem = Problem(layer, accelerator, budget=1)
    table = {}
    for batch in (1, 16, 128, 1024, 8192):
        mappings = problem.space.mappings(problem.space.sample(np.random.default_rng(0), batch))
        problem.model.evaluate(mappings)
        rates = []
        for _ in range(5):
            start, count = time.process_time(), 0
            while time.process_time() - start < 0.2:
                problem.model.evaluate(mappings)
                count += batch
            rates.append(count / (time.process_time() - start))
        table[str(batch)] = float(np.median(rates))
    return table


def networks(kept: Path) -> dict[str, dict[str, float]]:
    """Whole networks: CPU time to map them, and EDP against a search twenty times as long; kept one by one.

    ``1x`` is the devices' own budget; ``4x`` still takes less than a minute on two cores.
    """
    import timm

    from nas_proxy.graph import from_torch

    table = json.loads(kept.read_text()) if kept.exists() else {}
    cases = (
        ("mobilenetv2_100", "eyeriss"),
        ("resnet50", "tpu-v1"),
        ("mobilenetv2_100", "tpu-v1"),
        ("resnet50", "eyeriss"),
    )
    for factor in (1, 20, 4):
        for network, name in cases:
            row = table.setdefault(f"{network} on {name}", {})
            if f"cpu_s, {factor}x" in row:
                continue
            graph = from_torch(timm.create_model(network).eval(), (1, 3, 224, 224))
            found = get_device(name)
            device = found.configured(evaluations=factor * found.settings()["evaluations"])
            cpu = time.process_time()
            result = device.latency(graph)
            row[f"cpu_s, {factor}x"] = time.process_time() - cpu
            assert isinstance(result, SpatialResult)
            assert result.energy_mj is not None
            edp = result.latency_ms * result.energy_mj
            row[f"EDP, {factor}x"] = edp
            if factor == 1:
                row["layers"] = len({o.layer for o in result.operators if o.layer is not None})
                row |= {"latency_ms": result.latency_ms, "energy_mj": result.energy_mj}
                row |= {"utilization": result.utilization}
            write_json(kept, table)
    for row in table.values():
        row |= {f"{n}x over 20x": row[f"EDP, {n}x"] / row["EDP, 20x"] for n in (1, 4)}
    write_json(kept, table)
    return table


def silicon() -> dict[str, dict[str, float]]:
    """Convolutions of AlexNet (4 frames) and VGG-16 (3 frames) on eyeriss, beside the chip (Chen et al., JSSC 2017)."""
    alexnet = ["96x3x55x55x11x11,stride=4", "256x96x27x27x5x5,groups=2", "384x256x13x13x3x3"]
    alexnet += ["384x384x13x13x3x3,groups=2", "256x384x13x13x3x3,groups=2"]
    sizes = [(64, 3, 224), (64, 64, 224), (128, 64, 112), (128, 128, 112), (256, 128, 56), *[(256, 256, 56)] * 2]
    sizes += [(512, 256, 28), *[(512, 512, 28)] * 2, *[(512, 512, 14)] * 3]
    vgg = [f"{k}x{c}x{size}x{size}x3x3" for k, c, size in sizes]
    device, table = cast(SpatialDevice, get_device("eyeriss")), {}
    for name, layers, frames, fps, chip_mw in (("AlexNet", alexnet, 4, 34.7, 278), ("VGG-16", vgg, 3, 0.7, 236)):
        found = device.latency([parse_layer(f"conv:{text},batch={frames}") for text in layers])
        on_chip_mj = sum(
            (o.energy_pj - result.costs.energy_parts_pj[0, 3]) * 1e-9
            for o in found.operators
            if o.layer is not None and (result := device.mapping(o.layer))
        )
        table[name] = {
            "frames_per_s": frames / found.latency_ms * 1e3,
            "chip_frames_per_s": fps,
            "on_chip_mw": on_chip_mj / found.latency_ms * 1e3,
            "chip_mw": chip_mw,
            "utilization": found.utilization,
        }
    return table


def curves(store: Store) -> str:
    """Every run as a line of CSV: the natural logarithm of its best value after so many evaluations."""
    marks = (30, 100, 300, 1_000, 3_000, 10_000)
    lines = ["objective,architecture,layer,method,seed,cpu_s," + ",".join(map(str, marks))]
    for objective in OBJECTIVES:
        for method in METHODS:
            for pair in PAIRS:
                for seed, run in enumerate(store.get(pair, objective, method)):
                    cells = [f"{run.history[mark - 1]:.5f}" if mark <= len(run.history) else "" for mark in marks]
                    name = method.replace(",", "")
                    lines.append(",".join([objective, *pair, name, str(seed), f"{run.cpu_s:.3f}", *cells]))
    return "\n".join(lines) + "\n"


def show(title: str, table: dict) -> None:
    """Print a table of rows of named numbers (or lists of them)."""
    if not table:
        return
    columns = list(dict.fromkeys(key for row in table.values() for key in row))
    shown = Table(title=title, title_justify="left")
    for column in ("", *columns):
        shown.add_column(column, justify="right" if column else "left")
    for name, row in table.items():
        cells = [row.get(column) for column in columns]
        shown.add_row(name, *("" if c is None else " ".join(f"{v:.4g}" for v in np.atleast_1d(c)) for c in cells))
    Console(width=200).print(shown)


def main() -> None:
    """Run what is missing, then report."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--report", action="store_true", help="run nothing")
    parser.add_argument("--methods", nargs="+", default=list(METHODS), choices=list(METHODS))
    parser.add_argument("--objectives", nargs="+", default=list(OBJECTIVES), choices=list(OBJECTIVES))
    parser.add_argument("--seeds", type=int, default=10, help="at most so many seeds of each method")
    parser.add_argument("--networks", action="store_true", help="only map whole networks, then report")
    arguments = parser.parse_args()
    store = Store(RUNS)
    results = json.loads(RESULTS.read_text()) if RESULTS.exists() else {}
    for seed in range(0 if arguments.report or arguments.networks else arguments.seeds):
        for objective in arguments.objectives:
            for method in arguments.methods:
                setting = METHODS[method]
                for pair in PAIRS[: setting.pairs] if seed < setting.seeds.get(objective, 0) else ():
                    store.run(pair, objective, method, seed)
    for objective in OBJECTIVES:
        results[f"{objective}: over the best known"] = quality(store, objective)
        results[f"{objective}: by pair, at 100 300 1,000"] = by_pair(store, objective)
        results[f"{objective}: baseline over marl at equal evaluations: mean, least, most"] = advantage(
            store, objective
        )
        results[f"{objective}: times fewer evaluations: mean, least, most"] = sample_ratios(store, objective)
    results["evaluations to reach Timeloop's mapper"] = against_timeloop(store)
    results["seconds per 1,000 evaluations"] = cost_of_search(store)
    if (RUNS / "networks.json").exists():
        results["whole networks"] = json.loads((RUNS / "networks.json").read_text())
    if not arguments.report:
        results["mappings per CPU second by batch"] = {"cost model": throughput(store)}
        results["whole networks"] = networks(RUNS / "networks.json")
        results["Eyeriss, convolutions only"] = silicon()
    for title, table in results.items():
        show(title, table)
    write_json(RESULTS, json.loads(json.dumps(results).replace("Infinity", "null")))
    write_text(RESULTS.with_name("mapping_curves.csv"), curves(store))


if __name__ == "__main__":
    main()
