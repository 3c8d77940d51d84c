"""Where a network's multiply-accumulates and bytes are, to be read by a person."""

from __future__ import annotations

from rich.box import SIMPLE_HEAD
from rich.console import Group
from rich.markup import escape
from rich.table import Table
from rich.text import Text

from nas_proxy.graph._cost import Annotation, NodeCost

__all__ = ["picture", "render", "table"]

_SHADES = " ▁▂▃▄▅▆▇█"


def render(annotation: Annotation, *, rows: int | None = None) -> Group:
    """The tables of kinds and nodes, and the picture, ready to be printed by rich.

    ``rows``: only so many nodes, those with most MACs, else most activation bytes.
    """
    graph = annotation.graph
    title = (
        f"{graph.name}: {len(graph.nodes)} operators, {annotation.macs / 1e6:,.1f} M MACs, "
        f"{annotation.parameter_bytes / 1e6:,.2f} MB of parameters at {annotation.precision}"
    )
    return Group(Text(title, style="bold"), _kinds(annotation), table(annotation, rows=rows), picture(annotation))


def table(annotation: Annotation, *, rows: int | None = None) -> Table:
    """One row a node, in the graph's order."""
    shown = set(range(len(annotation.costs)))
    if rows is not None:
        costs = annotation.costs
        shown = set(sorted(shown, key=lambda i: (-costs[i].macs, -costs[i].input_bytes - costs[i].output_bytes))[:rows])
    title = f"{len(shown)} of {len(annotation.costs)} operators" if rows is not None else "operators"
    made = Table(title=title, box=SIMPLE_HEAD, padding=(0, 1, 0, 0))
    made.add_column("node", overflow="fold")  # names are read in full, and broken where the terminal is narrow
    for heading in ("operator", "output"):
        made.add_column(heading, no_wrap=True)
    for heading in ("M MACs", "weights kB", "in kB", "out kB"):
        made.add_column(heading, justify="right", no_wrap=True)
    for i, cost in enumerate(annotation.costs):
        if i in shown:
            shape = "x".join(map(str, annotation.graph.values[cost.node.makes[0]].shape)) if cost.node.makes else ""
            made.add_row(escape(cost.node.name), escape(cost.node.operator), shape, *_numbers(cost))
    return made


def picture(annotation: Annotation, *, width: int = 66) -> Text:
    """MACs, parameters and activations along the network: each column is an equal share of its operators."""
    costs = annotation.costs
    width = max(1, min(width, len(costs)))
    lines = Text("\nfrom input to output; equal numbers of operators a column:\n")
    for label, values in [
        ("MACs       ", [c.macs for c in costs]),
        ("parameters ", [c.parameter_bytes for c in costs]),
        ("activations", [c.input_bytes + c.output_bytes for c in costs]),
    ]:
        columns = [0.0] * width
        for i, value in enumerate(values):
            columns[i * width // len(values)] += value
        top = max(columns) or 1.0
        bars = "".join(_SHADES[round(value / top * 8)] for value in columns)
        lines.append(f"{label} ").append(bars, style="cyan").append("\n")
    return lines


def _kinds(annotation: Annotation) -> Table:
    made = Table(title="by kind of operator", box=SIMPLE_HEAD, padding=(0, 1, 0, 0))
    made.add_column("kind")
    for heading in ("number", "M MACs", "weights kB", "in kB", "out kB", "of all MACs"):
        made.add_column(heading, justify="right")
    for kind, cost in annotation.by_kind.items():
        count = sum(c.kind == kind for c in annotation.costs)
        share = f"{cost.macs / annotation.macs:.1%}" if annotation.macs else "-"
        made.add_row(kind, str(count), *_numbers(cost), share)
    return made


def _numbers(cost: NodeCost) -> tuple[str, ...]:
    sizes = (cost.parameter_bytes, cost.input_bytes, cost.output_bytes)
    return (f"{cost.macs / 1e6:,.2f}", *(f"{size / 1e3:,.1f}" for size in sizes))
