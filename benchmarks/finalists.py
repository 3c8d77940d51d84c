"""From 20 simulated samples to the network to ship: how well the adapted ranking chooses, and what it costs.

    python -m benchmarks.finalists           # what is missing is run, then the tables, into benchmarks/results

NAS-Bench-201, one image. The proxy is this machine under PyTorch (60 architectures measured once). Targets are
simulated. 340 further architectures, drawn at random, are evaluated on all of them: that is the truth. For each of
three seeds, 20 samples are suggested among 170 of them; the adapted model ranks the 320 others.

- tau: Kendall's, of predicted and true latencies of the 320.
- Choice: the fastest network at least as accurate as X (CIFAR-100, NATS-Bench), for X the 50th, 75th, 90th and 95th
  percentile of the 320. The ``k`` of least predicted latency are evaluated and the best of them is shipped; its regret
  is how much slower it is than the fastest such network. By the same rule: MACs, and the proxy as it is.
- Ablation: what rewriting, mapping and scheduling gain on ten of the networks so chosen.
- Cost: evaluations and processor seconds for 20 samples and ``k`` candidates, against all 15,625; with fresh caches,
  where each distinct layer is mapped once, and with all mappings known.

Everything is kept in ``runs/bench-finalists`` as soon as it is there; the benchmark goes on where it was stopped.
"""

from __future__ import annotations

import datetime
import json
import os
import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from rich.console import Console
from rich.progress import track
from rich.table import Table
from scipy import stats

from nas_proxy import ProxyLatencyModel, get_device, get_space, load_accuracies
from nas_proxy.cache import Records
from nas_proxy.devices import Device, measure
from nas_proxy.devices._machine import describe_machine
from nas_proxy.devices._progress import show_progress
from nas_proxy.files import write_json
from nas_proxy.finalists import FinalistTable, evaluate_finalists
from nas_proxy.graph import annotate, from_torch
from nas_proxy.ranking import pareto_front

DATA = Path(os.environ.get("NAS_PROXY_DATA", Path(__file__).parents[2] / "shared" / "data"))
RUNS = Path(__file__).parents[1] / "runs" / "bench-finalists"
RESULTS = Path(__file__).parent / "results" / "finalists.json"
SPACE = get_space("nasbench201")
TARGETS = ("eyeriss", "edge-array", "nvdla-large", "shidiannao", "simba", "tpu-v1", "edge-tpu")
ABLATED = ("eyeriss", "nvdla-large", "simba", "edge-tpu", "edge-tpu-x4")
POOL, SUBPOOL, SAMPLES, SEEDS = 340, 170, 20, range(3)
QUANTILES = (0.50, 0.75, 0.90, 0.95)
CANDIDATES = (1, 5, 10)
NETWORKS, PRICED = 10, 60
IN_FULL, CHECKED = 30, 10


def pool() -> list[str]:
    """Architectures that the proxy has not measured."""
    measured = set(SPACE.sample(60, seed=1))
    return [arch for arch in SPACE.sample(POOL + 60, seed=2) if arch not in measured][:POOL]


def proxy() -> ProxyLatencyModel:
    """This machine, measured once."""
    archs = SPACE.sample(60, seed=1)
    with show_progress("measuring the proxy") as on_progress:
        table = measure("host-torch", SPACE, archs, RUNS / "proxy-nasbench201.csv", on_progress=on_progress)
    rows = table.rows(archs)
    return ProxyLatencyModel(SPACE).fit(archs, table.latency_ms("host-torch")[rows])


# -- the truth ---------------------------------------------------------------------------------------------------------


