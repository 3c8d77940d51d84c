"""The page: what is known of a run, set into the template with everything that it needs to work without a network."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import jinja2

import nas_proxy
from nas_proxy import files
from nas_proxy.errors import InputError
from nas_proxy.ranking.monotonicity import GOOD_ENOUGH
from nas_proxy.report.answers import Basis, Front, Progress, Recommendation, front, progress, recommend
from nas_proxy.report.evidence import (
    Density,
    Evidence,
    RankCorrelations,
    density,
    evidence,
    fit_models,
    predict_space,
    rank_correlations,
)
from nas_proxy.report.finalist_views import FinalistView, views
from nas_proxy.report.folder import Check, Network, Run, read_run
from nas_proxy.spaces import get_space

__all__ = ["write_report"]

_HERE = Path(__file__).parent
_BASIS: dict[Basis, str] = {
    "predicted": "predicted",
    "found": "found after the search",
    "optimised": "after optimisation",
}
_ELSEWHERE = {"space", "device", "name"}  # what other lines of the page say
_COMMON = {"machine", "protocol", "clock"}
_UNSAFE = {ord(c): f"\\u{ord(c):04x}" for c in "<>&\u2028\u2029"}  # ends a script element, or a line of one


@dataclass(frozen=True)
class TargetView:
    """All that the page shows of one target."""

    name: str
    limit_ms: float | None
    recommendation: Recommendation
    front: Front
    progress: Progress
    evidence: Evidence | None
    density: Density | None
    check: Check | None


@dataclass(frozen=True)
class Charts:
    """What the page's script draws."""

    networks: tuple[Network, ...]
    targets: tuple[TargetView, ...]
    correlations: RankCorrelations | None
    finalists: tuple[FinalistView, ...]


def write_report(run_folder: str | Path, output: str | Path, space: str | None = None) -> Path:
    """Write the report of a run as one HTML file that needs no network.

    Args:
        run_folder: what ``nas-proxy run`` has made.
        output: the file to write; one that is there is replaced.
        space: the run's search space where it is one of your own, ``module:Class``: a folder cannot have code run.

    Returns:
        Its path.

    Raises:
        InputError: the folder holds no run, no results yet or a damaged file, or ``output`` is a folder.
    """
    output = Path(output)
    if output.is_dir():
        raise InputError(f"{output} is a folder: name the HTML file to write, such as {output / 'report.html'}.")
    if space is not None:
        get_space(space)  # known by this name from now on
    run = read_run(run_folder)
    return files.write_text(output, _render(run, _charts(run)))


def _charts(run: Run) -> Charts:
    models = fit_models(run)
    space = predict_space(models) if models else {}
    targets = tuple(
        TargetView(
            name=name,
            limit_ms=run.limits_ms.get(name),
            recommendation=recommend(run, models, name),
            front=front(run, name),
            progress=progress(run, name),
            evidence=evidence(run, models, name) if models else None,
            density=density(space[name]) if space else None,
            check=next((check for check in run.checks if check.target == name), None),
        )
        for name in run.targets
    )
    correlations = rank_correlations(space) if space else None
    return Charts(run.networks, targets, correlations, views(run))


def _render(run: Run, charts: Charts) -> str:
    from plotly.offline import get_plotlyjs  # 5 MB; only a report needs it

    environment = jinja2.Environment(
        loader=jinja2.FileSystemLoader(_HERE),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters |= {
        "number": _number,
        "number2": "{:.2f}".format,
        "percent": lambda share: f"{100 * share:{'.1g' if 0 < abs(share) < 0.01 else '.0f'}} %",
    }
    notes = {**run.machines, **({"finalists": run.finalists.protocol} if run.finalists else {})}
    counts = sorted({e.stated.n for target in charts.targets if (e := target.evidence) is not None})
    return environment.get_template("page.html").render(
        run=run,
        charts=charts,
        size=_count(run.space.size) if run.samples else None,
        proxy_n=len(run.samples["proxy"]) if run.samples else 0,
        measured_n=" to ".join(map(str, dict.fromkeys((counts[0], counts[-1])))) if counts else "",
        answered=sum(t.recommendation.network is not None for t in charts.targets),
        distinct=len({t.recommendation.network.arch for t in charts.targets if t.recommendation.network}),
        basis=_BASIS,
        clip=lambda share: min(max(share, 0.0), 1.0),
        common=_common(run),
        notes={name: _facts(noted) for name, noted in notes.items()},
        numbers={network.arch: network.number for network in run.networks},
        good_enough=GOOD_ENOUGH,
        version=nas_proxy.__version__,
        data=script_safe(asdict(charts)),
        style=(_HERE / "page.css").read_text(encoding="utf-8"),
        script=(_HERE / "page.js").read_text(encoding="utf-8"),
        plotly=get_plotlyjs(),
    )


def script_safe(value: Any) -> str:
    """Plain data as JSON that can stand inside a script element."""
    return json.dumps(value, allow_nan=False, separators=(",", ":")).translate(_UNSAFE)


def _number(value: float) -> str:
    """Three significant digits, with their zeros; from 100 on all digits before the point."""
    if value == 0:
        return "0"
    return f"{value:,.0f}" if abs(value) >= 99.95 else f"{value:#.3g}".rstrip(".")


def _count(size: int) -> str:
    return f"{size:,}" if size < 1_000_000_000 else f"{size:.1e}".replace("e+", " × 10^")


@dataclass(frozen=True)
class Fact:
    """A line of how things were measured."""

    name: str
    value: str


def _facts(noted: Mapping[str, Any]) -> list[Fact]:
    """What is noted of a measurement, line by line."""
    device = noted.get("device")
    flat = {**(device if isinstance(device, Mapping) else {}), **noted}
    lines = {name: _joined(value) for name, value in flat.items() if name not in _ELSEWHERE}
    return [Fact(name.replace("_", " "), value) for name, value in lines.items() if value]


def _common(run: Run) -> list[Fact]:
    """Machine and protocol of what was measured on this machine, each once."""
    facts = [fact for noted in run.machines.values() for fact in _facts(noted) if fact.name in _COMMON]
    return list(dict.fromkeys(facts))


def _joined(value: Any) -> str:
    if value is None:
        return ""
    if isinstance(value, Mapping):
        return ", ".join(f"{str(key).replace('_', ' ')} {_joined(inner)}" for key, inner in value.items())
    return ", ".join(map(_joined, value)) if isinstance(value, list | tuple) else str(value)
