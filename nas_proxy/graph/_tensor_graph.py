"""The one picture of a network that schedulers, mappers and rewriters share: operators, tensors, shapes, constants."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import TYPE_CHECKING, Any

import ml_dtypes
import numpy as np

from nas_proxy.errors import InputError, from_extra

if TYPE_CHECKING:
    import networkx

__all__ = ["Constant", "Node", "Subgraph", "TensorGraph", "Value", "numpy_dtype", "sort_nodes"]

_SUB_BYTE_BITS = {"int4": 4, "uint4": 4, "float4_e2m1fn": 4, "int2": 2, "uint2": 2}


@dataclass(frozen=True, eq=False)
class Constant:
    """A tensor known before the network runs. Equal to another iff dtype, shape and contents are.

    ``array`` may be any array of that content (a view, a memory map); it must not be changed.
    """

    array: np.ndarray = field(repr=False)

    @property
    def shape(self) -> tuple[int, ...]:
        """Of the array."""
        return tuple(self.array.shape)

    @property
    def dtype(self) -> str:
        """Named as in NumPy; ``"string"`` for text."""
        return _dtype_name(self.array.dtype)

    @cached_property
    def content_hash(self) -> str:
        """128-bit BLAKE2b of dtype, shape and contents, in hexadecimal; computed when first asked for."""
        digest = hashlib.blake2b(f"{self.dtype}{self.shape}".encode(), digest_size=16)
        if self.dtype == "string":
            for item in self.array.ravel():
                digest.update(repr(item).encode())
        else:
            digest.update(np.ascontiguousarray(self.array).view(np.uint8).data)
        return digest.hexdigest()

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, Constant):
            return NotImplemented
        if self.array is other.array:
            return True
        same_kind = (self.dtype, self.shape) == (other.dtype, other.shape)
        return same_kind and self.content_hash == other.content_hash

    def __hash__(self) -> int:
        return hash(self.content_hash)


@dataclass(frozen=True)
class Subgraph:
    """The body of a control-flow operator, kept as it is: a serialised ``onnx.GraphProto``, what it reads outside."""

    proto: bytes = field(repr=False)
    captures: tuple[str, ...]


@dataclass(frozen=True)
class Value:
    """A tensor of the network: an input, a constant, or what one node makes. ``dtype`` is named as in NumPy."""

    name: str
    shape: tuple[int, ...]
    dtype: str
    constant: Constant | None = None

    @property
    def elements(self) -> int:
        """How many numbers it holds, the product of its shape."""
        return int(np.prod(self.shape, dtype=np.int64))

    @property
    def bytes(self) -> int:
        """Size in its own dtype (sub-byte types packed); a target's precision is applied by ``annotate``."""
        bits = _SUB_BYTE_BITS.get(self.dtype) or 8 * numpy_dtype(self.dtype).itemsize
        return (self.elements * bits + 7) // 8

    @property
    def is_constant(self) -> bool:
        """Whether its contents are known before the network runs."""
        return self.constant is not None


@dataclass(frozen=True)
class Node:
    """One operator of the ONNX vocabulary. An absent optional input or output is an empty name.

    Attribute values are int, float, str, bytes, :class:`Constant`, :class:`Subgraph`, or tuples of one of them.
    """

    name: str
    operator: str
    inputs: tuple[str, ...]
    outputs: tuple[str, ...]
    attributes: Mapping[str, Any] = field(default_factory=dict[str, Any])
    domain: str = ""

    def attribute(self, name: str, default: Any = None) -> Any:
        """The value of an attribute, or ``default`` where the node has none of this name."""
        return self.attributes.get(name, default)

    @cached_property
    def reads(self) -> tuple[str, ...]:
        """Names of the values the node needs: its inputs and what its subgraphs capture, each once, in order."""
        captured = [c for a in self.attributes.values() if isinstance(a, Subgraph) for c in a.captures]
        return tuple(dict.fromkeys(name for name in (*self.inputs, *captured) if name))

    @cached_property
    def makes(self) -> tuple[str, ...]:
        """Names of the values the node makes."""
        return tuple(name for name in self.outputs if name)


