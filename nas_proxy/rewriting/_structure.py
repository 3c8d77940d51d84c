"""Whether two graphs are the same but for names and the order of nodes."""

from __future__ import annotations

from typing import Any

from nas_proxy.graph import Constant, Node, Subgraph, TensorGraph

__all__ = ["plain_attributes", "structural_hash"]

_COMMUTATIVE = {"Add", "Mul", "Max", "Min", "And", "Or", "Xor"}


def structural_hash(graph: TensorGraph) -> int:
    """Equal for graphs that compute the same in the same way, whatever their nodes and values are called.

    Constants count by contents, inputs by position, operands of sums and products without order. Within one process.
    """
    known: dict[str, int] = {name: hash(("input", i)) for i, name in enumerate(graph.inputs)}
    values = graph.values
    total = 0  # of all nodes: the same work done twice is not the same as once
    for node in graph.nodes:
        sources = []
        for name in node.reads if any(isinstance(a, Subgraph) for a in node.attributes.values()) else node.inputs:
            if name and name not in known:
                constant = values[name].constant
                assert constant is not None
                known[name] = hash(constant.content_hash)
            sources.append(known[name] if name else 0)
        if node.operator in _COMMUTATIVE:
            sources.sort()
        made = hash((node.operator, node.domain, plain_attributes(node), tuple(sources)))
        total += made
        for i, name in enumerate(node.outputs):
            if name:
                known[name] = hash((made, i))
    return hash((total, *(known.get(name, 0) for name in graph.outputs)))


def plain_attributes(node: Node) -> tuple[tuple[str, Any], ...]:
    """A node's attributes as something that can be hashed, constants by contents."""
    return tuple(sorted((key, _plain(value)) for key, value in node.attributes.items()))


def _plain(value: Any) -> Any:
    if isinstance(value, Constant):
        return value.content_hash
    if isinstance(value, Subgraph):
        return value.proto
    return tuple(value) if isinstance(value, list | tuple) else value
