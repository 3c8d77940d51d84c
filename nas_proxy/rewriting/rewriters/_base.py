"""What a rewriter is, what it may spend, and what it gives back."""

from __future__ import annotations

import time
from abc import ABC, abstractmethod
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol, runtime_checkable

import numpy as np

from nas_proxy.errors import whole_number
from nas_proxy.graph import TensorGraph
from nas_proxy.rewriting._edit import Edit
from nas_proxy.rewriting._rule import Rule
from nas_proxy.rewriting._state import RewriteState, start
from nas_proxy.rewriting.costs import GraphCost, Priced

__all__ = ["Budget", "Rewriter", "Rewritten", "SearchRewriter"]


@dataclass(frozen=True)
class Rewritten:
    """The cheapest graph found, and how.

    Attributes:
        graph: it computes what the original does.
        edits: the substitutions that lead to it, in order.
        cost_before, cost_after: in the cost model's ``unit``.
        evaluations: graphs priced.
        stopped: why the search ended: it was ``done``, out of ``evaluations`` or ``seconds``, or ``interrupted``.
        rewriter: its name.
    """

    graph: TensorGraph
    edits: tuple[Edit, ...]
    cost_before: float
    cost_after: float
    unit: str
    evaluations: int
    stopped: str
    rewriter: str

    @property
    def speedup(self) -> float:
        """The cost before over the cost after; 1 where nothing is left that costs."""
        return self.cost_before / self.cost_after if self.cost_after else 1.0

    @property
    def by_rule(self) -> dict[str, int]:
        """How often each rule was applied, most often first."""
        return dict(Counter(edit.rule for edit in self.edits).most_common())


class Exhausted(Exception):
    """The budget is spent."""


class Budget:
    """How many graphs may be priced, and for how long; remembers the best seen."""

    def __init__(self, evaluations: int, seconds: float | None = None) -> None:
        self.evaluations = whole_number(evaluations, "evaluations", least=0)
        self.spent = 0
        self._until = None if seconds is None else time.monotonic() + seconds
        self.best: RewriteState | None = None
        self._gains: dict[int, tuple[Edit, float]] = {}  # the edit is held, so that its id stays its own

    def gain(self, state: RewriteState, edit: Edit) -> float:
        """What a substitution saves, below 0 where it costs; remembered while nothing near it changes.

        Raises:
            Exhausted: it is not known yet, and there is no evaluation left.
        """
        if id(edit) not in self._gains:
            self._gains[id(edit)] = edit, state.total - self.evaluate(state, edit).total
        return self._gains[id(edit)][1]

    def evaluate(self, state: RewriteState, edit: Edit) -> Priced:
        """One evaluation.

        Raises:
            Exhausted: there is none left.
        """
        self.check()
        self.spent += 1
        return state.evaluate(edit)

    def check(self) -> None:
        """Raises Exhausted where evaluations or time are used up."""
        if self.spent >= self.evaluations:
            raise Exhausted("evaluations")
        if self._until is not None and time.monotonic() > self._until:
            raise Exhausted("seconds")

    def see(self, state: RewriteState) -> None:
        """A state that could be the answer."""
        if self.best is None or state.total < self.best.total:
            self.best = state


@runtime_checkable
class Rewriter(Protocol):
    """Looks for a cheaper equivalent graph. The same graph, cost and seed give the same result."""

    @property
    def name(self) -> str:
        """What the result calls the rewriter."""
        ...

    def rewrite(
        self,
        graph: TensorGraph,
        cost: GraphCost,
        *,
        evaluations: int = 1000,
        seconds: float | None = None,
        seed: int = 0,
        rules: Sequence[Rule] | None = None,
    ) -> Rewritten:
        """The cheapest graph found, never dearer than ``graph``.

        Args:
            graph: what is rewritten.
            cost: what is made smaller.
            evaluations: graphs that may be priced.
            seconds: time that may pass; None for no limit.
            seed: of everything random.
            rules: which substitutions are allowed; all where None.

        Raises:
            InputError: ``evaluations`` is no whole number, or the graph's opset is too old for the rules to write to.
        """
        ...


class SearchRewriter(ABC):
    """A rewriter that walks from state to state, one substitution at a time."""

    name: str

    @abstractmethod
    def walk(self, first: RewriteState, budget: Budget, rng: np.random.Generator) -> None:
        """Search from ``first``.

        ``budget`` prices substitutions and is shown what is found (:meth:`Budget.see`). Where it is spent it raises
        :class:`Exhausted`, which ends the search.
        """

    def rewrite(
        self,
        graph: TensorGraph,
        cost: GraphCost,
        *,
        evaluations: int = 1000,
        seconds: float | None = None,
        seed: int = 0,
        rules: Sequence[Rule] | None = None,
    ) -> Rewritten:
        """As :meth:`Rewriter.rewrite`: walks until the search ends, its budget does, or the user interrupts."""
        budget, stopped = Budget(evaluations, seconds), "done"
        first = start(graph, cost, rules)
        budget.see(first)
        try:
            self.walk(first, budget, np.random.default_rng(seed))
        except Exhausted as reason:
            stopped = str(reason)
        except KeyboardInterrupt:
            stopped = "interrupted"
        best = budget.best
        assert best is not None
        return Rewritten(best.graph, best.path, first.total, best.total, cost.unit, budget.spent, stopped, self.name)
