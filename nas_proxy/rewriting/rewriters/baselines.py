"""Searches that do not learn: greedy, TASO's with temporary losses, random."""

from __future__ import annotations

import heapq

import numpy as np

from nas_proxy.rewriting._budget import Budget
from nas_proxy.rewriting._edit import Edit
from nas_proxy.rewriting._state import RewriteState
from nas_proxy.rewriting.rewriters._base import SearchRewriter

__all__ = ["BeamRewriter", "GreedyRewriter", "RandomRewriter", "climb"]

_LEAST_GAIN = 1e-9  # relative


def climb(state: RewriteState, budget: Budget) -> RewriteState:
    """Take the best substitution until none helps.

    The best is priced again before it is taken: the budget remembers gains as long as nothing near them changes.
    """
    while True:
        gains = [(budget.gain(state, edit), -i, edit) for i, edit in enumerate(state.candidates)]
        for gain, _, edit in sorted(gains, key=lambda item: item[:2], reverse=True):
            if gain <= _LEAST_GAIN * state.total:
                return state
            priced = state.evaluate(edit)
            if priced.total < state.total * (1 - _LEAST_GAIN):
                state = state.move(edit, priced)
                budget.see(state)
                break
        else:
            return state


class GreedyRewriter(SearchRewriter):
    """Takes the substitution that saves most until none saves anything."""

    name = "greedy"

    def walk(self, first: RewriteState, budget: Budget, rng: np.random.Generator) -> None:
        """As :meth:`SearchRewriter.walk`."""
        climb(first, budget)


class BeamRewriter(SearchRewriter):
    """TASO's backtracking search (Jia et al., SOSP 2019, algorithm 2): the cheapest graph first, losses tolerated.

    Args:
        alpha: graphs of up to ``alpha`` times the lowest cost so far are followed up.
        width: graphs that wait at a time.
    """

    name = "beam"

    def __init__(self, alpha: float = 1.05, width: int = 200) -> None:
        self.alpha, self.width = alpha, width

    def walk(self, first: RewriteState, budget: Budget, rng: np.random.Generator) -> None:
        """As :meth:`SearchRewriter.walk`."""
        queue: list[tuple[float, int, RewriteState, Edit | None]] = [(first.total, 0, first, None)]
        seen, count = {first.key}, 0
        while queue:
            _, _, state, edit = heapq.heappop(queue)
            if edit is not None:
                state = state.move(edit)
                budget.see(state)
            assert budget.best is not None
            for candidate in state.candidates:
                priced = budget.evaluate(state, candidate)
                if priced.total >= self.alpha * budget.best.total:
                    continue
                reached = RewriteState(priced, state.cost, state.rules, {}, (*state.path, candidate))
                if reached.key in seen:
                    continue
                seen.add(reached.key)
                budget.see(reached)
                count += 1
                heapq.heappush(queue, (priced.total, count, state, candidate))
            if len(queue) > self.width:
                queue = heapq.nsmallest(self.width, queue)


class RandomRewriter(SearchRewriter):
    """Random walks of up to ``length`` substitutions, again and again from the start."""

    name = "random"

    def __init__(self, length: int = 20) -> None:
        self.length = length

    def walk(self, first: RewriteState, budget: Budget, rng: np.random.Generator) -> None:
        """As :meth:`SearchRewriter.walk`."""
        while first.candidates:
            state = first
            for _ in range(self.length):
                if not state.candidates:
                    break
                edit = state.candidates[int(rng.integers(len(state.candidates)))]
                state = state.move(edit, budget.evaluate(state, edit))
                budget.see(state)
