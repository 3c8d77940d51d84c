"""Search on NAS-Bench-201: what 20 latencies and 50 accuracies find on each of 27 devices.

    python -m benchmarks.search                     # CIFAR-100, 10 seeds, into benchmarks/results/search.json
    python -m benchmarks.search --accuracy imagenet # what ours was designed on, with cifar10; prints only
    python -m benchmarks.search --tune              # the baselines' settings compared, prints only

Protocol. A device at a time is the target, all others are measured. A device of the pool (the seeds take turns)
suggests 20 cells to measure on the target; `select_proxy` chooses the proxy from these alone and its model is adapted.
The engine then asks for 50 accuracies. What counts is the hypervolume of the 50 cells under true accuracy and *true*
latency, as a share of that of all 15,625 (reference: accuracy 0, the 99th percentile of the device's latencies).

Baselines look up the *true* latency of whatever they evaluate, at no cost, and evaluate 50 distinct cells:

- random cells;
- NNI's own `RegularizedEvolution`, unchanged, on an execution engine that looks its models up instead of training them;
  it maximises accuracy - penalty * latency / reference latency;
- NSGA-II (pymoo) on codes, with uniform crossover and each choice redrawn with a probability, or with pymoo's own
  operators for integers.

Their settings are the best of a grid (`--tune`), on the very table reported here with seeds of its own: that favours
them. Ours was designed on the accuracies of CIFAR-10 and ImageNet16-120.
"""

from __future__ import annotations

import itertools
import logging
import warnings
from collections.abc import Callable, Sequence
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

from benchmarks.data import measurements
from nas_proxy import LatencyTable, ProxyLatencyModel, get_space, load_accuracies, load_latencies, select_proxy
from nas_proxy.files import write_json
from nas_proxy.ranking import hypervolume, pareto_front
from nas_proxy.search import SearchEngine

RESULTS = Path(__file__).parent / "results"
SAMPLES, EVALUATIONS = 20, 50
TUNING_SEEDS = range(500, 503)
SPACE = get_space("nasbench201")


@dataclass(frozen=True)
class Task:
    """A target device: accuracies and true latencies of the cells it has measured, and the best hypervolume."""

    device: str
    archs: tuple[str, ...]
    accuracy: NDArray[np.float64]
    latency_ms: NDArray[np.float64]

    @property
    def reference_ms(self) -> float:
        return float(np.percentile(self.latency_ms, 99))

    def seed(self, seed: int) -> int:
        """Another for each device, so that an average over devices is not one lucky start over and over."""
        return 1_000 * latencies().devices.index(self.device) + seed

    def share(self, rows: Sequence[int] | NDArray[np.int64]) -> float:
        """Hypervolume of the cells in ``rows`` relative to that of all."""
        return self._hypervolume(np.asarray(rows, dtype=np.int64)) / self._hypervolume(np.arange(len(self.archs)))

    def _hypervolume(self, rows: NDArray[np.int64]) -> float:
        return hypervolume(self.accuracy[rows], self.latency_ms[rows], 0.0, self.reference_ms)


@dataclass(frozen=True)
class Method:
    """A search with 50 evaluations: from task and seed to the rows evaluated."""

    name: str
    settings: dict[str, Any]
    search: Callable[..., list[int]]

    def __call__(self, task: Task, seed: int) -> list[int]:
        return self.search(task, task.seed(seed), **self.settings)


@cache
def latencies() -> LatencyTable:
    return load_latencies("help", measurements("help", "nasbench201"))


@cache
def proxy_model(device: str) -> ProxyLatencyModel:
    table = latencies().measured_on(device)
    return ProxyLatencyModel(SPACE).fit(table.archs, table.latency_ms(device))


@cache
def row_of(task_archs: tuple[str, ...]) -> dict[str, int]:
    return {arch: row for row, arch in enumerate(task_archs)}


def make_task(device: str, accuracy: str) -> Task:
    table = latencies().measured_on(device)
    known = load_accuracies("nats-bench", measurements("nats-bench", f"{accuracy}_perfmetrics.txt"))
    return Task(device, table.archs, known.accuracy_of(table.archs), table.latency_ms(device))


# -- ours ------------------------------------------------------------------------------------------------------------


def adapted(task: Task, seed: int) -> Any:
    """The target's model, from 20 measurements and one proxy."""
    pool = {name: proxy_model(name) for name in latencies().devices if name != task.device}
    suggest = list(pool.values())[seed % len(pool)]
    measured = [task.archs[i] for i in suggest.suggest(task.archs, SAMPLES, seed=seed)]
    latency_ms = task.latency_ms[[row_of(task.archs)[arch] for arch in measured]]
    return pool[select_proxy(pool, measured, latency_ms)].adapt(measured, latency_ms)


