"""Equality saturation: all substitutions at once in an e-graph, and the cheapest network taken out of it.

After Tensat (Yang et al., MLSys 2021), with egglog (Zhang et al., PLDI 2023) as the e-graph. Rules here are programs
with preconditions, not patterns, so what is saturated is their applications: each is found in a concrete graph and says
that two terms are equal, whatever else is rewritten around them. Substitutions at different places thus combine without
being tried together. As in egglog, the cheapest *term* is extracted: work that two readers share counts twice, which
hides gains that come from sharing.
"""

from __future__ import annotations

import contextlib
import heapq
import io
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np

from nas_proxy.devices.costs import Priced
from nas_proxy.errors import from_extra
from nas_proxy.graph import Node, TensorGraph, Value
from nas_proxy.rewriting._budget import Budget
from nas_proxy.rewriting._edit import Edit
from nas_proxy.rewriting._state import RewriteState
from nas_proxy.rewriting._structure import plain_attributes
from nas_proxy.rewriting.rewriters._base import SearchRewriter

__all__ = ["EqualitySaturationRewriter"]

RULE = "equality-saturation"
_COST_STEPS = 1_000_000  # a network's cost in egglog's whole numbers


class EqualitySaturationRewriter(SearchRewriter):
    """Explores the cheapest graphs first, puts every application it finds into one e-graph, and extracts."""

    name = "egglog"

    def __init__(self) -> None:
        with from_extra("egglog", 'rewriter "egglog"'):
            import egglog.bindings  # noqa: F401  # pyright: ignore[reportMissingImports]

    def walk(self, first: RewriteState, budget: Budget, rng: np.random.Generator) -> None:
        """As :meth:`SearchRewriter.walk`."""
        terms = _Terms(first.priced)
        queue: list[tuple[float, int, RewriteState, Edit | None]] = [(first.total, 0, first, None)]
        seen, count = {first.key}, 0
        while queue:
            _, _, state, edit = heapq.heappop(queue)
            if edit is not None:
                state = state.move(edit)
                budget.see(state)
            for candidate in state.candidates:
                reached = RewriteState(
                    budget.evaluate(state, candidate), state.cost, state.rules, {}, (*state.path, candidate)
                )
                if reached.key not in seen:
                    seen.add(reached.key)
                    terms.add(reached.priced, state.graph, candidate)
                    count += 1
                    heapq.heappush(queue, (reached.total, count, state, candidate))
            combined = terms.cheapest(first.graph)
            found = RewriteState(budget.evaluate(first, combined), first.cost, first.rules, {}, (combined,))
            if found.key not in seen:
                seen.add(found.key)
                budget.see(found)
                terms.add(found.priced, first.graph, combined)
                count += 1
                heapq.heappush(queue, (found.total, count, first, combined))


