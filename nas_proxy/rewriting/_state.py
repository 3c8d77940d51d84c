"""A graph in a search: its cost, and every substitution one step away."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property

from nas_proxy import extensions
from nas_proxy.devices.costs import GraphCost, Priced, changed_nodes
from nas_proxy.errors import InputError
from nas_proxy.graph import TensorGraph
from nas_proxy.rewriting._edit import Edit, apply
from nas_proxy.rewriting._rule import Rule
from nas_proxy.rewriting._structure import structural_hash

__all__ = ["RewriteState", "start"]

_OLDEST_OPSET = 13  # Split, Squeeze and ReduceSum took their present form


@dataclass(frozen=True, eq=False)
class RewriteState:
    """A priced graph; ``path`` are the substitutions that led to it, ``by_anchor`` those possible, by their node."""

    priced: Priced
    cost: GraphCost
    rules: Sequence[Rule]
    by_anchor: Mapping[str, tuple[Edit, ...]]
    path: tuple[Edit, ...] = ()

    @property
    def graph(self) -> TensorGraph:
        """The graph."""
        return self.priced.graph

    @property
    def total(self) -> float:
        """Its cost, in the unit of the cost model."""
        return self.priced.total

    @cached_property
    def candidates(self) -> tuple[Edit, ...]:
        """All substitutions, in the order of the graph's nodes."""
        return tuple(edit for node in self.graph.nodes for edit in self.by_anchor.get(node.name, ()))

    @cached_property
    def key(self) -> int:
        """The graph's structural hash."""
        return structural_hash(self.graph)

    def evaluate(self, edit: Edit) -> Priced:
        """The graph after a substitution and its cost; the substitutions possible there are not looked for."""
        return self.cost.reprice(self.priced, apply(self.graph, edit))

    def move(self, edit: Edit, priced: Priced | None = None) -> RewriteState:
        """The state after a substitution; candidates are found anew only around what changed."""
        priced = priced or self.evaluate(edit)
        after = priced.graph
        changed = changed_nodes(self.graph, after, max((rule.radius for rule in self.rules), default=0))
        found: dict[str, tuple[Edit, ...]] = {}
        for node in after.nodes:
            if node.name in changed or node.name == edit.anchor:
                edits = tuple(e for rule in self.rules for e in rule.edits(after, node))
            else:
                edits = self.by_anchor.get(node.name, ())
            if edits:
                found[node.name] = edits
        return RewriteState(priced, self.cost, self.rules, found, (*self.path, edit))


def start(graph: TensorGraph, cost: GraphCost, rules: Sequence[Rule] | None = None) -> RewriteState:
    """The state that a search starts from.

    Raises:
        InputError: the graph's opset is too old for the rules to write to.
    """
    if (version := graph.opset.get("", graph.opset.get("ai.onnx", 20))) < _OLDEST_OPSET:
        raise InputError(
            f"graph {graph.name!r} is of opset {version}, rewriting needs {_OLDEST_OPSET} or later: convert it with "
            "onnx.version_converter.convert_version(model, 18)."
        )
    rules = extensions.every("rules") if rules is None else tuple(rules)
    found = {node.name: tuple(e for rule in rules for e in rule.edits(graph, node)) for node in graph.nodes}
    return RewriteState(cost.price(graph), cost, rules, {name: edits for name, edits in found.items() if edits})
