"""Rankings adapted from a proxy, and what they are worth."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict
from typing import Any

from nas_proxy.ranking.from_csv import Adapted, Ranking
from nas_proxy.terminal.tables import Column, Drawing, Page, Table

__all__ = ["quality_page", "ranking_page"]


def ranking_page(ranking: Ranking, top: int) -> Page:
    """The first ``top`` of a ranking, and what it rests on."""
    adapted, space = ranking.adapted, ranking.adapted.model.proxy.space
    columns = [Column("predicted_latency_ms", "predicted [ms]", ".4g"), Column("arch", "architecture")]
    rows = [
        [latency_ms, space.to_str(arch)]
        for latency_ms, arch in zip(ranking.latency_ms[:top].tolist(), ranking.archs[:top], strict=True)
    ]
    if ranking.accuracy is not None:
        columns.insert(1, Column("accuracy", "accuracy [%]", ".2f"))
        for row, accuracy in zip(rows, ranking.accuracy.tolist(), strict=False):
            row.insert(1, accuracy)
    what = "fastest" if ranking.accuracy is None else "Pareto front"
    title = f"{what} on {adapted.target}: {len(rows)} of {len(ranking.archs)}"
    quality = adapted.model.monotonicity
    low, high = quality.interval
    note = (
        f"by the proxy {adapted.proxy} and {quality.n} measurements; Kendall's tau expected: "
        f"{quality.kendall_tau:.3f} (90 % interval {low:.2f} to {high:.2f}), {quality.verdict}"
    )
    return Page([Table("ranking", columns, rows, title), Drawing(note, wraps=True)], {"quality": _quality(adapted)})


def quality_page(adapted: Sequence[Adapted]) -> Page:
    """What each target's ranking is worth."""
    columns = [
        Column("target", "target"),
        Column("proxy", "proxy"),
        Column("n", "measured"),
        Column("kendall_tau", "Kendall's tau", ".3f"),
        Column("interval", "90 % interval", lambda ends: f"{ends[0]:.2f} to {ends[1]:.2f}"),
        Column("spearman", "Spearman", ".3f"),
        Column("verdict", None),
    ]
    found = [_quality(each) for each in adapted]
    rows = [[each[column.name] for column in columns] for each in found]
    title = "how well the predicted rankings will agree with the devices"
    verdicts = [Drawing(f"{each['target']}: {each['verdict']}", wraps=True) for each in found]
    return Page([Table("targets", columns, rows, title), *verdicts])


def _quality(adapted: Adapted) -> dict[str, Any]:
    quality = adapted.model.monotonicity
    return {"target": adapted.target, "proxy": adapted.proxy, **asdict(quality), "verdict": quality.verdict}
