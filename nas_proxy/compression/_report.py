"""What compression has done to a policy: a record, as CSV, as JSON and as a picture."""

from __future__ import annotations

import io
import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from nas_proxy import files
from nas_proxy.compression._footprint import ENERGY_MODEL, Footprint, Timing
from nas_proxy.compression._returns import Kept, Returns
from nas_proxy.datasets.csv_rows import write_csv
from nas_proxy.errors import InputError, from_extra

__all__ = ["CompressionReport", "plot", "read_json", "to_csv", "to_json"]


@dataclass(frozen=True)
class CompressionReport:
    """One method on one policy. ``before`` is the policy itself, deployed in float32 by the same runtime.

    Attributes:
        kept: share of the return above ``floor``; the verdict compares it with ``keep``.
        noise: standard deviation of ``evaluate`` under one and the same seed; above 0, seeds are not paired.
    """

    method: str
    returns_before: Returns
    returns_after: Returns
    kept: Kept
    floor: float
    keep: float
    noise: float
    before: Footprint
    after: Footprint

    @property
    def keeps(self) -> bool:
        """The verdict: at least ``keep`` of the return is kept."""
        return self.kept.share >= self.keep

    @property
    def times_smaller(self) -> float:
        """The file before over the file after, in bytes."""
        return self.before.file_bytes / self.after.file_bytes

    @property
    def verdict(self) -> str:
        """In words, how sure it is, and which form is faster."""
        certain = self.kept.low >= self.keep or self.kept.high < self.keep
        text = f"{'keeps' if self.keeps else 'loses'}: {self.kept.share:.1%} of the return"
        text += f" ({self.kept.low:.1%} to {self.kept.high:.1%}), at least {self.keep:.0%} wanted"
        if not certain:
            text += "; the interval holds both answers: more seeds would tell"
        if self.noise:
            text += f"; evaluate is not deterministic under a seed (noise {self.noise:.3g}): seeds are not paired"
        return f"{text}. {self.advice}"

    @property
    def advice(self) -> str:
        """At which batch size the compressed form is slower, so that float32 is the one to run."""
        slower = [
            f"batch {size} ({after.median_us:.3g} against {before.median_us:.3g} us)"
            for size, before, after in (
                (1, self.before.batch_1, self.after.batch_1),
                (256, self.before.batch_256, self.after.batch_256),
            )
            if _surely_slower(after, before)
        ]
        if not slower:
            return "Not slower than float32."
        return f"Slower than float32 at {' and '.join(slower)}: where time counts there, run the policy in float32."


def _surely_slower(after: Timing, before: Timing) -> bool:
    return after.low_us > before.high_us and after.median_us > 1.02 * before.median_us


_COLUMNS = {
    "method": lambda r: r.method,
    "keeps": lambda r: "yes" if r.keeps else "no",
    "kept": lambda r: f"{r.kept.share:.4f}",
    "kept_low": lambda r: f"{r.kept.low:.4f}",
    "kept_high": lambda r: f"{r.kept.high:.4f}",
    "return_before": lambda r: f"{r.returns_before.mean:.6g}",
    "return_after": lambda r: f"{r.returns_after.mean:.6g}",
    "return_after_low": lambda r: f"{r.returns_after.low:.6g}",
    "return_after_high": lambda r: f"{r.returns_after.high:.6g}",
    "episodes": lambda r: r.returns_after.episodes,
    "noise": lambda r: f"{r.noise:.3g}",
    "times_smaller": lambda r: f"{r.times_smaller:.2f}",
    "file_bytes": lambda r: r.after.file_bytes,
    "weight_bytes": lambda r: r.after.weight_bytes,
    "memory_bytes": lambda r: "" if r.after.memory_bytes is None else r.after.memory_bytes,
    "macs": lambda r: r.after.macs,
    "int8_macs": lambda r: r.after.int8_macs,
    "energy_nj": lambda r: f"{r.after.energy_nj:.4g}",
    "batch_1_us": lambda r: f"{r.after.batch_1.median_us:.4g}",
    "batch_1_q25_us": lambda r: f"{r.after.batch_1.q25_us:.4g}",
    "batch_1_q75_us": lambda r: f"{r.after.batch_1.q75_us:.4g}",
    "batch_1_float32_us": lambda r: f"{r.before.batch_1.median_us:.4g}",
    "batch_256_us": lambda r: f"{r.after.batch_256.median_us:.4g}",
    "batch_256_q25_us": lambda r: f"{r.after.batch_256.q25_us:.4g}",
    "batch_256_q75_us": lambda r: f"{r.after.batch_256.q75_us:.4g}",
    "batch_256_float32_us": lambda r: f"{r.before.batch_256.median_us:.4g}",
    "advice": lambda r: r.advice,
}


