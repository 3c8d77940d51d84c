"""Ranking pretrained networks on a device from 20 of its measurements, over all pairs of devices that timm publishes.

For every ordered pair of devices, one is the proxy, all of whose measurements are known, and the other the target, of
which 20 are. The figure is Spearman's correlation of predicted and measured time per image over the networks that were
not measured on the target: of all of them, and inside windows of +-50 % around a network's latency, on average over
windows, since users choose between networks of similar latency. Beside it, on the same networks: the proxy's own
latencies, multiply-accumulates, and activations. For our predictions also: the share of the measurements inside the
90 % intervals.

Each seed draws the half of the zoo from which the 20 are suggested. No device is held out from the method's design:
that it works on logarithms and takes the proxy's measurements as they are was decided with these devices in sight, and
so was which latencies of the proxy's are suggested; ``unrestricted`` is without the latter.
Run: ``python -m benchmarks.zoo``.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import permutations
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from rich.console import Console
from rich.progress import track
from rich.table import Table
from scipy.stats import rankdata

from benchmarks.data import measurements
from nas_proxy.datasets import LatencyTable, load_latencies
from nas_proxy.files import write_json
from nas_proxy.ranking.zoo import fit_zoo, suggest_networks
from nas_proxy.spaces.timm_zoo import TimmZoo

SAMPLES, SEEDS, WINDOWS, WIDTH, FEWEST_IN_WINDOW = 20, 10, 100, 0.5, 10
ADAPTED, UNRESTRICTED, RANDOM = "adapted, suggested", "adapted, unrestricted", "adapted, random"
BASELINES = ("proxy as it is", "MACs", "activations")
METHODS = (ADAPTED, UNRESTRICTED, RANDOM, *BASELINES)
FIGURES = ("overall", "in_windows", "inside_interval")


@dataclass(frozen=True)
class Score:
    """Of one method for one pair of devices and one seed: Spearman's correlations over all networks and in windows, and
    the share of measurements inside 90 % intervals (NaN where a method has none)."""

    proxy: str
    target: str
    seed: int
    method: str
    overall: float
    in_windows: float
    inside_interval: float


def spearman(a: NDArray[np.float64], b: NDArray[np.float64]) -> float:
    return float(np.corrcoef(rankdata(a), rankdata(b))[0, 1])


def in_windows(predicted: NDArray[np.float64], truth: NDArray[np.float64]) -> float:
    """Mean Spearman's correlation inside windows around evenly spaced ranks of the truth."""
    centres = np.sort(truth)[np.linspace(0, len(truth) - 1, WINDOWS).astype(int)]
    windows = [np.flatnonzero(np.abs(truth / centre - 1) <= WIDTH) for centre in centres]
    return float(np.mean([spearman(predicted[w], truth[w]) for w in windows if len(w) >= FEWEST_IN_WINDOW]))


def scores(space: TimmZoo, table: LatencyTable, proxy: str, target: str, seed: int) -> list[Score]:
    archs = list(table.archs)
    proxy_ms, target_ms = table.latency_ms(proxy), table.latency_ms(target)
    model, rng = fit_zoo(space, archs, proxy_ms), np.random.default_rng(seed)
    half = np.sort(rng.permutation(len(archs))[: len(archs) // 2])
    known = LatencyTable("timm", tuple(archs[i] for i in half), (proxy,), proxy_ms[half, None])
    samples = {
        ADAPTED: table.rows(suggest_networks(known, SAMPLES, space, seed)),
        UNRESTRICTED: half[model.suggest(known.archs, SAMPLES, seed)],
        RANDOM: rng.permutation(len(archs))[:SAMPLES],
    }

    def score(method: str, chosen: NDArray[np.int64], predicted: NDArray[np.float64], inside: Any) -> Score:
        test = np.setdiff1d(np.arange(len(archs)), chosen)
        ranks = spearman(predicted[test], target_ms[test]), in_windows(predicted[test], target_ms[test])
        return Score(proxy, target, seed, method, *ranks, float(np.mean(inside[test])))

    found = []
    for method, chosen in samples.items():
        adapted = model.adapt([archs[i] for i in chosen], target_ms[chosen])
        ms, (low, high) = adapted.predict(archs), adapted.interval(archs).T
        found.append(score(method, chosen, ms, (low <= target_ms) & (target_ms <= high)))
    unadapted = proxy_ms, space.costs("macs", archs), space.costs("activations", archs)
    nothing = np.full(len(archs), np.nan)
    found += [score(method, samples[ADAPTED], ms, nothing) for method, ms in zip(BASELINES, unadapted, strict=True)]
    return found


def summary(found: list[Score], **where: str) -> dict[str, dict[str, float]]:
    """Per method the means over what matches ``where``, and the standard deviation of the seeds' means."""
    kept = [score for score in found if all(getattr(score, key) == value for key, value in where.items())]
    result = {}
    for method in METHODS:
        row = {}
        for figure in FIGURES if method not in BASELINES else FIGURES[:2]:
            per_seed = [
                np.mean([getattr(s, figure) for s in kept if s.method == method and s.seed == seed])
                for seed in range(SEEDS)
            ]
            row |= {figure: round(float(np.mean(per_seed)), 4), f"{figure}_sd": round(float(np.std(per_seed)), 4)}
        result[method] = row
    return result


def main() -> None:
    space, table = TimmZoo(), load_latencies("timm", measurements("timm"))
    table = table.measured_on(*table.devices)
    pairs = list(permutations(table.devices, 2))
    found = [
        score
        for seed, (proxy, target) in track([(s, p) for s in range(SEEDS) for p in pairs], "pairs of devices")
        for score in scores(space, table, proxy, target, seed)
    ]
    total = summary(found)
    console = Console()
    shown = Table(title=f"{len(table)} networks, {len(pairs)} pairs of devices, {SAMPLES} samples, {SEEDS} seeds")
    for heading in ("method", "Spearman", "sd", "in windows", "sd", "in interval", "sd"):
        shown.add_column(heading)
    for method, row in total.items():
        shown.add_row(method, *(f"{value:.4f}" for value in row.values()))
    console.print(shown)
    per_pair = [{"proxy": p, "target": t, "methods": summary(found, proxy=p, target=t)} for p, t in pairs]
    behind = [
        f"{row['proxy']} -> {row['target']} ({figure})"
        for row in per_pair
        for figure in FIGURES[:2]
        if row["methods"][ADAPTED][figure] < max(row["methods"][baseline][figure] for baseline in BASELINES)
    ]
    console.print(f"pairs where a baseline is ahead: {', '.join(behind) or 'none'}")
    path = Path(__file__).parent / "results" / "zoo.json"
    write_json(path, {"networks": len(table), "samples": SAMPLES, "seeds": SEEDS, "mean": total, "pairs": per_pair})


if __name__ == "__main__":
    main()
