"""Ranking architectures on a new device from 20 or 10 of its measurements and one measured proxy device.

    python -m benchmarks.ranking                 # the ten published device sets, into benchmarks/results/ranking.json
    python -m benchmarks.ranking --hold-out      # each pool's devices in turn as targets: what constants are chosen on

Protocol. For each set, target and seed: a device of the pool (the seeds take turns) suggests which architectures to
measure; from those measurements alone `select_proxy` chooses one device of the pool, whose model is adapted; it is
scored on all architectures that were not measured. Every method sees the same measurements and, where it needs one,
the same proxy. The spread is the standard deviation over seeds of the set's mean.

Constants. None was chosen on test devices. Student-t noise with 4 degrees of freedom and at most two slabs are
conventional choices; the prior's grids are wide, a factor of ten apart, and averaged by evidence. The design's noise,
the share of the choices' indicators, the slabs' variances and how the proxy's residual counts were picked from a few
values each by `--hold-out`, where the mean Spearman over sets moved by less than 0.006 between neighbouring values.
AdaProxy's penalty is chosen anew for each target, by its own leave-one-out error. "in log" is the same model of
log-latency, of the proxy as of the target.
"""

from __future__ import annotations

import time
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
from nas_proxy import LatencyTable, ProxyLatencyModel, get_space, load_latencies, select_proxy
from nas_proxy.files import write_json
from nas_proxy.ranking.kendall import kendall_tau

RESULTS = Path(__file__).parent / "results"
SAMPLES = (20, 10)
METHODS = ("adapted", "adapted, random samples", "adapted, in log", "adaproxy", "un-adapted proxy", "FLOPs")
FLOPS = {"nasbench201": "executed_macs", "fbnet": "macs"}
BUDGET_MS = 30


@dataclass(frozen=True)
class DeviceSet:
    """A pool of measured devices, test devices, and the published mean Spearman with 20 samples."""

    name: str
    space: str
    pool: tuple[str, ...]
    test: tuple[str, ...]
    help_: float
    multipredict: float
    nasflat: float


def _set(name: str, space: str, pool: str, test: str, *published: float) -> DeviceSet:
    return DeviceSet(name, space, tuple(pool.split()), tuple(test.split()), *published)


_MIXED = "silver_4114 silver_4210r samsung_a50 pixel3 essential_ph_1 samsung_s7"
_GPUS = " ".join(
    f"{gpu}_{batch}" for gpu in ("1080ti", "2080ti", "titan_rtx", "titanx", "titanxp") for batch in (1, 32, 64)
)
SETS = (
    _set("ND", "nasbench201", f"1080ti_1 1080ti_32 1080ti_256 {_MIXED}",
         "titan_rtx_256 gold_6226 fpga pixel2 raspi4 eyeriss", 0.948, 0.930, 0.959),
    _set("N1", "nasbench201", "eyeriss pixel3", "1080ti_1 titan_rtx_32 titanxp_1 2080ti_32 titan_rtx_1",
         0.410, 0.820, 0.893),
    _set("N3", "nasbench201", "eyeriss", "1080ti_1 2080ti_1 titanxp_1 2080ti_32 titanxp_32", 0.509, 0.757, 0.857),
    _set("N4", "nasbench201", "eyeriss pixel2", "1080ti_1 2080ti_1 titan_rtx_1", 0.729, 0.947, 0.962),
    _set("FD", "fbnet", f"1080ti_1 1080ti_32 1080ti_64 {_MIXED}", "fpga raspi4 eyeriss", 0.910, 0.960, 0.961),
    _set("F1", "fbnet", "2080ti_1 essential_ph_1 silver_4114 titan_rtx_1 titan_rtx_32",
         "eyeriss fpga raspi4 samsung_a50 samsung_s7", 0.370, 0.450, 0.577),
    _set("F2", "fbnet", "essential_ph_1 gold_6226 gold_6240 pixel3 raspi4",
         "1080ti_1 1080ti_32 2080ti_32 titan_rtx_1 titanxp_1", 0.793, 0.756, 0.809),
    _set("F3", "fbnet", "essential_ph_1 pixel2 pixel3 raspi4 samsung_s7",
         "1080ti_1 1080ti_32 2080ti_1 titan_rtx_1 titan_rtx_32", 0.543, 0.567, 0.871),
    _set("F4", "fbnet", "1080ti_64 2080ti_1 eyeriss gold_6226 gold_6240 raspi4 samsung_s7 silver_4210r titan_rtx_1 "
         "titan_rtx_32", "1080ti_1 pixel2 essential_ph_1", 0.413, 0.434, 0.814),
    _set("FA", "fbnet", _GPUS, "gold_6226 essential_ph_1 samsung_s7 pixel2", 0.799, 0.763, 0.734),
)  # fmt: skip


@dataclass(frozen=True)
class Score:
    """One method on one target with one seed."""

    set: str
    target: str
    seed: int
    samples: int
    method: str
    spearman: float
    kendall_tau: float


