"""Compressed policies: ``make bench-compression``.

1. The project's own policies: every method and ratio, on problems that are in no other use, and the smallest form that
   keeps 95 % of the return on fresh ones. The policies act alone, without the searches around them.
2. The question of Lu, Alemi and Rawassizadeh (arXiv 2407.04803): which of its findings hold for policies trained here,
   by stable-baselines3, on MuJoCo tasks and on one with discrete actions (``pip install "gymnasium[mujoco]"``).

What a policy gave is kept under ``runs/bench-compression``, so that a run that was stopped goes on; policies that have
not been trained yet (``python -m benchmarks._compression_policies``, about 40 minutes) are left out, and said to be.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Callable, Sequence
from datetime import date
from pathlib import Path
from typing import Any

import gymnasium
import numpy as np
import torch
from rich.console import Console
from rich.table import Table

from benchmarks._compression_policies import CELLS, Cell, load
from nas_proxy import extensions, files
from nas_proxy.compression import CompressionReport, Compressor, read_json, sweep, to_json
from nas_proxy.compression.sb3 import actor_network, episode_return, rollout_observations
from nas_proxy.devices._machine import describe_machine
from nas_proxy.terminal.compression import sweep_page
from nas_proxy.terminal.tables import draw

FOLDER, RESULTS = Path("runs/bench-compression"), Path("benchmarks/results/compression.json")
EPISODES, OBSERVATIONS = 10, 1600
QUANTIZED = ("PTDQ", "PTSQ", "QAT")
RATIOS = (0.1, 0.3, 0.7)
METHODS = (
    *QUANTIZED, *(f"L{norm} {ratio}" for norm in (1, 2) for ratio in RATIOS),
    "L2 0.7 + distil", "L2 0.7 + distil + PTDQ",
)  # fmt: skip


# -- 1: the project's policies ---------------------------------------------------------------------------------------


def own(name: str, methods: Sequence[str], console: Console) -> dict[str, Any]:
    found = sweep(extensions.get("policies", name), FOLDER / name, methods=methods)
    console.print(f"[bold]{name}[/]", draw(sweep_page(found)), sep="\n")
    chosen = found.chosen
    return {
        "methods": [_row(report) for report in found.reports],
        "chosen": None if chosen is None else _row(chosen) | {"episodes": chosen.returns_after.episodes},
    }


def _row(report: CompressionReport) -> dict[str, Any]:
    after, before = report.after, report.before
    return {
        "method": report.method, "kept": report.kept.share, "low": report.kept.low, "high": report.kept.high,
        "before": report.returns_before.mean, "after": report.returns_after.mean,
        "times_smaller": report.times_smaller, "file_bytes": after.file_bytes, "macs": after.macs,
        "memory_ratio": _ratio(after.memory_bytes, before.memory_bytes), "energy_nj": after.energy_nj,
        "energy_ratio": after.energy_nj / before.energy_nj,
        "batch_1_ratio": after.batch_1.median_us / before.batch_1.median_us, "batch_1_us": after.batch_1.median_us,
        "batch_256_ratio": after.batch_256.median_us / before.batch_256.median_us,
        "batch_256_us": after.batch_256.median_us,
    }  # fmt: skip


def _ratio(a: int | None, b: int | None) -> float | None:
    return a / b if a is not None and b else None


# -- 2: the paper's question -----------------------------------------------------------------------------------------


def _kept(cell: Cell) -> Path:
    return FOLDER / "cells" / f"{cell.path.stem}.json"


def cell_result(cell: Cell) -> dict[str, Any]:
    """Every method on one trained policy; kept as a file."""
    path = _kept(cell)
    if not path.is_file():
        model, squashed = load(cell), cell.algorithm == "SAC"

        def make() -> Any:
            return gymnasium.make(cell.task)

        network = actor_network(model)

        def act(x: np.ndarray) -> np.ndarray:
            with torch.no_grad():
                return network(torch.from_numpy(x)).numpy()

        seen = rollout_observations(act, make, OBSERVATIONS, seed=10_000, squashed=squashed, noise=0.1)
        evaluate = episode_return(make, squashed=squashed)
        chance = _random_return(make)
        floor = min(chance, 0.0)  # shares of returns as they are, as published, but where chance is below nothing
        compressor = Compressor(model, evaluate, seen, seeds=range(EPISODES), floor=floor)
        reports = [compressor(method).report for method in METHODS]
        to_json(reports, path, random=chance)
    about, reports = read_json(path)
    rows = {report.method: _row(report) for report in reports}
    return {
        "algorithm": cell.algorithm, "task": cell.task, "steps": cell.steps, "seed": cell.seed,
        "random": about["random"], "trained": reports[0].returns_before.mean, "methods": rows,
    }  # fmt: skip


def _random_return(make: Callable[[], Any]) -> float:
    env, totals = make(), []
    env.action_space.seed(0)
    for seed in range(EPISODES):
        env.reset(seed=seed)
        total, over = 0.0, False
        while not over:
            _, reward, terminated, truncated, _ = env.step(env.action_space.sample())
            total, over = total + float(reward), terminated or truncated
        totals.append(total)
    return float(np.mean(totals))


def findings(cells: list[dict[str, Any]]) -> list[tuple[str, str, str]]:
    """Finding, theirs, ours. A cell is one trained policy."""
    continuous = [cell for cell in cells if cell["task"] != "CartPole-v1"]
    discrete = [cell for cell in cells if cell["task"] == "CartPole-v1"]

    def kept(cell: dict[str, Any], method: str) -> float:
        return cell["methods"][method]["kept"]

    def count(group: list[dict[str, Any]], test: Callable[[dict[str, Any]], bool]) -> str:
        return f"{sum(map(test, group))} of {len(group)}"

    def best(cell: dict[str, Any]) -> dict[str, float]:
        shares = {name: round(kept(cell, name), 6) for name in QUANTIZED}
        winners = [name for name, share in shares.items() if share == max(shares.values())]
        return {name: 1 / len(winners) for name in winners}

    wins = {name: np.mean([best(cell).get(name, 0.0) for cell in continuous]) for name in QUANTIZED}
    on, off = ([c for c in continuous if (c["algorithm"] == "PPO") == flag] for flag in (True, False))

    def medians(key: str, methods: tuple[str, ...]) -> str:
        return ", ".join(
            f"{method} {np.median([c['methods'][method][key] for c in continuous]):.2f}" for method in methods
        )

    def over(norm: int, cell: dict[str, Any]) -> float:
        return float(np.mean([kept(cell, f"L{norm} {ratio}") for ratio in RATIOS]))

    shown = (*QUANTIZED, "L2 0.7 + distil")
    rows = [
        ("best quantization, share of cells", "PTDQ 40 %, QAT 36 %, PTSQ 24 %",
         ", ".join(f"{name} {share:.0%}" for name, share in wins.items())),
    ]  # fmt: skip
    for name, theirs_on, theirs_off in (("PTDQ", "10 of 10", "3 of 10"), ("PTSQ", "10 of 10", "2 of 10")):
        rows += [
            (f"on-policy keeps 90 % under {name}", theirs_on, count(on, lambda c, n=name: kept(c, n) >= 0.9)),
            (f"off-policy keeps 90 % under {name}", theirs_off, count(off, lambda c, n=name: kept(c, n) >= 0.9)),
        ]
    rows += [
        ("L2 over L1 (mean over ratios)", "L2", count(continuous, lambda c: over(2, c) >= over(1, c))),
        ("L2 10 % safe (keeps 90 %)", "about 10 %", count(continuous, lambda c: kept(c, "L2 0.1") >= 0.9)),
        ("L2 30 % keeps 90 %", "no", count(continuous, lambda c: kept(c, "L2 0.3") >= 0.9)),
        ("L2 70 % keeps 90 %", "no", count(continuous, lambda c: kept(c, "L2 0.7") >= 0.9)),
        ("L2 70 % and distillation keeps 90 %", "not tried",
         count(continuous, lambda c: kept(c, "L2 0.7 + distil") >= 0.9)),
        ("the same and PTDQ keeps 90 %", "not tried",
         count(continuous, lambda c: kept(c, "L2 0.7 + distil + PTDQ") >= 0.9)),
        ("times smaller on disk", "yes", medians("times_smaller", shown)),
        ("memory over float32's", "mostly 1", medians("memory_ratio", shown)),
        ("time at batch 1 over float32's", "no speed-up", medians("batch_1_ratio", shown)),
        ("time at batch 256 over float32's", "not said", medians("batch_256_ratio", shown)),
        ("energy over float32's (model)", "measured: mostly 1", medians("energy_ratio", shown)),
    ]  # fmt: skip
    if discrete:
        ours = [f"{name} {count(discrete, lambda c, n=name: kept(c, n) >= 0.9)}" for name in (*QUANTIZED, "L2 0.1")]
        rows.append(("discrete actions: keeps 90 %", "not covered", ", ".join(ours)))
    return rows


def show_cells(cells: list[dict[str, Any]]) -> Table:
    methods = (
        "PTDQ",
        "PTSQ",
        "QAT",
        "L1 0.1",
        "L2 0.1",
        "L2 0.3",
        "L2 0.7",
        "L2 0.7 + distil",
        "L2 0.7 + distil + PTDQ",
    )
    table = Table(title="share of the return kept (mean over seeds; least to largest)")
    for heading in ("policy", "steps", "seeds", "random", "trained", *methods):
        table.add_column(heading, justify="left" if heading == "policy" else "right")
    for key in dict.fromkeys((cell["algorithm"], cell["task"]) for cell in cells):
        group = [cell for cell in cells if (cell["algorithm"], cell["task"]) == key]
        shares = [np.array([cell["methods"][method]["kept"] for cell in group]) for method in methods]
        table.add_row(
            " ".join(key), str(group[0]["steps"]), str(len(group)), f"{np.mean([c['random'] for c in group]):.0f}",
            f"{np.mean([c['trained'] for c in group]):.0f}",
            *(f"{of.mean():.2f} ({of.min():.2f} .. {of.max():.2f})" for of in shares),
        )  # fmt: skip
    return table


def rl(console: Console, seeds: int, finished_only: bool) -> dict[str, Any]:
    trained = [cell for cell in CELLS if cell.path.is_file() and cell.seed < seeds]
    trained = [cell for cell in trained if not finished_only or _kept(cell).is_file()]
    cells = []
    for cell in trained:
        cells.append(cell_result(cell))
        print(f"{cell.path.stem}: {cells[-1]['trained']:.0f} ({cells[-1]['random']:.0f} at random)", flush=True)
    cells.sort(key=lambda cell: (cell["task"], cell["algorithm"], cell["seed"]))
    table = Table(title="the paper's findings")
    for heading in ("finding", "theirs", "ours"):
        table.add_column(heading)
    rows = findings(cells)
    for row in rows:
        table.add_row(*row)
    console.print(show_cells(cells), table)
    missing = [cell.path.stem for cell in CELLS if not _kept(cell).is_file()]
    if missing:
        console.print(f"not done yet, so left out: {', '.join(missing)}")
    named = [dict(zip(("finding", "theirs", "ours"), row, strict=True)) for row in rows]
    return {"episodes": EPISODES, "cells": cells, "findings": named, "not_done": missing}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--parts", nargs="+", choices=["own", "rl"], default=["own", "rl"])
    parser.add_argument(
        "--policies",
        nargs="+",
        choices=extensions.names("policies"),
        default=extensions.names("policies"),
        help="of the project's own",
    )
    parser.add_argument("--methods", nargs="+", default=(), help="for them; all by default")
    parser.add_argument("--seeds", type=int, default=3, help="of trained policies, at most")
    parser.add_argument("--finished-only", action="store_true", help="show the trained policies that are done")
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    console = Console(width=200)
    results = json.loads(RESULTS.read_text()) if RESULTS.is_file() else {}
    results |= {"date": date.today().isoformat(), "machine": describe_machine("onnxruntime", "torch")}
    if "own" in arguments.parts:
        results["own"] = results.get("own", {}) | {
            name: own(name, arguments.methods, console) for name in arguments.policies
        }
        files.write_json(RESULTS, results)
    if "rl" in arguments.parts:
        results["rl"] = rl(console, arguments.seeds, arguments.finished_only)
        files.write_json(RESULTS, results)


if __name__ == "__main__":
    main()
