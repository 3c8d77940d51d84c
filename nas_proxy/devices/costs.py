"""What graphs cost on a device, node by node, so that a substitution is priced by what it changes."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Protocol, runtime_checkable

from nas_proxy.graph import Annotation, Node, NodeCost, TensorGraph, annotate

__all__ = ["GraphCost", "NodewiseCost", "Priced", "annotate_known", "changed_nodes", "part_of", "signature"]


@dataclass(frozen=True)
class Priced:
    """A graph and what it costs; ``by_node`` holds the cost of each node by name, in the same unit."""

    graph: TensorGraph
    total: float
    by_node: Mapping[str, float]


@runtime_checkable
class GraphCost(Protocol):
    """What graphs cost on a device. ``reprice`` gives what ``price`` would, from the price of a similar graph."""

    @property
    def name(self) -> str:
        """Of the target, for messages."""
        ...

    @property
    def unit(self) -> str:
        """Of every cost, such as ``ms``."""
        ...

    @property
    def spent(self) -> int:
        """Evaluations of a simulator so far; 0 where there is none."""
        ...

    def save(self) -> None:
        """Keep what was worked out, for the next time."""
        ...

    def price(self, graph: TensorGraph) -> Priced:
        """The cost of a graph, from nothing."""
        ...

    def reprice(self, before: Priced, after: TensorGraph) -> Priced:
        """The cost of ``after``, a graph that shares most nodes with ``before``."""
        ...


class NodewiseCost(ABC):
    """A cost that is the sum of what nodes cost, each known from the node and what is around it.

    ``reach`` is how many edges away a change can alter the cost of a node: what feeds it may be fused with it.
    """

    reach = 1

    @property
    @abstractmethod
    def name(self) -> str:
        """As :attr:`GraphCost.name`."""
        ...

    @property
    @abstractmethod
    def unit(self) -> str:
        """As :attr:`GraphCost.unit`."""
        ...

    @property
    def spent(self) -> int:
        """Evaluations of a simulator so far; 0 where there is none."""
        return 0

    def save(self) -> None:  # noqa: B027
        """Keep what was worked out, for the next time. The default keeps nothing."""

    @abstractmethod
    def node_cost(self, graph: TensorGraph, node: Node) -> float:
        """What one node costs where it stands, not below 0."""

    def price(self, graph: TensorGraph) -> Priced:
        """The cost of a graph, from nothing."""
        return self._sum(graph, {node.name: self.node_cost(graph, node) for node in graph.nodes})

    def reprice(self, before: Priced, after: TensorGraph) -> Priced:
        """The cost of a graph that shares most nodes with one whose cost is known: only what differs is looked at."""
        changed = changed_nodes(before.graph, after, self.reach)
        by_node = {
            node.name: self.node_cost(after, node) if node.name in changed else before.by_node[node.name]
            for node in after.nodes
        }
        return self._sum(after, by_node)

    def _sum(self, graph: TensorGraph, by_node: dict[str, float]) -> Priced:
        return Priced(graph, sum(by_node.values()), by_node)


def changed_nodes(before: TensorGraph, after: TensorGraph, reach: int) -> set[str]:
    """Names of nodes of ``after`` that are new, or within ``reach`` edges of what is new or gone."""
    old, new = {n.name: n for n in before.nodes}, {n.name: n for n in after.nodes}
    added = [n for n in after.nodes if old.get(n.name) is not n]
    removed = [n for n in before.nodes if new.get(n.name) is not n]
    names = {name for node in (*added, *removed) for name in (*node.reads, *node.makes)}
    changed = {node.name for node in added}
    for _ in range(reach):
        near = {r.name for name in names for r in after.consumers.get(name, ())}
        near |= {after.producers[name].name for name in names if name in after.producers}
        changed |= near
        names = {name for node in near for name in (*new[node].reads, *new[node].makes)}
        names = {name for name in names if not after.values[name].is_constant}
    return changed


def signature(graph: TensorGraph, node: Node) -> tuple:
    """What determines how long a node takes by itself: operator, attributes, shapes, which inputs are constant."""
    attributes = tuple(sorted((key, str(value)) for key, value in node.attributes.items()))
    sources = tuple(v and (v.shape, v.dtype, v.is_constant) for v in graph.inputs_of(node))
    return node.domain, node.operator, attributes, sources, tuple(graph.values[name].shape for name in node.makes)


def annotate_known(graph: TensorGraph, node: Node, precision: str, *, around: int = 0) -> tuple[Annotation, NodeCost]:
    """A node's own costs, in a graph of it and what is up to ``around`` edges away.

    An operator without a cost formula is taken as moving its inputs and outputs.
    """
    nodes = {node.name: node}
    for _ in range(around):
        for near in tuple(nodes.values()):
            for name in near.reads:
                if (producer := graph.producers.get(name)) is not None:
                    nodes.setdefault(producer.name, producer)
    for name in (*node.reads, *node.makes):
        for reader in graph.consumers.get(name, ()):
            nodes.setdefault(reader.name, reader)
    chosen = [near for near in nodes.values() if near is node or _is_known(near)]
    part = part_of(graph, chosen)
    if not _is_known(node):
        size = sum(graph.values[n].bytes for n in node.reads if not graph.values[n].is_constant)
        cost = NodeCost(node, "movement", 0, 0, size, sum(graph.values[n].bytes for n in node.makes))
        return Annotation(part, precision, (cost,)), cost
    annotation = annotate(part, precision)
    return annotation, next(cost for cost in annotation.costs if cost.node is node)


def _is_known(node: Node) -> bool:
    from nas_proxy.graph._cost import _formulas

    return (f"{node.domain}.{node.operator}" if node.domain not in ("", "ai.onnx") else node.operator) in _formulas


def part_of(graph: TensorGraph, nodes: list[Node]) -> TensorGraph:
    """Some nodes of a graph as a graph, in the order of the graph."""
    wanted = {node.name for node in nodes}
    kept = [node for node in graph.nodes if node.name in wanted] if len(nodes) > 1 else nodes
    made = {name for node in kept for name in node.makes}
    used = dict.fromkeys(name for node in kept for name in (*node.reads, *node.makes))
    values = {name: graph.values[name] for name in used}
    inputs = tuple(name for name in used if name not in made and not values[name].is_constant)
    outputs = tuple(name for name in used if name in made)
    return TensorGraph(tuple(kept), values, inputs, outputs, "part", graph.opset)