@dataclass(frozen=True, eq=False)
class TensorGraph:
    """A network as a device sees it.

    ``nodes`` are in topological order; ``values`` holds every input, constant and intermediate tensor by name, with
    static shapes. ``opset`` maps operator domains to versions (``""`` is ONNX's own); ``metadata`` are the model's
    free properties. Two graphs are equal iff all of it is, constants by content.

    Raises:
        InputError: a value is read before it is made (so also: a cycle), made twice, or not described; names the node.
    """

    nodes: tuple[Node, ...]
    values: Mapping[str, Value]
    inputs: tuple[str, ...]
    outputs: tuple[str, ...]
    name: str = "graph"
    opset: Mapping[str, int] = field(default_factory=lambda: {"": 20})
    metadata: Mapping[str, str] = field(default_factory=dict[str, str])

    def __post_init__(self) -> None:
        made = set(self.inputs) | {name for name, value in self.values.items() if value.is_constant}
        for node in self.nodes:
            if missing := [name for name in node.reads if name not in made]:
                raise InputError(
                    f"node {node.name!r} ({node.operator}) reads {missing[0]!r} before any node makes it: the "
                    "nodes are not in topological order, form a cycle, or a value is missing. See sort_nodes()."
                )
            for name in node.makes:
                if name in made:
                    raise InputError(f"node {node.name!r} ({node.operator}) makes {name!r}, which exists already.")
                if name not in self.values:
                    raise InputError(f"node {node.name!r} ({node.operator}): the shape of {name!r} is not described.")
                made.add(name)
        for name in self.outputs:
            if name not in made:
                raise InputError(f"output {name!r} of graph {self.name!r} is made by no node.")

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, TensorGraph):
            return NotImplemented
        return all(
            getattr(self, part) == getattr(other, part)
            for part in ("name", "inputs", "outputs", "opset", "metadata", "nodes", "values")
        )

    __hash__ = None  # type: ignore[assignment]  # equality is by content; hashing it would read every constant

    # -- who makes and who reads a value -----------------------------------------------------------------------------

    @cached_property
    def producers(self) -> Mapping[str, Node]:
        """Value name -> the node that makes it (no entry for inputs and constants)."""
        return {name: node for node in self.nodes for name in node.makes}

    @cached_property
    def consumers(self) -> Mapping[str, tuple[Node, ...]]:
        """Value name -> the nodes that read it, in order (no entry where none does)."""
        found: dict[str, list[Node]] = {}
        for node in self.nodes:
            for name in node.reads:
                found.setdefault(name, []).append(node)
        return {name: tuple(nodes) for name, nodes in found.items()}

    @property
    def constants(self) -> Mapping[str, Constant]:
        """Constants by value name."""
        return {name: value.constant for name, value in self.values.items() if value.constant is not None}

    def inputs_of(self, node: Node) -> Iterator[Value | None]:
        """The values of a node's inputs in order; None for an absent optional one."""
        return (self.values[name] if name else None for name in node.inputs)

    def constant(self, name: str) -> np.ndarray | None:
        """The array of a constant by value name, or None where the value is not constant (or the name empty)."""
        value = self.values.get(name)
        return value.constant.array if value is not None and value.constant is not None else None

    def to_networkx(self) -> networkx.DiGraph[str]:
        """A view for graph algorithms: node names joined by the activations between them.

        Nodes carry ``node`` (the :class:`Node`), edges ``values`` (names of the tensors, in order).
        """
        with from_extra("draw", "a view as a networkx graph"):
            import networkx

        view: networkx.DiGraph[str] = networkx.DiGraph(name=self.name)
        view.add_nodes_from((node.name, {"node": node}) for node in self.nodes)
        for node in self.nodes:
            for name in node.reads:
                if (producer := self.producers.get(name)) is not None:
                    if not view.has_edge(producer.name, node.name):
                        view.add_edge(producer.name, node.name, values=[])
                    view.edges[producer.name, node.name]["values"].append(name)
        return view

    def __repr__(self) -> str:
        return f"TensorGraph({self.name!r}, {len(self.nodes)} nodes, {len(self.constants)} constants)"


def sort_nodes(nodes: Iterable[Node]) -> tuple[Node, ...]:
    """Nodes in topological order, as close to the given order as edges allow.

    Raises:
        InputError: they form a cycle; names its nodes.
    """
    nodes = list(nodes)
    producers = {name: i for i, node in enumerate(nodes) for name in node.makes}
    needs = [sorted({producers[name] for name in node.reads if name in producers}, reverse=True) for node in nodes]
    order: list[int] = []
    state = [0] * len(nodes)  # 0: not seen, 1: on the path, 2: placed
    for root in range(len(nodes)):
        path = [root]
        while path:
            i = path[-1]
            if state[i] == 0:
                state[i] = 1
                waiting = [j for j in needs[i] if state[j] != 2]
                if any(state[j] == 1 for j in waiting):
                    start = next(j for j in waiting if state[j] == 1)
                    cycle = [j for j in path if state[j] == 1]
                    names = " -> ".join(nodes[j].name for j in cycle[cycle.index(start) :]) if start in cycle else ""
                    raise InputError(
                        f"the graph has a cycle through node {nodes[start].name!r} ({nodes[start].operator})"
                        + (f": {names} -> {nodes[start].name}" if names else "")
                        + ". A network's operators must form a directed acyclic graph."
                    )
                path += waiting
            else:
                path.pop()
                if state[i] == 1:
                    state[i] = 2
                    order.append(i)
    return tuple(nodes[i] for i in order)


def _dtype_name(dtype: np.dtype) -> str:
    return "string" if dtype.kind in "OUS" else dtype.name


def numpy_dtype(name: str) -> np.dtype:
    """The NumPy dtype of a name; those NumPy lacks (bfloat16, float8, int4) are ml_dtypes'."""
    if name == "string":
        return np.dtype(object)
    return np.dtype(getattr(ml_dtypes, name, name))
