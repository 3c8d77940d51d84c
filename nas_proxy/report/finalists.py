"""The finalists as the page shows them: what each optimisation gained, which layers take the time, the stages."""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass
from typing import TYPE_CHECKING

from nas_proxy.report.folder import Run

if TYPE_CHECKING:
    from nas_proxy.finalists import Finalist, LayerCost, Stage, Variant

__all__ = ["FinalistView", "Rest", "views"]

_LAYERS = 12


@dataclass(frozen=True)
class Rest:
    """The layers that are not shown one by one."""

    count: int
    latency_ms: float


@dataclass(frozen=True)
class FinalistView:
    """A network on a target; ``number`` is None for one that the search has not evaluated."""

    number: int | None
    arch: str
    target: str
    accuracy: float | None
    latency_ms: float
    interval_ms: tuple[float, float] | None
    energy_mj: float | None
    throughput_per_s: float | None
    utilization: float | None
    variants: tuple[Variant, ...]
    layers: tuple[LayerCost, ...]
    rest: Rest
    stages: tuple[Stage, ...]
    substitutions: dict[str, int]
    evaluations: int
    cpu_s: float


def views(run: Run) -> tuple[FinalistView, ...]:
    """All finalists of a run, target by target in the run's order, the fastest first."""
    if run.finalists is None:
        return ()
    place = defaultdict(lambda: len(run.targets), {name: i for i, name in enumerate(run.targets)})
    ordered = sorted(run.finalists.finalists, key=lambda f: (place[f.target], f.target, f.latency_ms))
    return tuple(_view(run, finalist) for finalist in ordered)


def _view(run: Run, finalist: Finalist) -> FinalistView:
    network = next((network for network in run.networks if network.arch == finalist.arch), None)
    layers = sorted(finalist.layers, key=lambda layer: -layer.latency_ms)
    rest = layers[_LAYERS:]
    return FinalistView(
        number=network.number if network else None,
        arch=finalist.arch,
        target=finalist.target,
        accuracy=network.accuracy if network else None,
        latency_ms=finalist.latency_ms,
        interval_ms=finalist.interval_ms,
        energy_mj=finalist.energy_mj,
        throughput_per_s=finalist.throughput_per_s,
        utilization=finalist.utilization,
        variants=finalist.variants,
        layers=tuple(layers[:_LAYERS]),
        rest=Rest(len(rest), sum(layer.latency_ms for layer in rest)),
        stages=finalist.stages,
        substitutions=dict(finalist.substitutions),
        evaluations=finalist.evaluations,
        cpu_s=finalist.cpu_s,
    )
