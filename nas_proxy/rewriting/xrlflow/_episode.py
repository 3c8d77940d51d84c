"""One rewriting of one graph, step by step: what the environment, the trainer and the rewriter share."""

from __future__ import annotations

from nas_proxy.rewriting._budget import Budget
from nas_proxy.rewriting._edit import Edit
from nas_proxy.rewriting._state import RewriteState

__all__ = ["Episode"]


class Episode:
    """Substitutions one after the other, no graph twice.

    A substitution that leads to a graph seen before is not taken; it is no candidate of that state any more.

    Args:
        first: where it starts.
        budget: pays for what substitutions gain.
        length: substitutions at most.
        most: candidates at most; the first in the graph's order where there are more.
    """

    def __init__(self, first: RewriteState, budget: Budget, length: int = 40, most: int = 512) -> None:
        self.first, self.state, self.budget = first, first, budget
        self.length, self.most, self.steps = length, most, 0
        self._seen = {first.key}
        self._banned: set[int] = set()
        self._look()

    def _look(self) -> None:
        candidates = [edit for edit in self.state.candidates if id(edit) not in self._banned][: self.most]
        self.candidates: tuple[Edit, ...] = tuple(candidates)
        self.gains = [self.budget.gain(self.state, edit) / self.first.total for edit in candidates]
        self.done = not candidates or self.steps >= self.length

    def step(self, index: int) -> float:
        """Take a candidate by its index, or stop with the index after the last one.

        Returns:
            What was saved, as a share of the first graph's cost.
        """
        if index >= len(self.candidates):
            self.done = True
            return 0.0
        edit, before = self.candidates[index], self.state
        self.steps += 1
        reached = before.move(edit)
        if reached.key in self._seen:
            self._banned.add(id(edit))
        else:
            self._seen.add(reached.key)
            self._banned.clear()
            self.state = reached
            self.budget.see(reached)
        self._look()
        return (before.total - self.state.total) / self.first.total
