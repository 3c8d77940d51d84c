"""The finalists as the page shows them: what each optimisation gained, which layers take the time, the stages."""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass
from typing import TYPE_CHECKING

from nas_proxy.report.folder import Run

if TYPE_CHECKING:
    from nas_proxy.finalists import Finalist, LayerCost, PipelineStage, Variant

__all__ = ["FinalistView", "Rest", "views"]

_LAYERS = 12


@dataclass(frozen=True)
class Rest:
    """The layers that are not shown one by one."""

    count: int
    latency_ms: float


@dataclass(frozen=True)
class FinalistView:
    """A network on a target; ``number`` is None for one that the search has not evaluated.

    ``plain_ms`` is its latency before any optimisation; ``gain`` the share that all of them save of the latency, or
    where the target tells a throughput, of the time per input.
    """

    number: int | None
    arch: str
    target: str
    accuracy: float | None
    latency_ms: float
    plain_ms: float | None
    gain: float | None
    interval_ms: tuple[float, float] | None
    energy_mj: float | None
    throughput_per_s: float | None
    utilization: float | None
    variants: tuple[Variant, ...]
    layers: tuple[LayerCost, ...]
    rest: Rest
    stages: tuple[PipelineStage, ...]
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
    variants = {variant.name: variant for variant in finalist.variants}
    plain, best = variants.get("nothing"), variants.get("all")
    return FinalistView(
        number=network.number if network else None,
        arch=finalist.arch,
        target=finalist.target,
        accuracy=network.accuracy if network else None,
        latency_ms=finalist.latency_ms,
        plain_ms=plain.latency_ms if plain else None,
        gain=1 - _pace(best) / _pace(plain) if plain and best else None,
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


def _pace(variant: Variant) -> float:
    """Seconds per input of a pipeline that is full; of others the latency."""
    return 1 / variant.throughput_per_s if variant.throughput_per_s else variant.latency_ms / 1e3
