"""Before the search: latency models made while the user watches, and what they are worth said and written down."""

from __future__ import annotations

import csv
import io
from dataclasses import asdict
from pathlib import Path

import numpy as np
from rich.console import Console
from rich.markup import escape
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TaskID, TextColumn, TimeElapsedColumn

from nas_proxy import files
from nas_proxy.ranking.from_csv import Adapted, quality_table
from nas_proxy.search import SearchEngine
from nas_proxy.search.latency_models import LatencyModels, prepare
from nas_proxy.search.settings import SearchSettings
from nas_proxy.spaces import space_text

__all__ = ["prepare_shown", "write_models"]


def prepare_shown(settings: SearchSettings, folder: Path, console: Console) -> LatencyModels:
    """Measure or load, fit and adapt, with progress; show how well each target's ranking is known.

    Raises:
        InputError: see :func:`~nas_proxy.search.latency_models.prepare`; or no candidate can meet the limits.
    """
    tasks: dict[str, TaskID] = {}
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn())
    with Progress(*columns, console=console) as progress:

        def on_progress(name: str, done: int, total: int) -> None:
            if name not in tasks:
                tasks[name] = progress.add_task(f"measuring {name}", total=total)
            progress.update(tasks[name], completed=done)

        models = prepare(settings, folder, on_progress)
    SearchEngine(models.space, models.targets, settings.limits_ms, seed=settings.seed)  # refuses impossible limits
    [proxy] = models.samples["proxy"].devices
    console.print(quality_table([Adapted(name, proxy, model) for name, model in models.targets.items()]))
    for name, limit_ms in settings.limits_ms.items():
        console.print(f"[bold]{escape(name)}[/]: only candidates predicted at or below {limit_ms:g} ms are trained")
    return models


def write_models(models: LatencyModels, folder: Path) -> None:
    """Keep what the models rest on and say: ``samples/*.csv``, ``adaptation.json`` and, of a space that can be listed,
    ``predictions.csv``."""
    for name, table in models.samples.items():
        table.to_csv(folder / "samples" / f"{name}.csv")
    files.write_json(
        folder / "adaptation.json", {name: asdict(model.monotonicity) for name, model in models.targets.items()}
    )
    if not models.space.enumerable:
        return
    archs = models.space.enumerate()
    text = io.StringIO()
    text.write(f"# space: {space_text(models.space)}\n")
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(["arch", *(f"predicted_latency_ms_{name}" for name in models.targets)])
    predicted = np.stack([model.predict(archs) for model in models.targets.values()], axis=1)
    writer.writerows(
        [models.space.to_str(arch), *map(repr, row)] for arch, row in zip(archs, predicted.tolist(), strict=True)
    )
    files.write_text(folder / "predictions.csv", text.getvalue())
