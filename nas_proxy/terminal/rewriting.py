"""What came of looking for a cheaper equivalent of a network."""

from __future__ import annotations

from dataclasses import asdict

from nas_proxy import extensions
from nas_proxy.errors import UnknownNameError
from nas_proxy.rewriting.optimising import Optimised
from nas_proxy.terminal.tables import Column, Page, Table

__all__ = ["optimised_page"]

_ENDS = {
    "done": "the search had nothing more to try",
    "evaluations": "the search ended at its limit of evaluations",
    "seconds": "the search ended at its time limit",
    "interrupted": "the search was interrupted",
}


def optimised_page(done: Optimised) -> Page:
    """The substitutions, what they save, and what was checked."""
    found = done.rewritten
    columns = [Column("rule", "rule"), Column("times", "times"), Column("helps", "what it is for")]
    rows = [[name, times, _helps(name)] for name, times in found.by_rule.items()]
    table = Table("substitutions", columns, rows, f"{found.rewriter}: {len(found.edits)} substitutions")
    notes = [
        f"cost {found.cost_before:.4g} -> {found.cost_after:.4g} {found.unit} ({found.speedup:.3f} times), "
        f"{found.evaluations} networks looked at; {_ENDS.get(found.stopped, found.stopped)}",
        f"largest relative error of a substitution in float64: {done.error:.1g}" if found.edits else "",
        f"measured: {done.measured}" if done.measured and not done.refused else "",
        f"the original is kept: {done.refused}" if done.refused else "",
    ]
    if done.unknown:
        notes.append("left as they are: " + ", ".join(f"{name} ({count})" for name, count in done.unknown.items()))
    facts = {"rewriter": found.rewriter, "cost_before": found.cost_before, "cost_after": found.cost_after}
    facts |= {"unit": found.unit, "evaluations": found.evaluations, "largest_error": done.error, "kept": done.refused}
    facts |= {"measured": asdict(done.measured) if done.measured else None, "left_alone": done.unknown}
    return Page([*([table] if found.edits else []), *filter(None, notes)], {"substitutions": [], **facts})


def _helps(name: str) -> str:
    try:
        return extensions.get("rules", name).helps
    except UnknownNameError:  # not a rule by itself, but what a rewriter made of several
        return ""