@dataclass(frozen=True)
class Honesty:
    """What the adapted model said of itself, and what was true."""

    set: str
    target: str
    seed: int
    samples: int
    proxy: str
    stated_tau: float
    true_tau: float
    within_interval: bool
    held_out_tau: float
    coverage_68: float
    coverage_95: float


@cache
def _table(space: str) -> LatencyTable:
    return load_latencies("help", measurements("help", space))


@cache
def _proxy(space: str, device: str) -> ProxyLatencyModel:
    table = _table(space)
    return ProxyLatencyModel(space).fit(table.archs, table.latency_ms(device))


@cache
def _proxy_in_log(space: str, device: str) -> ProxyLatencyModel:
    table = _table(space)
    return ProxyLatencyModel(space, scale="log").fit(table.archs, table.latency_ms(device))


@cache
def _flops(space: str) -> NDArray[np.float64]:
    column = get_space(space).feature_names.index(FLOPS[space])
    return get_space(space).features(_table(space).archs)[:, column]


def _spearman(a: Any, b: Any) -> float:
    found: Any = stats.spearmanr(a, b)
    return float(found.statistic)


def evaluate(
    name: str, space: str, pool: tuple[str, ...], target: str, samples: int, seed: int
) -> tuple[list[Score], Honesty]:
    """All methods on one target."""
    table = _table(space)
    truth = table.latency_ms(target)
    models = {device: _proxy(space, device) for device in pool}
    suggested = models[pool[seed % len(pool)]].suggest(table.archs, samples, seed=seed)
    random = np.random.default_rng(seed).choice(len(truth), samples, replace=False)
    scores: list[Score] = []

    def score(method: str, predicted: NDArray[np.float64], measured: NDArray[np.int64]) -> float:
        rest = np.setdiff1d(np.arange(len(truth)), measured)
        tau = kendall_tau(predicted[rest], truth[rest])
        scores.append(Score(name, target, seed, samples, method, _spearman(predicted[rest], truth[rest]), tau))
        return tau

    def measurements(which: NDArray[np.int64]) -> tuple[list, NDArray[np.float64]]:
        return [table.archs[i] for i in which], truth[which]

    given = measurements(suggested)
    proxy = models[chosen := select_proxy(models, *given)]
    adapted = proxy.adapt(*given)
    predicted, sd = adapted.predict(table.archs, return_std=True)
    true_tau = score("adapted", predicted, suggested)
    in_log = _proxy_in_log(space, chosen).adapt(*given)
    score("adapted, in log", in_log.predict(table.archs), suggested)
    score("adaproxy", proxy.adapt(*given, method="adaproxy").predict(table.archs), suggested)
    score("un-adapted proxy", proxy.predict(table.archs), suggested)
    score("FLOPs", _flops(space), suggested)
    by_chance = measurements(random)
    model = models[select_proxy(models, *by_chance)].adapt(*by_chance)
    score("adapted, random samples", model.predict(table.archs), random)

    rest = np.setdiff1d(np.arange(len(truth)), suggested)
    error = np.abs(truth - predicted)[rest] / sd[rest]
    stated = adapted.monotonicity
    return scores, Honesty(
        set=name,
        target=target,
        seed=seed,
        samples=samples,
        proxy=chosen,
        stated_tau=stated.kendall_tau,
        true_tau=true_tau,
        within_interval=stated.interval[0] <= true_tau <= stated.interval[1],
        held_out_tau=kendall_tau(adapted.posterior.held_out, given[1]),
        coverage_68=float((error < 1).mean()),
        coverage_95=float((error < stats.norm.ppf(0.975)).mean()),
    )


def adapting_ms(repetitions: int = 20) -> float:
    """CPU time in ms of adapting to a target and ranking all 15,625 cells, features cached: median."""
    table = _table("nasbench201")
    model, truth = _proxy("nasbench201", "pixel3"), table.latency_ms("titan_rtx_256")
    which = model.suggest(table.archs, 20)
    archs = [table.archs[i] for i in which]
    model.predict(table.archs)
    times = []
    for _ in range(repetitions):
        start = time.process_time()
        np.argsort(model.adapt(archs, truth[which]).predict(table.archs))
        times.append(1e3 * (time.process_time() - start))
    return float(np.median(times))


