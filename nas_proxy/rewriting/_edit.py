"""A substitution at one place of a graph: the nodes that take over, and who reads what instead."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np

from nas_proxy.graph import Constant, Node, Subgraph, TensorGraph, Value, sort_nodes

__all__ = ["Edit", "Patch", "apply"]


@dataclass(frozen=True)
class Edit:
    """One application of a rule.

    A value's name stands for its contents: new nodes that make an existing value take it over from the node that made
    it, and whoever reads it need not change. So two graphs joined by edits agree on every name they share.

    Attributes:
        rule: the rule's name.
        anchor: the node it was found at.
        nodes: nodes added.
        values: values that only the added nodes know: their intermediate results and constants.
        renames: values to be read under another name, for substitutions that take a node away.
    """

    rule: str
    anchor: str
    nodes: tuple[Node, ...] = ()
    values: tuple[Value, ...] = ()
    renames: Mapping[str, str] = field(default_factory=dict)

    def __str__(self) -> str:
        made = ", ".join(node.operator for node in self.nodes) or "nothing"
        return f"{self.rule} at {self.anchor}: {made} instead"


class Patch:
    """An edit in the making, for rules to write to."""

    def __init__(self, graph: TensorGraph, rule: str, anchor: Node) -> None:
        self.graph, self._rule, self._anchor = graph, rule, anchor
        self._nodes: list[Node] = []
        self._values: dict[str, Value] = {}
        self._renames: dict[str, str] = {}
        self._count = 0

    def emit(
        self,
        operator: str,
        inputs: Sequence[str],
        shape: Sequence[int] | None = None,
        *,
        makes: str | None = None,
        dtype: str | None = None,
        **attributes: Any,
    ) -> str:
        """Add a node with one output: the existing value ``makes``, or a new one of this shape; returns its name.

        The dtype is that of the first input where it is left out.
        """
        shapes = None if shape is None else [shape]
        return self.emit_parts(operator, inputs, shapes, makes=makes and [makes], dtype=dtype, **attributes)[0]

    def emit_parts(
        self,
        operator: str,
        inputs: Sequence[str],
        shapes: Sequence[Sequence[int]] | None = None,
        *,
        makes: Sequence[str] | None = None,
        dtype: str | None = None,
        **attributes: Any,
    ) -> tuple[str, ...]:
        """Add a node with several outputs."""
        if makes is None:
            assert shapes is not None
            dtype = dtype or self.value(inputs[0]).dtype
            makes = [self.new_value(Value("", tuple(int(d) for d in shape), dtype)) for shape in shapes]
        name = f"{next(filter(None, makes))}@{operator}"
        self._nodes.append(Node(name, operator, tuple(inputs), tuple(makes), attributes))
        return tuple(makes)

    def constant(self, contents: Constant | np.ndarray) -> str:
        """Add a constant; returns its name."""
        constant = contents if isinstance(contents, Constant) else Constant(np.asarray(contents))
        return self.new_value(Value("", constant.shape, constant.dtype, constant))

    def ints(self, values: Sequence[int]) -> str:
        """A constant int64 vector: axes, shapes, positions."""
        return self.constant(np.array(list(values), np.int64))

    def rename(self, old: str, new: str) -> None:
        """Whoever reads ``old`` reads ``new`` instead."""
        self._renames[old] = new

    def value(self, name: str) -> Value:
        """A value of the graph or of the patch."""
        return self._values.get(name) or self.graph.values[name]

    def done(self) -> Edit:
        """The edit."""
        return Edit(self._rule, self._anchor.name, tuple(self._nodes), tuple(self._values.values()), self._renames)

    def new_value(self, value: Value) -> str:
        """Name a new value after the anchor. Edits of one anchor may share names: one of them is applied."""
        base = self._anchor.makes[0]
        while (name := f"{base}~{self._count}") in self.graph.values or name in self._values:
            self._count += 1
        self._values[name] = replace(value, name=name)
        return name


def apply(graph: TensorGraph, edit: Edit) -> TensorGraph:
    """The graph after a substitution; nodes and constants that nothing needs any more are gone.

    Raises:
        InputError: the edit is of another graph: it reads what this one does not have.
    """
    taken = {name for node in edit.nodes for name in node.makes}
    nodes: list[Node] = []
    placed = False
    for node in graph.nodes:
        if taken.isdisjoint(node.makes):
            nodes.append(_renamed(node, edit.renames))
        elif not placed:
            nodes += edit.nodes
            placed = True
    if not placed:
        nodes += edit.nodes
    values = {**graph.values, **{value.name: value for value in edit.values}}
    nodes, needed = _needed(nodes, graph.outputs)
    needed.update(graph.inputs)
    kept = {name: value for name, value in values.items() if name in needed}
    return replace(graph, nodes=sort_nodes(nodes), values=kept)


def _renamed(node: Node, renames: Mapping[str, str]) -> Node:
    if not renames or not any(name in renames for name in node.inputs):
        return node
    return replace(node, inputs=tuple(renames.get(name, name) for name in node.inputs))


def _needed(nodes: list[Node], outputs: Sequence[str]) -> tuple[list[Node], set[str]]:
    """Nodes that the outputs need, in the order given, and every value they read or make."""
    producers = {name: i for i, node in enumerate(nodes) for name in node.makes}
    waiting = [producers[name] for name in outputs if name in producers]
    live, needed = set(waiting), set(outputs)
    while waiting:
        node = nodes[waiting.pop()]
        needed.update(node.makes)
        for name in node.reads:
            needed.add(name)
            if (i := producers.get(name)) is not None and i not in live:
                live.add(i)
                waiting.append(i)
    return [node for i, node in enumerate(nodes) if i in live], needed


def is_captured(graph: TensorGraph, name: str) -> bool:
    """Whether the body of a control-flow operator reads a value, which then cannot be renamed."""
    return any(
        isinstance(attribute, Subgraph) and name in attribute.captures
        for node in graph.consumers.get(name, ())
        for attribute in node.attributes.values()
    )
