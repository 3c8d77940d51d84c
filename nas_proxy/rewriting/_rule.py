"""What a substitution rule is."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass

from nas_proxy.graph import Node, TensorGraph
from nas_proxy.rewriting._edit import Edit, Patch

__all__ = ["Rule", "rule"]

#: Writes substitutions at one node to fresh patches: ``find(graph, node, new_patch)`` yields one patch for each.
Find = Callable[[TensorGraph, Node, Callable[[], Patch]], Iterable[Patch]]


@dataclass(frozen=True)
class Rule:
    """A parameterised substitution.

    Attributes:
        name: what it is known by.
        helps: which way it can help, in a few words.
        operators: operators of the nodes it starts from; empty for all of them.
        find: the substitutions at a node; it looks no further than ``radius`` edges from the node.
        radius: how far a substitution may look and change, in edges.
    """

    name: str
    helps: str
    operators: frozenset[str]
    find: Find
    radius: int = 3

    @property
    def says(self) -> str:
        """A sentence on what it does."""
        return self.find.__doc__ or self.helps

    def edits(self, graph: TensorGraph, node: Node) -> Iterator[Edit]:
        """The substitutions at a node, none where the preconditions do not hold."""
        if node.domain in ("", "ai.onnx") and (not self.operators or node.operator in self.operators):
            for patch in self.find(graph, node, lambda: Patch(graph, self.name, node)):
                yield patch.done()


def rule(name: str, operators: str, helps: str, *, radius: int = 3) -> Callable[[Find], Rule]:
    """Make a function a rule; ``operators`` are separated by blanks."""
    return lambda find: Rule(name, helps, frozenset(operators.split()), find, radius)
