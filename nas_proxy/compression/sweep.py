"""A grid of methods on one policy, kept as it goes, and the smallest form that keeps the return."""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from safetensors.torch import save as save_tensors

from nas_proxy import files
from nas_proxy.compression._compress import CompressedPolicy, Compressor
from nas_proxy.compression._method import GRID, parse_method
from nas_proxy.compression._report import CompressionReport, plot, read_json, to_csv, to_json
from nas_proxy.compression._task import Task
from nas_proxy.errors import InputError

__all__ = ["Sweep", "sweep"]


@dataclass(frozen=True)
class Sweep:
    """All reports, smallest file first, and the choice.

    Attributes:
        chosen: on fresh seeds, the report of the smallest form that keeps the return on both; None where there is none.
    """

    reports: tuple[CompressionReport, ...]
    chosen: CompressionReport | None

    def fastest(self, batch: Literal[1, 256]) -> str:
        """The method that keeps the return in least time over float32's, each measured in turns with it."""
        ratios = {"float32": 1.0}
        for report in (report for report in self.reports if report.keeps):
            after, before = (getattr(of, f"batch_{batch}").median_us for of in (report.after, report.before))
            ratios[report.method] = after / before
        return min(ratios, key=ratios.__getitem__)


def sweep(
    task: Task,
    folder: str | Path,
    *,
    methods: Sequence[str] = (),
    keep: float = 0.95,
    seed: int = 0,
    on_progress: Callable[[int, int], None] | None = None,
) -> Sweep:
    """Try every method, write ``sweep.csv``, ``sweep.json`` and ``sweep.png``, and save the form that is chosen.

    What a method gave is kept in ``folder``, so that the same call goes on where it was interrupted. Candidates are
    tried on ``task.fresh_seeds`` from the smallest on, since the smallest of many that pass may have been lucky.

    Raises:
        InputError: as :func:`nas_proxy.compression.compress`; or the folder is of another policy, or other settings.
    """
    folder = Path(folder)
    wanted = [str(parse_method(method)) for method in methods or task.methods or GRID]
    compressor = Compressor(
        task.policy, task.evaluate, task.observations, seeds=task.seeds, floor=task.floor, keep=keep, seed=seed
    )
    _require_same(folder, compressor)
    for done, method in enumerate(wanted):
        if on_progress:
            on_progress(done, len(wanted))
        if not _stored(folder, method).is_file():
            to_json([compressor(method).report], _stored(folder, method))
    if on_progress:
        on_progress(len(wanted), len(wanted))
    reports = sorted((read_json(_stored(folder, m))[1][0] for m in wanted), key=lambda r: r.after.file_bytes)
    chosen = _choose(task, folder, reports, keep, seed)
    to_csv(reports, folder / "sweep.csv")
    to_json(reports, folder / "sweep.json", chosen=chosen and chosen.method)
    plot(reports, folder / "sweep.png")
    return Sweep(tuple(reports), chosen)


def _choose(
    task: Task, folder: Path, reports: Sequence[CompressionReport], keep: float, seed: int
) -> CompressionReport | None:
    compressor = None
    for report in (report for report in reports if report.keeps):
        path = folder / "confirmed" / _stored(folder, report.method).name
        if path.is_file():
            [found] = read_json(path)[1]
        else:
            compressor = compressor or Compressor(
                task.policy, task.evaluate, task.observations, seeds=task.fresh_seeds, floor=task.floor, keep=keep,
                seed=seed,
            )  # fmt: skip
            compressed = compressor(report.method)
            found = compressed.report
            if found.keeps:
                save(compressed, folder, task)
            to_json([found], path)
        if found.keeps:
            return found
    return None


def save(compressed: CompressedPolicy, folder: Path, task: Task) -> None:
    """``policy.onnx``, and the policy's own kind of file where it has one and nothing in it is quantized."""
    compressed.save(folder / "policy.onnx")
    if task.save is not None and compressed.method.quantization is None:
        task.save(compressed.network, folder / "policy.safetensors", str(compressed.method))


def _stored(folder: Path, method: str) -> Path:
    return folder / "methods" / (re.sub(r"[^\w.]+", "-", method) + ".json")


def _require_same(folder: Path, compressor: Compressor) -> None:
    """A sweep is of one policy and one set of settings: both are written down at its start."""
    weights = {name: value.contiguous().clone() for name, value in compressor.network.state_dict().items()}
    settings = {
        "weights": hashlib.blake2b(save_tensors(weights), digest_size=8).hexdigest(),
        "seeds": [min(compressor.seeds), max(compressor.seeds), len(compressor.seeds)],
        "floor": compressor.floor, "keep": compressor.keep, "seed": compressor.seed,
        "observations": compressor.observations.n,
    }  # fmt: skip
    path = folder / "settings.json"
    if not path.is_file():
        files.write_json(path, settings)
        return
    before = json.loads(path.read_text())
    if different := sorted(name for name in settings if before.get(name) != settings[name]):
        raise InputError(
            f"{folder} holds a sweep of another kind (different: {', '.join(different)}): give another folder, or "
            "remove it."
        )
