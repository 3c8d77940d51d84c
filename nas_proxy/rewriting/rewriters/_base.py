"""What a rewriter is, what it may spend, and what it gives back."""

from __future__ import annotations

import logging
from abc import ABC, abstractmethod
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol, runtime_checkable

import numpy as np

from nas_proxy.devices.costs import GraphCost
from nas_proxy.graph import TensorGraph
from nas_proxy.rewriting._budget import Budget, Exhausted
from nas_proxy.rewriting._edit import Edit
from nas_proxy.rewriting._rule import Rule
from nas_proxy.rewriting._state import RewriteState, start

__all__ = ["Rewriter", "Rewritten", "SearchRewriter"]

_log = logging.getLogger(__name__)


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
        said = "%s rewritten by %s: %d evaluations, %d substitutions, stopped: %s"
        _log.info(said, graph.name, self.name, budget.spent, len(best.path), stopped)
        return Rewritten(best.graph, best.path, first.total, best.total, cost.unit, budget.spent, stopped, self.name)
