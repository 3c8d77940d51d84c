"""After the search: the best networks as they really run on each target, beside what was predicted of them."""

from __future__ import annotations

import copy
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from pathlib import Path

import numpy as np

from nas_proxy import files
from nas_proxy.devices import get_device, measure
from nas_proxy.ranking.kendall import kendall_tau
from nas_proxy.ranking.pareto import pareto_front, recommended
from nas_proxy.report import Check
from nas_proxy.search import Evaluated
from nas_proxy.search.settings import SearchSettings
from nas_proxy.terminal.console import Terminal
from nas_proxy.terminal.search import checks_page
from nas_proxy.ties import levels

__all__ = ["evaluate", "finalists_of"]

_MEASURE_S = 3.0  # a pair of networks, before and after rewriting, on this machine


def finalists_of(
    results: Sequence[Evaluated], targets: Sequence[str], limits_ms: Mapping[str, float], count: int
) -> list[Evaluated]:
    """For each target the recommended network and its neighbours on the target's own front, ``count`` in all."""
    found: dict[str, Evaluated] = {}
    accuracy = [result.accuracy for result in results]
    for target in targets:
        latency_ms = [result.latency_ms[target] for result in results]
        chosen = recommended(accuracy, latency_ms, limits_ms.get(target))
        if chosen is None:
            continue
        front = [int(i) for i in pareto_front(accuracy, latency_ms)]
        place = front.index(chosen)
        nearest = sorted(range(len(front)), key=lambda i: (abs(i - place), i))[:count]
        found |= {results[front[i]].arch: results[front[i]] for i in sorted(nearest)}
    return list(found.values())


def evaluate(settings: SearchSettings, finalists: Sequence[Evaluated], folder: Path, terminal: Terminal) -> None:
    """Evaluate finalists on every target that is a device; of a table, only what it holds is known.

    ``checks.json`` says what the predictions were worth, ``finalists.json`` and ``.csv`` how fast each can be made.
    """
    space = settings.make_space()
    archs = [space.from_str(result.arch) for result in finalists]
    devices = {name: get_device(target.device) for name, target in settings.targets.items() if target.device}
    checks, optimised = [], []
    for name, device in devices.items():
        path = folder / "measurements" / f"{name}-finalists.csv"
        with terminal.progress(f"finalists on {name}") as on_progress:
            table = measure(device, space, archs, path, on_progress=on_progress)
        true_ms = table.latency_ms(device.name)[table.rows(archs)]
        checks.append(_check(name, finalists, true_ms, settings.limits_ms.get(name)))
        if not device.known_only:
            optimised.append(copy.copy(device))
            optimised[-1].name = name  # as the user calls it
    if not checks:
        return
    from nas_proxy.finalists import evaluate_finalists  # brings the simulators, half a second
    from nas_proxy.terminal.finalists import finalists_page

    files.write_json(folder / "checks.json", [asdict(check) for check in checks])
    terminal.show(checks_page(checks))
    if not optimised:
        return
    with terminal.progress("optimising finalists") as on_progress:
        table = evaluate_finalists(archs, optimised, space=space, measure_seconds=_MEASURE_S, on_progress=on_progress)
    table.to_json(folder / "finalists.json")
    table.to_csv(folder / "finalists.csv")
    terminal.show(finalists_page(table))


def _check(target: str, finalists: Sequence[Evaluated], true_ms: np.ndarray, limit_ms: float | None) -> Check:
    archs = tuple(result.arch for result in finalists)
    accuracy = tuple(result.accuracy for result in finalists)
    predicted_ms = tuple(result.latency_ms[target] for result in finalists)
    telling = min(levels(predicted_ms).max(), levels(true_ms).max()) >= 2  # at least three different values
    chosen, best = recommended(accuracy, predicted_ms, limit_ms), recommended(accuracy, true_ms, limit_ms)
    return Check(
        target=target,
        archs=archs,
        accuracy=accuracy,
        predicted_ms=predicted_ms,
        true_ms=tuple(map(float, true_ms)),
        kendall_tau=kendall_tau(predicted_ms, true_ms) if telling else None,
        chosen=None if chosen is None else archs[chosen],
        best=None if best is None else archs[best],
    )