def evaluate_all(archs: Sequence[str]) -> None:
    """All architectures on all targets; goes on where it was stopped.

    On these targets operators run one after the other, and the cells of a stage are alike: a network of five cells a
    stage takes five times what one of a single cell takes, less four times what is not cells (stem, reductions, head).
    That is the same for all architectures, follows from the first ones, which are evaluated in full, and must be the
    same to a millionth in all of these. Tracing a fifth of the network is most of what this saves.
    """
    known = Records(RUNS / "truth-nasbench201.jsonl")
    devices = [get_device(name).cached(RUNS / "cache") for name in TARGETS]
    for arch in track(archs[:IN_FULL], "in full"):
        if known.get(arch) is None:
            known.put(arch, _evaluated(SPACE, arch, devices))
    single = SPACE.with_parameters(cells=1)
    repeated = SPACE.parameters["cells"]
    outside: dict[str, float] = {}
    for number, arch in enumerate(track(archs, "by a cell a stage")):
        if number >= CHECKED and known.get(arch) is not None:
            continue
        row = _evaluated(single, arch, devices)
        if number < CHECKED:
            for name, value in _figures(row).items():
                found = (repeated * value - _figures(known.get(arch))[name]) / (repeated - 1)
                expected = outside.setdefault(name, found)
                assert abs(found - expected) <= 1e-6 * abs(expected), f"{name}: not a sum over cells"
        else:
            for name, value in _figures(row).items():
                total = repeated * value - (repeated - 1) * outside[name]
                row[name] = total if name == "macs" else {"latency_ms": total, "cpu_s": None, "mapped": False}
            known.put(arch, row | {"trace_s": None})


def _evaluated(space: Any, arch: str, devices: Sequence[Device]) -> dict[str, Any]:
    begun = time.process_time()
    graph = from_torch(space.build(arch), (1, *space.input_shape(arch)))
    row: dict[str, Any] = {"trace_s": time.process_time() - begun, "macs": annotate(graph).macs}
    for device in devices:
        spent, begun = getattr(device, "spent", 0), time.process_time()
        latency_ms = device.latency(graph).latency_ms
        taken = time.process_time() - begun
        fresh = getattr(device, "spent", 0) > spent  # then its time is that of mapping new layers
        row[device.name] = {"latency_ms": latency_ms, "cpu_s": taken, "mapped": fresh}
    return row


def _figures(row: dict[str, Any]) -> dict[str, float]:
    return {"macs": row["macs"], **{target: row[target]["latency_ms"] for target in TARGETS}}


@dataclass(frozen=True)
class Truth:
    """What is evaluated of the pool on one target; arrays are ``(n,)``.

    Attributes:
        archs, macs, latency_ms: of the networks.
        network_s: processor time for a network: median of tracing and of adding up what is mapped.
        mapping_s: processor time of mapping all distinct layers, once.
    """

    archs: tuple[str, ...]
    macs: NDArray[np.float64]
    latency_ms: NDArray[np.float64]
    network_s: float
    mapping_s: float


def truth_of(target: str, archs: Sequence[str]) -> Truth:
    """What there is."""
    known = Records(RUNS / "truth-nasbench201.jsonl")
    kept = [arch for arch in archs if known.get(arch) is not None]
    rows = [known.get(arch) for arch in kept]
    costs = [row[target] for row in rows]
    in_full = [(r["trace_s"], c) for r, c in zip(rows, costs, strict=True) if r["trace_s"] is not None]
    typical_s = float(np.median([c["cpu_s"] for _, c in in_full if not c["mapped"]]))
    return Truth(
        archs=tuple(kept),
        macs=np.array([row["macs"] for row in rows], dtype=float),
        latency_ms=np.array([cost["latency_ms"] for cost in costs]),
        network_s=float(np.median([trace_s for trace_s, _ in in_full])) + typical_s,
        mapping_s=float(sum(c["cpu_s"] - typical_s for _, c in in_full if c["mapped"])),
    )


# -- ranking and choice ------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Choice:
    """Regrets in percent of one rule on one target, by number of candidates evaluated, over quantiles and seeds."""

    target: str
    rule: str
    tau: tuple[float, ...]
    regret_percent: dict[int, list[float]]