def ours(task: Task, seed: int, model: Any) -> list[int]:
    engine = SearchEngine(SPACE, {task.device: model}, seed=task.seed(seed))
    rows = []
    while len(rows) < EVALUATIONS:
        arch = engine.ask().arch
        row = row_of(task.archs).get(arch)
        if row is None:  # a cell the device has not measured: it cannot count
            engine.tell_failed(arch)
            continue
        engine.tell(arch, task.accuracy[row])
        rows.append(row)
    return rows


# -- baselines -------------------------------------------------------------------------------------------------------


def random_cells(task: Task, seed: int) -> list[int]:
    return np.random.default_rng(seed).choice(len(task.archs), EVALUATIONS, replace=False).tolist()


def nsga2(task: Task, seed: int, population: int, mutation: float | None) -> list[int]:
    """``mutation``: probability of redrawing a choice, or None for pymoo's own operators (SBX, PM, rounding)."""
    from pymoo.algorithms.moo.nsga2 import NSGA2
    from pymoo.core.problem import Problem
    from pymoo.operators.crossover.sbx import SBX
    from pymoo.operators.crossover.ux import UniformCrossover
    from pymoo.operators.mutation.pm import PM
    from pymoo.operators.repair.rounding import RoundingRepair
    from pymoo.operators.sampling.rnd import IntegerRandomSampling
    from pymoo.optimize import minimize

    from nas_proxy.search._evolution import ResampleChoices

    rows: list[int] = []

    class Cells(Problem):
        def __init__(self) -> None:
            super().__init__(n_var=len(SPACE.choices), n_obj=2, xl=0, xu=4, vtype=int)

        def _evaluate(self, x: NDArray[Any], out: dict[str, Any], *_: Any, **__: Any) -> None:
            found = [row_of(task.archs).get(arch, -1) for arch in SPACE.decode(np.asarray(x, dtype=np.int64))]
            rows.extend(row for row in found if row >= 0)
            out["F"] = [(-task.accuracy[row], task.latency_ms[row]) if row >= 0 else (0.0, 1e9) for row in found]

    if mutation is None:
        rounded = {"vtype": float, "repair": RoundingRepair()}
        operators: dict[str, Any] = {"crossover": SBX(**rounded), "mutation": PM(**rounded)}
    else:
        operators = {"crossover": UniformCrossover(), "mutation": ResampleChoices(mutation)}
    algorithm = NSGA2(
        pop_size=population,
        sampling=IntegerRandomSampling(),
        **operators,
    )
    minimize(Cells(), algorithm, ("n_gen", 100 * EVALUATIONS // population), seed=seed, callback=_Enough(rows))
    return list(dict.fromkeys(rows))[:EVALUATIONS]


class _Enough:
    """Stops pymoo once so many distinct cells are evaluated (a generation of duplicates costs nothing)."""

    def __init__(self, rows: list[int]) -> None:
        self.rows = rows

    def __call__(self, algorithm: Any) -> None:
        if len(set(self.rows)) >= EVALUATIONS:
            algorithm.termination.terminate()


def regularized_evolution(
    task: Task, seed: int, population: int, tournament: float, mutation: float, penalty: float
) -> list[int]:
    """NNI's strategy as it is; only what would train a model looks it up."""
    from nni.mutable import Categorical, MutableDict
    from nni.nas.execution import ExecutionEngine
    from nni.nas.execution.event import FinalMetricEvent, TrainingEndEvent
    from nni.nas.space import ExecutableModelSpace, ModelStatus
    from nni.nas.strategy import RegularizedEvolution

    class Cells(ExecutableModelSpace):
        def __init__(self, mutables: Any, status: Any = ModelStatus.Initialized, sample: Any = None) -> None:
            super().__init__(status)
            self.mutables, self.sample, self.evaluator = mutables, sample, None

        def freeze(self, sample: Any) -> Any:
            self.validate(sample)
            return Cells(self.mutables, ModelStatus.Frozen, dict(sample))

        def check_contains(self, sample: Any) -> Any:
            return self.mutables.check_contains(sample)

        def leaf_mutables(self, is_leaf: Any) -> Any:
            return self.mutables.leaf_mutables(is_leaf)

    rows: list[int] = []

    class LookUp(ExecutionEngine):
        def submit_models(self, *models: Any) -> None:
            for model in models:
                arch = SPACE.from_choices({str(label): option for label, option in model.sample.items()})
                row = row_of(task.archs).get(arch)
                if row is not None:
                    rows.append(row)
                    value = task.accuracy[row] - penalty * task.latency_ms[row] / task.reference_ms
                    self.dispatch_model_event(FinalMetricEvent(model, float(value)))
                status = ModelStatus.Failed if row is None else ModelStatus.Trained
                self.dispatch_model_event(TrainingEndEvent(model, status))

        def wait_models(self, *models: Any) -> None:
            """Nothing runs."""

        def idle_worker_available(self) -> bool:
            return True

        def budget_available(self) -> bool:
            return len(rows) < EVALUATIONS

    strategy = RegularizedEvolution(
        population_size=population,
        sample_size=max(1, round(population * tournament)),
        mutation_prob=mutation,
        seed=seed,
    )
    mutables = {label: Categorical(list(options), label=label) for label, options in SPACE.choices.items()}
    strategy(Cells(MutableDict(mutables)), LookUp())
    return rows


GRIDS: dict[str, list[Method]] = {
    "NSGA-II": [
        Method("NSGA-II", {"population": n, "mutation": mutation}, nsga2)
        for n, mutation in itertools.product((10, 15, 20, 25, 35), (None, 1 / 6, 1 / 3, 1 / 2, 3 / 4))
    ],
    "RegularizedEvolution": [
        Method(
            "RegularizedEvolution",
            {"population": n, "tournament": tournament, "mutation": mutation, "penalty": penalty},
            regularized_evolution,
        )
        for n, tournament, mutation, penalty in itertools.product(
            (10, 20, 30), (0.5, 0.8, 1.0), (1 / 6, 1 / 3), (0.0, 160.0, 320.0, 640.0, 1280.0, 2560.0, 5120.0)
        )
    ],
}

#: The best of each grid, as ``--tune`` finds them.
CHOSEN = {
    "NSGA-II": {"population": 25, "mutation": 0.5},
    "RegularizedEvolution": {"population": 20, "tournament": 0.8, "mutation": 1 / 6, "penalty": 5120.0},
}


def tune(tasks: list[Task], console: Console) -> None:
    for name, grid in GRIDS.items():
        table = Table("settings", "mean share", title=f"{name}, {len(TUNING_SEEDS)} seeds")
        scores = []
        for method in track(grid, name, console=console):
            scores.append(np.mean([task.share(method(task, seed)) for task in tasks for seed in TUNING_SEEDS]))
        for i in np.argsort(scores)[::-1]:
            table.add_row(str(grid[i].settings), f"{scores[i]:.4f}")
        console.print(table)


# -- report ----------------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Row:
    """One device: share of the best hypervolume, mean and standard deviation over seeds, by method."""

    device: str
    mean: dict[str, float]
    std: dict[str, float]
    front_size: float


def measure(task: Task, seeds: int, methods: Sequence[Method]) -> Row:
    found: dict[str, list[float]] = {"front": [], "ours": []} | {method.name: [] for method in methods}
    sizes = []
    for seed in range(seeds):
        model = adapted(task, seed)
        predicted = model.predict(task.archs)
        front = pareto_front(task.accuracy, predicted)
        sizes.append(len(front))
        found["front"].append(task.share(front))
        found["ours"].append(task.share(ours(task, seed, model)))
        for method in methods:
            found[method.name].append(task.share(method(task, seed)))
    return Row(
        task.device,
        {name: float(np.mean(values)) for name, values in found.items()},
        {name: float(np.std(values)) for name, values in found.items()},
        float(np.mean(sizes)),
    )


def main(
    accuracy: Annotated[str, typer.Option(help="cifar10, cifar100 or imagenet")] = "cifar100",
    seeds: int = 10,
    every: Annotated[int, typer.Option(help="only every so many-th device")] = 1,
    tuning: Annotated[bool, typer.Option("--tune", help="compare the baselines' settings")] = False,
) -> None:
    with warnings.catch_warnings(action="ignore"):
        import nni.nas.strategy  # noqa: F401

    logging.getLogger("nni").setLevel(logging.ERROR)  # it logs every individual, and sets its level when imported
    console = Console()
    tasks = [make_task(device, accuracy) for device in latencies().devices[::every]]
    if tuning:
        tune(tasks, console)
        return
    methods = [Method("random", {}, random_cells)] + [
        Method(name, settings, GRIDS[name][0].search) for name, settings in CHOSEN.items() if settings
    ]
    rows = [measure(task, seeds, methods) for task in track(tasks, "devices", console=console)]
    names = list(rows[0].mean)
    table = Table("device", *names, title=f"{accuracy}: share of the best hypervolume, {seeds} seeds")
    for row in rows:
        table.add_row(row.device, *(f"{row.mean[name]:.4f} ± {row.std[name]:.4f}" for name in names))
    table.add_row("mean", *(f"{np.mean([row.mean[name] for row in rows]):.4f}" for name in names))
    console.print(table)
    baselines = [method.name for method in methods]
    ahead = {b: sum(row.mean["ours"] > row.mean[b] for row in rows) for b in baselines}
    console.print(f"devices where ours is ahead, of {len(rows)}: {ahead}")
    console.print(f"cells on the front chosen by adapted latency: {np.mean([row.front_size for row in rows]):.1f}")
    if accuracy == "cifar100" and every == 1:
        write_json(
            RESULTS / "search.json",
            {"accuracy": accuracy, "seeds": seeds, "chosen": CHOSEN, "devices": [asdict(row) for row in rows]},
        )


if __name__ == "__main__":
    typer.run(main)
