"""A policy made smaller by a grid of methods."""

from __future__ import annotations

from nas_proxy.compression.sweep import Sweep
from nas_proxy.terminal.tables import Column, Page, Table

__all__ = ["sweep_page"]


def sweep_page(found: Sweep) -> Page:
    """Each method, the smallest file first, and what was chosen."""
    columns = [
        Column("method", "method"),
        Column("kept", "kept", ".1%"),
        Column("kept_interval", "95 % interval", lambda ends: f"{ends[0]:.1%} to {ends[1]:.1%}"),
        Column("file_bytes", "file kB", lambda size: f"{size / 1e3:.1f}"),
        Column("times_smaller", "smaller", ".1f"),
        Column("energy_nj", "energy nJ", ".3g"),
        Column("batch_1_us", "batch 1 us", ".3g"),
        Column("batch_256_us", "batch 256 us", ".4g"),
        Column("keeps", None),
    ]
    rows, styles, chosen = [], [], found.chosen
    for report in found.reports:
        kept, after = report.kept, report.after
        times_us = [after.batch_1.median_us, after.batch_256.median_us]
        size = [after.file_bytes, report.times_smaller, after.energy_nj]
        rows.append([report.method, kept.share, [kept.low, kept.high], *size, *times_us, report.keeps])
        is_chosen = chosen is not None and report.method == chosen.method
        styles.append("bold green" if is_chosen else "" if report.keeps else "dim")
    table = Table("methods", columns, rows, "smallest first", styles=styles)
    if chosen is None:
        note = "None keeps the return: try more distillation ('L2 0.3 + distil 200'), or lower ratios."
        return Page([table, note], {"chosen": None})
    fastest = {f"batch {batch}": found.fastest(batch) for batch in (1, 256)}
    notes = [
        f"Chosen: {chosen.method}, {chosen.times_smaller:.1f} times smaller. On fresh seeds: {chosen.verdict}",
        f"Fastest that keep the return: {' and '.join(f'{name} at {batch}' for batch, name in fastest.items())}.",
    ]
    return Page([table, *notes], {"chosen": chosen.method, "fastest": fastest})