def choices(target: str, truth: Truth, model: ProxyLatencyModel) -> list[Choice]:
    """Adapted model, MACs and the proxy as it is, on the networks that were no samples."""
    accuracy = load_accuracies("nats-bench", DATA / "nats-bench" / "cifar100_perfmetrics.txt").accuracy_of(truth.archs)
    found = {rule: Choice(target, rule, (), {k: [] for k in CANDIDATES}) for rule in ("adapted", "proxy", "MACs")}
    taus: dict[str, list[float]] = {rule: [] for rule in found}
    for seed in SEEDS:
        drawn = np.random.default_rng(seed).choice(len(truth.archs), min(SUBPOOL, len(truth.archs) // 2), replace=False)
        picked = drawn[model.suggest([truth.archs[i] for i in drawn], SAMPLES, seed)]
        others = np.setdiff1d(np.arange(len(truth.archs)), picked)
        archs = [truth.archs[i] for i in others]
        adapted = model.adapt([truth.archs[i] for i in picked], truth.latency_ms[picked])
        scores = {"adapted": adapted.predict(archs), "proxy": model.predict(archs), "MACs": truth.macs[others]}
        for rule, score in scores.items():
            taus[rule].append(float(stats.kendalltau(score, truth.latency_ms[others])[0]))  # pyright: ignore
            for k, regrets in found[rule].regret_percent.items():
                regrets += [
                    _regret(score, truth.latency_ms[others], accuracy[others], np.quantile(accuracy[others], q), k)
                    for q in QUANTILES
                ]
    return [Choice(c.target, c.rule, tuple(taus[c.rule]), c.regret_percent) for c in found.values()]


def _regret(score: NDArray, latency_ms: NDArray, accuracy: NDArray, least: float, k: int) -> float:
    """How much slower, in percent, the best of the ``k`` best-scored is than the best of all that are good enough."""
    enough = np.flatnonzero(accuracy >= least)
    candidates = enough[np.argsort(score[enough], kind="stable")[:k]]
    return 100 * (float(latency_ms[candidates].min() / latency_ms[enough].min()) - 1)


def cost(target: str, truth: Truth) -> list[dict[str, Any]]:
    """Evaluations and processor seconds of the samples and ``k`` candidates, against all architectures of the space."""
    network_s, rows = truth.network_s, []
    for k in CANDIDATES:
        ours, all_of_them = SAMPLES + k, SPACE.size
        fresh = ours * network_s + truth.mapping_s
        everything = all_of_them * network_s + truth.mapping_s
        rows.append(
            {
                "target": target,
                "candidates": k,
                "evaluations": ours,
                "times_fewer_than_the_space": round(all_of_them / ours, 1),
                "times_fewer_than_the_pool": round(len(truth.archs) / ours, 1),
                "cpu_s_fresh": round(fresh, 1),
                "cpu_s_cached": round(ours * network_s, 1),
                "cpu_s_everything_fresh": round(everything),
                "cpu_times_less_fresh": round(everything / fresh, 1),
                "cpu_times_less_cached": round(all_of_them / ours, 1),
                "mapping_s": round(truth.mapping_s, 1),
            }
        )
    return rows


# -- what each optimisation gains --------------------------------------------------------------------------------------


def optimise(archs: Sequence[str]) -> FinalistTable:
    """Those networks, optimised for each target."""
    with show_progress("finalists") as on_progress:
        settings: dict[str, Any] = {"rewriting_evaluations": PRICED, "cache": RUNS / "cache"}
        return evaluate_finalists(archs, ABLATED, space=SPACE, on_progress=on_progress, **settings)


def second_run(table: FinalistTable) -> dict[str, Any]:
    """Processor time of evaluating the same finalists anew, against that of the first time."""
    begun = time.process_time()
    assert optimise(table.archs) == table
    again_s, first_s = time.process_time() - begun, sum(finalist.cpu_s for finalist in table)
    figures = {"finalists": len(table), "first_cpu_s": round(first_s, 1), "second_cpu_s": round(again_s, 3)}
    return figures | {"times_less": round(first_s / again_s)}


def ablation(table: FinalistTable) -> list[dict[str, Any]]:
    """Latency, energy and throughput of each variant: means, and geometric means of the ratio to nothing."""
    rows = []
    for target in table.targets:
        finalists = table.of(target)
        for name in (variant.name for variant in finalists[0].variants):
            pairs = [(f.variant("nothing"), f.variant(name)) for f in finalists]
            row: dict[str, Any] = {"target": target, "variant": name, "networks": len(pairs)}
            for what in ("latency_ms", "energy_mj", "throughput_per_s"):
                values = [(getattr(a, what), getattr(b, what)) for a, b in pairs]
                if all(a and b for a, b in values):
                    row[what] = round(float(np.mean([b for _, b in values])), 4)
                    row[f"{what}_over_nothing"] = round(float(np.exp(np.mean([np.log(b / a) for a, b in values]))), 4)
            rows.append(row)
    return rows


def ablated(truth: Truth, model: ProxyLatencyModel) -> list[str]:
    """Ten networks worth shipping: the most accurate of the front of accuracy and proxy latency, then of the rest."""
    accuracy = load_accuracies("nats-bench", DATA / "nats-bench" / "cifar100_perfmetrics.txt").accuracy_of(truth.archs)
    front = list(pareto_front(accuracy, model.predict(truth.archs)))
    rest = [i for i in np.argsort(-accuracy, kind="stable") if i not in front]
    return [truth.archs[int(i)] for i in (*sorted(front, key=lambda i: -accuracy[i]), *rest)][:NETWORKS]


# -- all of it ---------------------------------------------------------------------------------------------------------


def main() -> None:
    archs, model = pool(), proxy()
    evaluate_all(archs)
    truths = {target: truth_of(target, archs) for target in TARGETS}
    chosen = [choice for target, truth in truths.items() for choice in choices(target, truth, model)]
    costs = [row for target, truth in truths.items() for row in cost(target, truth)]
    table = optimise(ablated(truths[TARGETS[0]], model))
    gains, repeated = ablation(table), second_run(table)
    results = {
        "date": datetime.date.today().isoformat(),
        "machine": describe_machine("torch"),
        "space": "nasbench201, 5 cells a stage, 32 x 32, one image",
        "pool": {target: len(truth.archs) for target, truth in truths.items()},
        "samples": SAMPLES,
        "seeds": len(SEEDS),
        "accuracy_quantiles": QUANTILES,
        "choice": [asdict(choice) | _summary(choice) for choice in chosen],
        "cost": costs,
        "ablation": gains,
        "second_run": repeated,
    }
    write_json(RESULTS, json.loads(json.dumps(results)))
    console = Console()
    for title, rows in (
        ("ranking and choice, median and worst over quantiles and seeds", [_choice_row(c) for c in chosen]),
        ("cost against evaluating all 15,625", costs),
        ("gains on ten networks: means, and geometric mean of the ratio to nothing", gains),
        ("the same finalists a second time", [repeated]),
    ):
        if rows:
            _show(console, title, rows)


def _summary(choice: Choice) -> dict[str, Any]:
    regrets = {str(k): np.array(values) for k, values in choice.regret_percent.items()}
    return {
        "tau_mean": round(float(np.mean(choice.tau)), 3),
        "regret_mean": {k: round(float(r.mean()), 2) for k, r in regrets.items()},
        "regret_worst": {k: round(float(r.max()), 2) for k, r in regrets.items()},
    }


def _choice_row(choice: Choice) -> dict[str, Any]:
    row: dict[str, Any] = {"target": choice.target, "by": choice.rule}
    row["tau"] = f"{np.mean(choice.tau):.3f} ({min(choice.tau):.3f} .. {max(choice.tau):.3f})"
    for k, regrets in choice.regret_percent.items():
        row[f"regret % of {k}: mean, worst"] = f"{np.mean(regrets):.2f}, {max(regrets):.2f}"
    return row


def _show(console: Console, title: str, rows: Sequence[dict[str, Any]]) -> None:
    table = Table(title=title)
    columns = list(dict.fromkeys(column for row in rows for column in row))
    for column in columns:
        table.add_column(column.replace("_", " "), justify="left" if column in ("target", "by", "variant") else "right")
    for row in rows:
        table.add_row(*(str(row.get(column, "")) for column in columns))
    console.print(table)


if __name__ == "__main__":
    main()
