"""What a search for a cheaper graph may spend."""

from __future__ import annotations

import time

from nas_proxy.devices.costs import Priced
from nas_proxy.errors import whole_number
from nas_proxy.rewriting._edit import Edit
from nas_proxy.rewriting._state import RewriteState

__all__ = ["Budget", "Exhausted"]


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
