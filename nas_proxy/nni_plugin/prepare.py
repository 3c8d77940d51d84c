"""Before the search: latency models made while the user watches, and what they are worth said and written down."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path

import numpy as np

from nas_proxy import files
from nas_proxy.datasets.csv_rows import write_csv
from nas_proxy.ranking.from_csv import Adapted
from nas_proxy.search import SearchEngine
from nas_proxy.search.latency_models import LatencyModels, prepare
from nas_proxy.search.settings import SearchSettings
from nas_proxy.spaces import space_text
from nas_proxy.terminal.console import Terminal
from nas_proxy.terminal.ranking import quality_page

__all__ = ["prepare_shown", "write_models"]


def prepare_shown(settings: SearchSettings, folder: Path, terminal: Terminal) -> LatencyModels:
    """Measure or load, fit and adapt, with progress; show how well each target's ranking is known.

    Raises:
        InputError: see :func:`~nas_proxy.search.latency_models.prepare`; or no candidate can meet the limits.
    """
    with terminal.bars() as bar:
        models = prepare(settings, folder, lambda name, done, total: bar(f"measuring {name}", done, total))
    SearchEngine(models.space, models.targets, settings.limits_ms, seed=settings.seed)  # refuses impossible limits
    [proxy] = models.samples["proxy"].devices
    terminal.show(quality_page([Adapted(name, proxy, model) for name, model in models.targets.items()]))
    for name, limit_ms in settings.limits_ms.items():
        terminal.say(f"{name}: only candidates predicted at or below {limit_ms:g} ms are trained")
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
    columns = ["arch", *(f"predicted_latency_ms_{name}" for name in models.targets)]
    predicted = np.stack([model.predict(archs) for model in models.targets.values()], axis=1)
    rows = ([models.space.to_str(arch), *row] for arch, row in zip(archs, predicted.tolist(), strict=True))
    write_csv(folder / "predictions.csv", space_text(models.space), columns, rows)
