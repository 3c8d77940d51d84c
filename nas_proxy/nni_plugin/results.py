"""What a search found: the Pareto front, a CSV and a plot."""

from __future__ import annotations

import io
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from nas_proxy import files
from nas_proxy.datasets import csv_rows
from nas_proxy.errors import from_extra
from nas_proxy.ranking.pareto import non_dominated
from nas_proxy.search import Evaluated
from nas_proxy.spaces import SearchSpace, space_text

__all__ = ["front_of", "write_csv", "write_plot"]


def front_of(
    results: Sequence[Evaluated], targets: Sequence[str], limits_ms: Mapping[str, float] | None = None
) -> list[Evaluated]:
    """Results within the limits that no other beats in accuracy and all predicted latencies, fastest first."""
    limits = (limits_ms or {}).items()
    results = [result for result in results if all(result.latency_ms[name] <= ms for name, ms in limits)]
    costs = np.array([[-result.accuracy, *(result.latency_ms[name] for name in targets)] for result in results])
    return sorted((results[i] for i in non_dominated(costs)), key=lambda result: result.latency_ms[targets[0]])


def write_csv(
    path: Path, space: SearchSpace, results: Sequence[Evaluated], front: Sequence[Evaluated], targets: Sequence[str]
) -> Path:
    """All results, in the order they came, with a column that says which are on the front."""
    on_front = {result.arch for result in front}
    columns = ["arch", "accuracy", *(f"predicted_latency_ms_{name}" for name in targets), "on_front"]
    rows = []
    for result in results:
        latencies = [result.latency_ms[name] for name in targets]
        rows.append([result.arch, result.accuracy, *latencies, int(result.arch in on_front)])
    return csv_rows.write_csv(path, space_text(space), columns, rows)


def write_plot(
    path: Path,
    results: Sequence[Evaluated],
    targets: Sequence[str],
    limits_ms: Mapping[str, float],
    title: str,
) -> Path:
    """A PNG with one panel per target: every candidate trained, the front on that target, and its limit."""
    with from_extra("draw", "a picture"):
        from matplotlib.backends.backend_agg import FigureCanvasAgg
        from matplotlib.figure import Figure

    figure = Figure(figsize=(5.5 * len(targets), 4), layout="constrained")
    FigureCanvasAgg(figure)
    figure.suptitle(title)
    for panel, name in zip(np.atleast_1d(figure.subplots(1, len(targets), sharey=True)), targets, strict=True):
        _panel(panel, results, name, limits_ms.get(name))
    image = io.BytesIO()
    figure.savefig(image, format="png", dpi=150)
    return files.write_bytes(path, image.getvalue())


def _panel(panel: Any, results: Sequence[Evaluated], target: str, limit_ms: float | None) -> None:
    front = front_of(results, [target], {} if limit_ms is None else {target: limit_ms})
    panel.scatter(*_points(results, target), s=18, color="0.65", label="trained")
    panel.plot(*_points(front, target), "o-", color="C0", drawstyle="steps-post", label="Pareto front")
    if limit_ms is not None:
        panel.axvline(limit_ms, color="C3", linestyle="--", label=f"limit {limit_ms:g} ms")
    panel.set_xlabel(f"predicted latency on {target} [ms]")
    panel.set_ylabel("accuracy")
    panel.grid(alpha=0.3)
    panel.legend()


def _points(results: Sequence[Evaluated], target: str) -> tuple[list[float], list[float]]:
    return [result.latency_ms[target] for result in results], [result.accuracy for result in results]
