"""A network's cheaper equivalent for a target: found once, then retraced from a list of rules and places."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from nas_proxy import extensions
from nas_proxy.cache import Records, digest
from nas_proxy.devices.costs import GraphCost
from nas_proxy.graph import TensorGraph
from nas_proxy.rewriting import Edit, apply
from nas_proxy.rewriting.optimising import verify_path

__all__ = ["Cheaper", "rewrite"]


@dataclass(frozen=True)
class Cheaper:
    """A graph, the substitutions that led to it by rule, and how many graphs were priced on the way, now."""

    graph: TensorGraph
    substitutions: Mapping[str, int]
    evaluations: int


def rewrite(
    graph: TensorGraph,
    cost: GraphCost,
    rewriter: str,
    *,
    evaluations: int,
    seed: int,
    known: Records | None,
    key: tuple[Any, ...],
) -> Cheaper:
    """The cheaper equivalent that a rewriter finds; every substitution is verified in float64.

    Args:
        known: paths found before; they are retraced without a search.
        key: plain values that say which graph, which costs and which code these are.
    """
    name = digest("rewriting", *key, rewriter, evaluations, seed)
    path = known.get(name) if known is not None else None
    if path is not None and (retraced := _retrace(graph, path)) is not None:
        return Cheaper(retraced, dict(Counter(rule for rule, _, _ in path)), 0)
    found = extensions.get("rewriters", rewriter).rewrite(graph, cost, evaluations=evaluations, seed=seed)
    verify_path(graph, found)
    if known is not None and (places := _places(graph, found.edits)) is not None:
        known.put(name, places)
    return Cheaper(found.graph, found.by_rule, found.evaluations)


def _places(graph: TensorGraph, edits: tuple[Edit, ...]) -> list[list[Any]] | None:
    """Rule, node, and which of the rule's substitutions there, for each edit; None where one is not found again."""
    places: list[list[Any]] = []
    for edit in edits:
        at_node = [_looks(other) for other in _edits(graph, edit.rule, edit.anchor)]
        if _looks(edit) not in at_node:
            return None
        places.append([edit.rule, edit.anchor, at_node.index(_looks(edit))])
        graph = apply(graph, edit)
    return places


def _retrace(graph: TensorGraph, places: list[list[Any]]) -> TensorGraph | None:
    """The graph at the end of a path; None where it does not lead through this graph."""
    try:
        for rule, anchor, which in places:
            graph = apply(graph, _edits(graph, rule, anchor)[which])
    except (ValueError, LookupError, TypeError):
        return None
    return graph


def _edits(graph: TensorGraph, rule: str, anchor: str) -> list[Edit]:
    return [
        edit for node in graph.nodes if node.name == anchor for edit in extensions.get("rules", rule).edits(graph, node)
    ]


def _looks(edit: Edit) -> tuple[Any, ...]:
    """What tells the substitutions of a rule at a node apart."""
    return tuple((n.operator, n.inputs, n.outputs) for n in edit.nodes), tuple(sorted(edit.renames.items()))
