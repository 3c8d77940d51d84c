"""What a search found: the Pareto front, and the finalists as they really are beside what was predicted of them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict

from nas_proxy.report import Check
from nas_proxy.search import Evaluated
from nas_proxy.terminal.tables import Column, Page, Table

__all__ = ["checks_page", "front_page"]


def front_page(front: Sequence[Evaluated], targets: Sequence[str]) -> Page:
    """The Pareto front, fastest first, with the latency predicted for each target."""
    latencies = [Column(f"predicted_latency_ms_{name}", f"{name} [ms]", ".3g") for name in targets]
    columns = [Column("accuracy", "accuracy", ".2f"), *latencies, Column("arch", "architecture")]
    rows = [[each.accuracy, *(each.latency_ms[name] for name in targets), each.arch] for each in front]
    return Page([Table("front", columns, rows, "Pareto front: accuracy against predicted latency")])


def checks_page(checks: Sequence[Check]) -> Page:
    """For each target the finalists as predicted and as found, and which of them to take."""
    columns = [
        Column("target", None),
        Column("accuracy", "accuracy", ".2f"),
        Column("predicted_ms", "predicted [ms]", ".3g"),
        Column("found_ms", "found [ms]", ".3g"),
        Column("arch", "architecture"),
    ]
    blocks = []
    for check in checks:
        rows = zip(check.accuracy, check.predicted_ms, check.true_ms, check.archs, strict=True)
        rows = [[check.target, *row] for row in sorted(rows, key=lambda row: row[1])]
        blocks += [Table("checks", columns, rows, f"{check.target}: predicted and found"), _verdict(check)]
    return Page(blocks, {"checked": {check.target: asdict(check) for check in checks}})


def _verdict(check: Check) -> str:
    tau = "" if check.kendall_tau is None else f"Kendall's tau of these {check.kendall_tau:.2f}. "
    if check.chosen is None:
        return f"{tau}No finalist is predicted to keep the limit."
    if check.chosen == check.best:
        return f"{tau}The recommended network is the best of them: {check.chosen}"
    if check.best is None:
        return f"{tau}None of them keeps the limit in truth: lower the limit to leave room for the error of prediction."
    return f"{tau}By what was found, {check.best} is the one to take, not {check.chosen}."