class _Terms:
    """Graphs as terms of one e-graph: a constructor for each operator with its attributes and shapes, at its cost."""

    def __init__(self, priced: Priced) -> None:
        from egglog.bindings import EGraph  # pyright: ignore[reportMissingImports]

        self._egraph = EGraph()
        self._run(
            "(sort V) (constructor Leaf (i64) V :cost 0) (constructor Part (i64 V) V :cost 0)"
            "(constructor Id (i64) V :unextractable)"  # of terms by number; a global for each would be a table for each
        )
        self._unit = priced.total / _COST_STEPS or 1.0
        self._operators: dict[Any, int] = {}
        self._made: list[tuple[Node, tuple[Value, ...]]] = []  # of each constructor: an example
        self._leaves: dict[Any, int] = {}
        self._leaf_values: list[Value] = []
        self._variables: dict[str, int] = {}
        outputs = " ".join("V" for name in priced.graph.outputs if name in priced.graph.producers)
        self._run(f"(constructor Outputs ({outputs}) V :cost 0)")
        self._environment(priced)

    def _run(self, program: str) -> list[Any]:
        with contextlib.redirect_stderr(io.StringIO()):
            return self._egraph.run_program(*self._egraph.parse_program(program))

    def add(self, after: Priced, before: TensorGraph, edit: Edit) -> None:
        """Every value that a graph and its successor share is one; so is what is read under another name."""
        old, new = self._environment(before), self._environment(after)
        shared = [(old[name], new[name]) for name in old.keys() & new.keys() if name not in edit.renames]
        shared += [(old[a], new.get(b, old.get(b, old[a]))) for a, b in edit.renames.items() if a in old]
        unions = sorted({pair for pair in shared if pair[0] != pair[1]})
        if unions:
            self._run("".join(f"(union (Id {a}) (Id {b}))" for a, b in unions))

    def _environment(self, of: Priced | TensorGraph) -> dict[str, int]:
        """Variables of the values that nodes make."""
        graph = of if isinstance(of, TensorGraph) else of.graph
        found: dict[str, int] = {}
        program: list[str] = []

        def variable(term: str) -> int:
            if term not in self._variables:
                self._variables[term] = len(self._variables)
                program.append(f"(union (Id {self._variables[term]}) {term})")
            return self._variables[term]

        for node in graph.nodes:
            sources = [found[n] if n in found else variable(self._leaf(graph, n)) for n in node.reads]
            operator = self._operator(graph, node, of, program)
            made = variable(f"(op{operator} {' '.join(f'(Id {source})' for source in sources)})")
            for i, name in enumerate(node.makes):
                found[name] = made if len(node.makes) == 1 else variable(f"(Part {i} (Id {made}))")
        if program:
            self._run("".join(program))
        return found

    def _leaf(self, graph: TensorGraph, name: str) -> str:
        value = graph.values[name]
        key = name if value.constant is None else value.constant.content_hash
        if key not in self._leaves:
            self._leaves[key] = len(self._leaf_values)
            self._leaf_values.append(value)
        return f"(Leaf {self._leaves[key]})"

    def _operator(self, graph: TensorGraph, node: Node, of: Priced | TensorGraph, program: list[str]) -> int:
        """The constructor of a node; its inputs are those it reads, each once."""
        places = tuple(node.reads.index(name) if name else -1 for name in node.inputs)
        shapes = tuple((graph.values[n].shape, graph.values[n].dtype, graph.values[n].is_constant) for n in node.reads)
        outputs = tuple(graph.values[n] for n in node.makes)
        key = (node.operator, node.domain, plain_attributes(node), places, len(node.outputs), shapes)
        if key not in self._operators:
            assert isinstance(of, Priced), "graphs are added before their successors"
            self._operators[key] = len(self._made)
            self._made.append((node, outputs))
            cost = max(1, round(of.by_node[node.name] / self._unit))
            sorts = " ".join("V" for _ in node.reads)
            program.append(f"(constructor op{self._operators[key]} ({sorts}) V :cost {cost})")
        return self._operators[key]

    def cheapest(self, original: TensorGraph) -> Edit:
        """The edit that makes of the original the cheapest terms of its outputs."""
        variables = self._environment(original)
        wanted = " ".join(f"(Id {variables[name]})" for name in original.outputs if name in variables)
        [found] = self._run(f"(extract (Outputs {wanted}))")
        network = _Network(original)
        for i in range(found.termdag.size()):  # arguments come before what they are arguments of
            term = found.termdag.get(i)
            if not hasattr(term, "args"):
                continue
            arguments = [found.termdag.get(a) for a in term.args]
            if term.name == "Leaf":
                network.leaf(i, self._leaf_values[arguments[0].value.value], arguments[0].value.value)
            elif term.name == "Part":
                network.part(i, term.args[1], arguments[0].value.value)
            elif term.name != "Outputs":
                network.node(i, term.args, *self._made[int(term.name[2:])])
        made = found.termdag.get(found.term).args
        return network.edit([name for name in original.outputs if name in variables], made)


class _Network:
    """Nodes and values from terms, by the numbers of the terms."""

    def __init__(self, original: TensorGraph) -> None:
        self._original = original
        self._names: dict[int, tuple[str, ...]] = {}
        self._nodes: dict[str, Node] = {}  # by the first value they make
        self._values: dict[str, Value] = {}

    def leaf(self, term: int, value: Value, number: int) -> None:
        name = f"{RULE}~c{number}" if value.is_constant else value.name
        self._names[term] = (name,)
        if value.is_constant:
            self._values[name] = replace(value, name=name)

    def part(self, term: int, of: int, number: int) -> None:
        self._names[term] = (self._names[of][number],)

    def node(self, term: int, arguments: Sequence[int], example: Node, made: Sequence[Value]) -> None:
        names = tuple(f"{RULE}~{term}.{i}" for i in range(len(made)))
        read = {name: self._names[a][0] for name, a in zip(example.reads, arguments, strict=True)}
        written = dict(zip(example.makes, names, strict=True))
        self._names[term] = names
        self._nodes[names[0]] = replace(
            example, name=names[0], inputs=tuple(read.get(name, "") for name in example.inputs),
            outputs=tuple(written.get(name, "") for name in example.outputs),
        )  # fmt: skip
        self._values |= {name: replace(value, name=name) for name, value in zip(names, made, strict=True)}

    def edit(self, outputs: Sequence[str], terms: Sequence[int]) -> Edit:
        """The outputs keep their names."""
        renamed: dict[str, str] = {}
        copies = []
        for output, term in zip(outputs, terms, strict=True):
            name = self._names[term][0]
            if name in renamed or name not in self._values or self._values[name].is_constant:
                copies.append(Node(f"{output}@Identity", "Identity", (renamed.get(name, name),), (output,)))
            else:
                renamed[name] = output
        nodes = [
            replace(node, inputs=tuple(renamed.get(n, n) for n in node.inputs),
                    outputs=tuple(renamed.get(n, n) for n in node.outputs))
            for node in self._nodes.values()
        ]  # fmt: skip
        values = [value for name, value in self._values.items() if name not in renamed]
        return Edit(RULE, self._original.nodes[0].name, (*nodes, *copies), tuple(values))
