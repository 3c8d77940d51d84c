"""Where a network's multiply-accumulates and bytes are."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from nas_proxy.graph._cost import Annotation, NodeCost
from nas_proxy.terminal.tables import Column, Drawing, Page, Table

__all__ = ["graph_page"]

_SHADES = " ▁▂▃▄▅▆▇█"
_WIDTH = 66


def _kilobytes(size: float) -> str:
    return f"{size / 1e3:,.1f}"


_NUMBERS = (
    Column("macs", "M MACs", lambda macs: f"{macs / 1e6:,.2f}"),
    Column("parameter_bytes", "weights kB", _kilobytes),
    Column("input_bytes", "in kB", _kilobytes),
    Column("output_bytes", "out kB", _kilobytes),
)


def graph_page(annotation: Annotation, *, rows: int | None = None) -> Page:
    """The costs of each kind of operator and of each operator, and a picture of them along the network.

    Args:
        rows: only so many operators, those with most MACs, else most activation bytes.
    """
    graph = annotation.graph
    title = (
        f"{graph.name}: {len(graph.nodes)} operators, {annotation.macs / 1e6:,.1f} M MACs, "
        f"{annotation.parameter_bytes / 1e6:,.2f} MB of parameters at {annotation.precision}"
    )
    facts = {"network": graph.name, "macs": annotation.macs, "parameter_bytes": annotation.parameter_bytes}
    facts |= {"precision": annotation.precision}
    return Page([title, _kinds(annotation), _operators(annotation, rows), Drawing(_picture(annotation.costs))], facts)


def _kinds(annotation: Annotation) -> Table:
    columns = [Column("kind", "kind"), Column("number", "number"), *_NUMBERS]
    columns.append(Column("share_of_macs", "of all MACs", ".1%"))
    rows = []
    for kind, cost in annotation.by_kind.items():
        count = sum(c.kind == kind for c in annotation.costs)
        rows.append([kind, count, *_numbers(cost), cost.macs / annotation.macs if annotation.macs else None])
    return Table("kinds", columns, rows, "by kind of operator")


def _operators(annotation: Annotation, most: int | None) -> Table:
    costs = annotation.costs
    shown = range(len(costs))
    if most is not None:
        by_size = sorted(shown, key=lambda i: (-costs[i].macs, -costs[i].input_bytes - costs[i].output_bytes))
        shown = sorted(by_size[:most])
    columns = [Column("node", "node"), Column("operator", "operator"), Column("shape", "output", _times), *_NUMBERS]
    rows = []
    for cost in (costs[i] for i in shown):
        shape = annotation.graph.values[cost.node.makes[0]].shape if cost.node.makes else ()
        rows.append([cost.node.name, cost.node.operator, list(shape), *_numbers(cost)])
    title = f"{len(rows)} of {len(costs)} operators" if most is not None else "operators"
    return Table("operators", columns, rows, title)


def _times(shape: Sequence[Any]) -> str:
    return "x".join(map(str, shape))


def _numbers(cost: NodeCost) -> list[float]:
    return [cost.macs, cost.parameter_bytes, cost.input_bytes, cost.output_bytes]


def _picture(costs: Sequence[NodeCost]) -> str:
    """MACs, parameters and activations along the network: each column is an equal share of its operators."""
    width = max(1, min(_WIDTH, len(costs)))
    lines = ["", "from input to output; equal numbers of operators a column:"]
    for label, values in [
        ("MACs       ", [c.macs for c in costs]),
        ("parameters ", [c.parameter_bytes for c in costs]),
        ("activations", [c.input_bytes + c.output_bytes for c in costs]),
    ]:
        columns = [0.0] * width
        for i, value in enumerate(values):
            columns[i * width // len(values)] += value
        top = max(columns) or 1.0
        lines.append(f"{label} " + "".join(_SHADES[round(value / top * 8)] for value in columns))
    return "\n".join(lines)
