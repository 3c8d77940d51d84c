"""From 20 simulated samples to the network to ship: how well the adapted ranking chooses, and what it costs.

    python -m benchmarks.finalists           # what is missing is run, then the tables, into benchmarks/results

NAS-Bench-201, and the Once-for-All family of MobileNetV3 at two image sizes; one image. The proxy is this machine under
PyTorch (60 architectures measured once). Targets are simulated. Further architectures, drawn at random (340 and 320),
are evaluated on all of them: that is the truth. For each of three seeds, 20 samples are suggested among half of them;
the adapted model ranks the others (320 and 300).

- tau: Kendall's, of predicted and true latencies of the others. Of a pipeline both the latency is ranked, as
  ``nas-proxy run`` does, and the interval between results, the time of its slowest stage.
- Choice: the fastest network with enough, for enough the 50th, 75th, 90th and 95th percentile of the others, of
  CIFAR-100 accuracy (NATS-Bench). For MobileNetV3 there is no such table; instead, of each of 20 random utilities that
  grow with kernels, expansions, depth and image (:func:`benchmarks._finalists_truth.utilities`). The ``k`` of least
  predicted latency are evaluated and the best of them is shipped; its regret is how much slower it is than the fastest
  such network. By the same rule: MACs, and the proxy as it is.
- Ablation: what rewriting, mapping and scheduling gain on ten of the networks so chosen.
- Cost: evaluations and processor seconds for 20 samples and ``k`` candidates, against all 15,625 cells, and 10,000
  networks, which stand for MobileNetV3's 10^19; with fresh caches, where each distinct layer of the pool is mapped
  once, and with all mappings known.

Everything is kept in ``runs/bench-finalists`` as soon as it is there; the benchmark goes on where it was stopped.
"""

from __future__ import annotations

import datetime
import json
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from rich.console import Console
from rich.table import Table

from benchmarks._finalists_truth import RUNS, STUDIES, Study, Truth, evaluate_all, proxy, truth_of
from nas_proxy import ProxyLatencyModel
from nas_proxy.devices._machine import describe_machine
from nas_proxy.files import write_json
from nas_proxy.finalists import FinalistTable, evaluate_finalists
from nas_proxy.ranking import pareto_front
from nas_proxy.ranking.kendall import kendall_tau
from nas_proxy.terminal.console import Terminal

RESULTS = Path(__file__).parent / "results" / "finalists.json"
SAMPLES, SEEDS = 20, range(3)
QUANTILES = (0.50, 0.75, 0.90, 0.95)
CANDIDATES = (1, 5, 10)
NETWORKS, PRICED = 10, 60


# -- ranking and choice ------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Choice:
    """Regrets in percent of one rule on one target, by number of candidates evaluated: criteria, quantiles, seeds."""

    target: str
    rule: str
    tau: tuple[float, ...]
    regret_percent: dict[int, list[float]]


def choices(study: Study, target: str, truth: Truth, model: ProxyLatencyModel) -> list[Choice]:
    """By latency, and by the interval between results where the target is a pipeline."""
    found = _choices(study, target, truth, truth.latency_ms, model)
    if truth.interval_ms is not None:
        found += _choices(study, f"{target}, interval", truth, truth.interval_ms, model)
    return found


