"""The result: every finalist on every target, as frozen data, CSV and JSON."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from nas_proxy import files
from nas_proxy.datasets.csv_rows import write_csv
from nas_proxy.devices.results import LayerCost, PipelineStage, Variant
from nas_proxy.errors import InputError, UnknownNameError

__all__ = ["Finalist", "FinalistTable", "writer"]


@dataclass(frozen=True)
class Finalist:
    """One architecture on one target, in the best variant found.

    Attributes:
        arch: canonical text.
        target: name of the device.
        latency_ms: of one input.
        interval_ms: 95 % interval where the target is measured, else None.
        energy_mj: of one input; None where the target cannot tell.
        throughput_per_s: inputs a second, where it differs from 1 / latency: in pipelines.
        utilization: MACs over what the target could do in the time; None where not known.
        variants: ``nothing`` first, ``all`` last. ``all`` is the best of them on the target's own objective.
        layers: where the time goes, in the order of execution; what takes no time is left out.
        stages: of a pipeline, else empty.
        substitutions: how often each rewriting rule was applied in the best variant.
        evaluations: mappings evaluated and graphs priced for this result, without what was known before.
        cpu_s: processor time it took when it was worked out.
    """

    arch: str
    target: str
    latency_ms: float
    interval_ms: tuple[float, float] | None
    energy_mj: float | None
    throughput_per_s: float | None
    utilization: float | None
    variants: tuple[Variant, ...]
    layers: tuple[LayerCost, ...]
    stages: tuple[PipelineStage, ...]
    substitutions: Mapping[str, int]
    evaluations: int
    cpu_s: float

    def variant(self, name: str) -> Variant:
        """A variant by name.

        Raises:
            UnknownNameError: the target has no such variant.
        """
        for variant in self.variants:
            if variant.name == name:
                return variant
        raise UnknownNameError("variant", name, [variant.name for variant in self.variants])

    @classmethod
    def from_dict(cls, plain: Mapping[str, Any]) -> Finalist:
        """From ``dataclasses.asdict``, through JSON or not."""
        return cls(
            **{
                **plain,
                "interval_ms": plain["interval_ms"] and tuple(plain["interval_ms"]),
                "variants": tuple(Variant(**variant) for variant in plain["variants"]),
                "layers": tuple(LayerCost(**layer) for layer in plain["layers"]),
                "stages": tuple(PipelineStage(stage["latency_ms"], tuple(stage["nodes"])) for stage in plain["stages"]),
            }
        )


@dataclass(frozen=True)
class FinalistTable:
    """All finalists on all targets; iterating gives them in the order of architectures, then of targets.

    Attributes:
        space: text of the search space, see :func:`nas_proxy.spaces.space_text`.
        finalists: one for each architecture and target.
        protocol: how they were found: versions, seed, mapper, evaluations, rewriter, machine; plain JSON.
    """

    space: str
    finalists: tuple[Finalist, ...]
    protocol: Mapping[str, Any] = field(default_factory=dict)

    def __iter__(self) -> Iterator[Finalist]:
        return iter(self.finalists)

    def __len__(self) -> int:
        return len(self.finalists)

    @property
    def archs(self) -> tuple[str, ...]:
        """Canonical texts, each once."""
        return tuple(dict.fromkeys(finalist.arch for finalist in self))

    @property
    def targets(self) -> tuple[str, ...]:
        """Names, each once."""
        return tuple(dict.fromkeys(finalist.target for finalist in self))

    def of(self, target: str) -> tuple[Finalist, ...]:
        """The finalists on one target.

        Raises:
            UnknownNameError: no such target; the message names the closest.
        """
        if target not in self.targets:
            raise UnknownNameError("target", target, self.targets)
        return tuple(finalist for finalist in self if finalist.target == target)

    def latency_ms(self, target: str) -> NDArray[np.float64]:
        """Latencies on one target in the order of its finalists, ``(n,)``.

        Raises:
            UnknownNameError: no such target.
        """
        return np.array([finalist.latency_ms for finalist in self.of(target)])

    def to_csv(self, path: str | Path) -> Path:
        """One row for each finalist and target, with the latency and energy of every variant."""
        names = list(dict.fromkeys(variant.name for finalist in self for variant in finalist.variants))
        plain = ["arch", "target", "latency_ms", "energy_mj", "throughput_per_s", "utilization"]
        more = [f"{name}_{what}" for name in names for what in ("latency_ms", "energy_mj")]
        rows = []
        for finalist in self:
            variants = {variant.name: variant for variant in finalist.variants}
            cells = [getattr(variants.get(n), what, None) for n in names for what in ("latency_ms", "energy_mj")]
            interval = finalist.interval_ms or (None, None)
            own = [getattr(finalist, column) for column in plain]
            rows.append([*own, *interval, *cells, finalist.evaluations, finalist.cpu_s])
        return write_csv(path, self.space, [*plain, "low_ms", "high_ms", *more, "evaluations", "cpu_s"], rows)

    def to_json(self, path: str | Path) -> Path:
        """Everything, as ``dataclasses.asdict``."""
        return files.write_json(path, asdict(self))

    @classmethod
    def from_json(cls, path: str | Path) -> FinalistTable:
        """What :meth:`to_json` wrote.

        Raises:
            InputError: the file cannot be read, or holds something else.
        """
        try:
            plain = json.loads(Path(path).read_text(encoding="utf-8"))
            finalists = tuple(map(Finalist.from_dict, plain["finalists"]))
            return cls(plain["space"], finalists, plain["protocol"])
        except (OSError, ValueError, KeyError, TypeError) as error:
            raise InputError(f"{path}: cannot be read as a table of finalists: {error!r}.") from None


def writer(path: Path) -> Callable[[FinalistTable], Path]:
    """What writes a table to a path, by its suffix.

    Raises:
        InputError: neither .csv nor .json.
    """
    if path.suffix not in (".csv", ".json"):
        raise InputError(f"{path}: finalists are written as .csv or .json, found {path.suffix or 'no suffix'!r}.")
    return lambda table: table.to_csv(path) if path.suffix == ".csv" else table.to_json(path)
