"""What devices answer: a latency, and what of it is gained by a mapping, a schedule or settings."""

from __future__ import annotations

from dataclasses import dataclass

__all__ = ["LatencyResult", "LayerCost", "Outcome", "PipelineStage", "Variant", "plain_outcome"]


@dataclass(frozen=True)
class LatencyResult:
    """What running a network once on a device takes. Devices that know more return a subclass.

    ``latency_ms`` is for one input batch; ``energy_mj`` (millijoule) is None where the device cannot tell.
    """

    latency_ms: float
    energy_mj: float | None = None

    @property
    def interval_ms(self) -> tuple[float, float] | None:
        """The 95 % interval of a measured latency; None where it is exact or not known."""
        return None


@dataclass(frozen=True)
class LayerCost:
    """What one operator takes. ``bound`` decides its time: ``compute``, or the name of a memory or link, or
    ``overhead``; ``measured`` where the device is measured, which does not say."""

    name: str
    operator: str
    latency_ms: float
    energy_mj: float | None
    bound: str
    utilization: float | None


@dataclass(frozen=True)
class Variant:
    """The network with one optimisation (``mapping``, ``scheduling``, ...), with ``nothing``, or ``all``."""

    name: str
    latency_ms: float
    energy_mj: float | None = None
    throughput_per_s: float | None = None

    @classmethod
    def of(cls, name: str, result: LatencyResult) -> Variant:
        """The variant that takes what a result says."""
        return cls(name, result.latency_ms, result.energy_mj, getattr(result, "throughput_per_s", None))


@dataclass(frozen=True)
class PipelineStage:
    """One device of a pipeline: its time, and the nodes it runs."""

    latency_ms: float
    nodes: tuple[str, ...]


@dataclass(frozen=True)
class Outcome:
    """A network on a device, as fast as the device can make it run.

    Attributes:
        variants: ``nothing`` first, then each optimisation by itself, ``all`` last: the best of them.
        value: what the device minimises, of ``all``; outcomes of one device are compared by it, number by number.
        layers: where the time of ``all`` goes, in the order of execution; what takes no time is left out.
        stages: of a pipeline, else empty.
        utilization: MACs over what the device could do in the time; None where not known.
        interval_ms: 95 % interval where the device is measured, else None.
        evaluations: mappings evaluated for it, without what was known before.
    """

    variants: tuple[Variant, ...]
    value: tuple[float, ...]
    layers: tuple[LayerCost, ...] = ()
    stages: tuple[PipelineStage, ...] = ()
    utilization: float | None = None
    interval_ms: tuple[float, float] | None = None
    evaluations: int = 0


def plain_outcome(result: LatencyResult, layers: tuple[LayerCost, ...] = ()) -> Outcome:
    """The outcome of a device that has nothing to optimise."""
    variants = Variant.of("nothing", result), Variant.of("all", result)
    return Outcome(variants, (result.latency_ms,), layers, interval_ms=result.interval_ms)