def main(
    seeds: Annotated[int, typer.Option(min=1, help="Seeds per target.")] = 5,
    only: Annotated[str, typer.Option(help="Names of sets, separated by commas; by default all.")] = "",
    hold_out: Annotated[bool, typer.Option("--hold-out", help="Targets from the pools instead.")] = False,
    output: Annotated[Path | None, typer.Option("--output", "-o", help="The JSON file to write.")] = None,
) -> None:
    """Print the tables and write the results."""
    sets = [s for s in SETS if not only or s.name in only.split(",")]
    tasks = [
        (s.name, s.space, tuple(d for d in s.pool if d != target), target, samples, seed)
        for s in sets
        for target in (s.pool if hold_out else s.test)
        for samples in SAMPLES
        for seed in range(seeds)
        if set(s.pool) != {target}
    ]
    scores: list[Score] = []
    honesty: list[Honesty] = []
    for task in track(tasks, description="ranking", console=Console(stderr=True)):
        found, honest = evaluate(*task)
        scores += found
        honesty.append(honest)
    console = Console(width=200)
    summaries = [_show(console, sets, scores, honesty, samples, hold_out) for samples in SAMPLES]
    milliseconds = adapting_ms()
    console.print(f"adapting and ranking 15,625 cells: {milliseconds:.1f} ms of CPU (at most {BUDGET_MS})")
    default = RESULTS / ("ranking_hold_out.json" if hold_out else "ranking.json")
    devices = [
        {"set": h.set, "target": h.target, "samples": h.samples, "seed": h.seed, "proxy": h.proxy}
        | {f.method: round(f.spearman, 4) for f in scores if (f.set, f.target, f.seed, f.samples) == _task(h)}
        for h in honesty
        if h.seed == 0
    ]
    summary = {str(samples): rows for samples, rows in zip(SAMPLES, summaries, strict=True)}
    write_json(output or default, {"seeds": seeds, "adapting_ms": milliseconds, "sets": summary, "seed_0": devices})


def _task(of: Honesty) -> tuple[str, str, int, int]:
    return of.set, of.target, of.seed, of.samples


@dataclass(frozen=True)
class Summary:
    """One set at one number of samples; ranks correlations are means over targets and seeds."""

    set: str
    nasflat: float
    spearman: dict[str, float]
    kendall_tau: dict[str, float]
    spread: float
    tau_gap: float
    held_out_gap: float
    within_interval: float
    coverage_68: float
    coverage_95: float


def _summary(of: DeviceSet, scores: list[Score], honesty: list[Honesty]) -> Summary:
    def mean(method: str, field: str) -> float:
        return float(np.mean([getattr(s, field) for s in scores if s.method == method]))

    own = [s for s in scores if s.method == "adapted"]
    per_seed = [np.mean([s.spearman for s in own if s.seed == seed]) for seed in sorted({s.seed for s in own})]
    return Summary(
        set=of.name,
        nasflat=of.nasflat,
        spearman={method: mean(method, "spearman") for method in METHODS},
        kendall_tau={method: mean(method, "kendall_tau") for method in METHODS},
        spread=float(np.std(per_seed)),
        tau_gap=float(np.mean([abs(h.stated_tau - h.true_tau) for h in honesty])),
        held_out_gap=float(np.mean([abs(h.held_out_tau - h.true_tau) for h in honesty])),
        within_interval=float(np.mean([h.within_interval for h in honesty])),
        coverage_68=float(np.mean([h.coverage_68 for h in honesty])),
        coverage_95=float(np.mean([h.coverage_95 for h in honesty])),
    )


def _show(
    console: Console,
    sets: list[DeviceSet],
    scores: list[Score],
    honesty: list[Honesty],
    samples: int,
    hold_out: bool,
) -> list[dict]:
    """Print the table of one number of samples; its rows as plain JSON."""
    rows = [
        _summary(
            of,
            [s for s in scores if s.set == of.name and s.samples == samples],
            [h for h in honesty if h.set == of.name and h.samples == samples],
        )
        for of in sets
        if any(s.set == of.name for s in scores)
    ]
    where = "held-out pool devices" if hold_out else "test devices"
    table = Table(title=f"{samples} target samples, {where}: mean Spearman (Kendall's tau)")
    for heading in ("set", "NASFLAT (20)", *METHODS, "|stated - true tau|", "of held-out tau", "90 %", "68 %", "95 %"):
        table.add_column(heading, justify="right")
    for row in rows:
        table.add_row(
            row.set,
            f"{row.nasflat:.3f}" if not hold_out else "",
            *(
                f"{row.spearman[m]:.3f}"
                + (f" ± {row.spread:.3f}" if m == "adapted" else "")
                + f" ({row.kendall_tau[m]:.2f})"
                for m in METHODS
            ),
            f"{row.tau_gap:.3f}",
            f"{row.held_out_gap:.3f}",
            *(f"{100 * share:.0f}" for share in (row.within_interval, row.coverage_68, row.coverage_95)),
        )
    console.print(table)
    if not hold_out:
        reached = sum(row.spearman["adapted"] >= row.nasflat for row in rows)
        console.print(f"at or above NASFLAT with 20 samples: {reached} of {len(rows)}")
    gap = np.mean([row.tau_gap for row in rows])
    console.print(
        f"mean |stated - true tau|: {gap:.3f}; mean Spearman: {np.mean([r.spearman['adapted'] for r in rows]):.4f}\n"
    )
    return [asdict(row) for row in rows]


if __name__ == "__main__":
    typer.run(main)