def _choices(study: Study, name: str, truth: Truth, wanted_ms: NDArray, model: ProxyLatencyModel) -> list[Choice]:
    """Adapted model, MACs and the proxy as it is, on the networks that were no samples."""
    criteria, networks = study.criteria(study.space, truth.archs), study.networks(truth.archs)
    found = {rule: Choice(name, rule, (), {k: [] for k in CANDIDATES}) for rule in ("adapted", "proxy", "MACs")}
    taus: dict[str, list[float]] = {rule: [] for rule in found}
    for seed in SEEDS:
        drawn = np.random.default_rng(seed).choice(len(networks), len(networks) // 2, replace=False)
        picked = drawn[model.suggest([networks[i] for i in drawn], SAMPLES, seed)]
        others = np.setdiff1d(np.arange(len(networks)), picked)
        archs = [networks[i] for i in others]
        adapted = model.adapt([networks[i] for i in picked], wanted_ms[picked])
        scores = {"adapted": adapted.predict(archs), "proxy": model.predict(archs), "MACs": truth.macs[others]}
        for rule, score in scores.items():
            taus[rule].append(kendall_tau(score, wanted_ms[others]))
            for k, regrets in found[rule].regret_percent.items():
                regrets += [
                    _regret(score, wanted_ms[others], criterion, np.quantile(criterion, q), k)
                    for criterion in criteria[:, others]
                    for q in QUANTILES
                ]
    return [Choice(c.target, c.rule, tuple(taus[c.rule]), c.regret_percent) for c in found.values()]


def _regret(score: NDArray, latency_ms: NDArray, criterion: NDArray, least: float, k: int) -> float:
    """How much slower, in percent, the best of the ``k`` best-scored is than the best of all that have enough."""
    enough = np.flatnonzero(criterion >= least)
    candidates = enough[np.argsort(score[enough], kind="stable")[:k]]
    return 100 * (float(latency_ms[candidates].min() / latency_ms[enough].min()) - 1)


def cost(study: Study, target: str, truth: Truth) -> list[dict[str, Any]]:
    """Evaluations and processor seconds of the samples and ``k`` candidates, against all architectures of the space."""
    network_s, rows = truth.network_s, []
    for k in CANDIDATES:
        ours, all_of_them = SAMPLES + k, study.everything
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


def optimise(study: Study, archs: Sequence[str]) -> FinalistTable:
    """Those networks, optimised for each target."""
    with Terminal().progress("finalists") as on_progress:
        settings: dict[str, Any] = {"rewriting_evaluations": PRICED, "cache": RUNS / "cache"}
        networks = study.networks(archs)
        return evaluate_finalists(networks, study.ablated, space=study.space, on_progress=on_progress, **settings)


def second_run(study: Study, table: FinalistTable) -> dict[str, Any]:
    """Processor time of evaluating the same finalists anew, against that of the first time."""
    begun = time.process_time()
    assert optimise(study, table.archs) == table
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


def ablated(study: Study, truth: Truth, model: ProxyLatencyModel) -> list[str]:
    """Ten networks worth shipping: the most accurate of the front of accuracy and proxy latency, then of the rest.

    Where there are several criteria, their mean stands for accuracy.
    """
    accuracy = study.criteria(study.space, truth.archs).mean(axis=0)
    front = list(pareto_front(accuracy, model.predict(study.networks(truth.archs))))
    rest = [i for i in np.argsort(-accuracy, kind="stable") if i not in front]
    return [truth.archs[int(i)] for i in (*sorted(front, key=lambda i: -accuracy[i]), *rest)][:NETWORKS]


# -- all of it ---------------------------------------------------------------------------------------------------------


def results_of(study: Study, console: Console) -> dict[str, Any]:
    """One space: run what is missing, show the tables."""
    model = proxy(study)
    evaluate_all(study)
    truths = {target: truth_of(study, target) for target in study.targets}
    chosen = [choice for target, truth in truths.items() for choice in choices(study, target, truth, model)]
    costs = [row for target, truth in truths.items() for row in cost(study, target, truth)]
    table = optimise(study, ablated(study, truths[study.targets[0]], model))
    gains, repeated = ablation(table), second_run(study, table)
    for title, rows in (
        ("ranking and choice: mean and worst regret over criteria, quantiles and seeds", map(_choice_row, chosen)),
        (f"cost against evaluating {study.everything:,}", costs),
        ("gains on ten networks: means, and geometric mean of the ratio to nothing", gains),
        ("the same finalists a second time", [repeated]),
    ):
        _show(console, f"{study.space.name}: {title}", list(rows))
    return {
        "setting": study.setting,
        "pool": {target: len(truth.archs) for target, truth in truths.items()},
        "choice": [_summary(choice) for choice in chosen],
        "cost": costs,
        "ablation": gains,
        "second_run": repeated,
    }


def main() -> None:
    console = Console()
    results = {
        "date": datetime.date.today().isoformat(),
        "machine": describe_machine("torch"),
        "samples": SAMPLES,
        "seeds": len(SEEDS),
        "quantiles": QUANTILES,
        "spaces": {study.space.name: results_of(study, console) for study in STUDIES},
    }
    write_json(RESULTS, json.loads(json.dumps(results)))


def _summary(choice: Choice) -> dict[str, Any]:
    regrets = {str(k): np.array(values) for k, values in choice.regret_percent.items()}
    return {
        "target": choice.target,
        "rule": choice.rule,
        "tau": [round(tau, 4) for tau in choice.tau],
        "tau_mean": round(float(np.mean(choice.tau)), 3),
        "regret_mean": {k: round(float(r.mean()), 2) for k, r in regrets.items()},
        "regret_worst": {k: round(float(r.max()), 2) for k, r in regrets.items()},
        "regret_at_most_2_percent": {k: round(float((r <= 2).mean()), 3) for k, r in regrets.items()},
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