def to_csv(reports: Sequence[CompressionReport], path: str | Path) -> Path:
    """One row a method."""
    return write_csv(path, None, tuple(_COLUMNS), ([column(of) for column in _COLUMNS.values()] for of in reports))


def to_json(reports: Sequence[CompressionReport], path: str | Path, **about: Any) -> Path:
    """Everything in them, the model of the energy, and what else is said ``about`` them."""
    rows = [asdict(report) | {"keeps": report.keeps, "verdict": report.verdict} for report in reports]
    return files.write_json(path, {**about, "energy_model": ENERGY_MODEL, "reports": rows})


def read_json(path: str | Path) -> tuple[dict[str, Any], list[CompressionReport]]:
    """What :func:`to_json` has written: what it says about the reports, and the reports.

    Raises:
        InputError: the file holds something else.
    """
    try:
        about = json.loads(Path(path).read_text())
        reports = [_report(row) for row in about.pop("reports")]
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise InputError(f"{path} does not hold compression reports: {error!r}. Give another file or folder.") from None
    return about, reports


def _report(row: dict[str, Any]) -> CompressionReport:
    def taken(values: dict[str, Any]) -> Footprint:
        times = {name: Timing(**values[name]) for name in ("batch_1", "batch_256")}
        return Footprint(**{**values, **times})

    parts = {
        "returns_before": Returns(**row["returns_before"]),
        "returns_after": Returns(**row["returns_after"]),
        "kept": Kept(**row["kept"]),
        "before": taken(row["before"]),
        "after": taken(row["after"]),
    }
    return CompressionReport(**parts, **{name: row[name] for name in ("method", "floor", "keep", "noise")})


def plot(reports: Sequence[CompressionReport], path: str | Path, title: str = "") -> Path:
    """Share of the return kept against size, and against latency at batch 1 and 256; as .png, .svg or .pdf."""
    with from_extra("draw", "a picture"):
        from matplotlib.backends.backend_agg import FigureCanvasAgg
        from matplotlib.figure import Figure

    figure = Figure(figsize=(12, 4.2), layout="constrained")
    FigureCanvasAgg(figure)
    panels = {
        "file, kB": lambda of: of.file_bytes / 1e3,
        "batch 1, us": lambda of: of.batch_1.median_us,
        "batch 256, us": lambda of: of.batch_256.median_us,
    }
    for axis, (label, value) in zip(figure.subplots(1, 3, sharey=True), panels.items(), strict=True):
        for kind, colour in _KINDS.items():
            of_kind = [report for report in reports if _kind(report.method) == kind]
            if of_kind:
                shares = [max(report.kept.share, 0.0) for report in of_kind]
                axis.scatter([value(r.after) for r in of_kind], shares, s=28, color=colour, label=kind)
        axis.axhline(reports[0].keep, color="grey", linewidth=0.8, linestyle="--")
        axis.axvline(value(reports[0].before), color="grey", linewidth=0.8, linestyle=":")
        axis.set(xlabel=label, xscale="log")
    figure.axes[0].set_ylabel("share of the return kept")
    figure.axes[-1].legend(fontsize=8)
    figure.suptitle(title or "dashed: the share to keep; dotted: float32", fontsize=10)
    path = Path(path)
    out = io.BytesIO()
    figure.savefig(out, format=path.suffix.lstrip(".") or "png", dpi=130)
    return files.write_bytes(path, out.getvalue())


_KINDS = {
    "float32": "black", "quantized": "tab:blue", "pruned": "tab:red", "pruned, distilled": "tab:green",
    "pruned, quantized": "tab:purple",
}  # fmt: skip


def _kind(method: str) -> str:
    pruned, quantized = method.startswith("L"), method.split()[-1] in {"PTDQ", "PTSQ", "QAT"}
    if not pruned:
        return "quantized" if quantized else "float32"
    return "pruned, quantized" if quantized else "pruned, distilled" if "distil" in method else "pruned"
