"""The search: proposes what to evaluate next, learns from what comes back."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from nas_proxy import ties
from nas_proxy.errors import InputError, NasProxyError, whole_number
from nas_proxy.ranking.pareto import non_dominated
from nas_proxy.search.acquisition import expected_improvement
from nas_proxy.search.candidates import Slate, candidates_of
from nas_proxy.search.limits import LatencyModel, Targets
from nas_proxy.search.surrogate import AccuracyModel, Kernel
from nas_proxy.spaces import SearchSpace, get_space

__all__ = ["Evaluated", "Failure", "Proposal", "SearchEngine", "SearchExhausted"]

_FORMAT = 1
_FIRST = 3  # results before accuracy is modelled
_REFIT = 1.1  # growth of the results after which the kernel is fitted again


class SearchExhausted(NasProxyError):
    """Every candidate that is predicted to keep the limits has been proposed."""


@dataclass(frozen=True)
class Proposal:
    """A candidate to evaluate, with its predicted latency on each target."""

    arch: Any
    latency_ms: dict[str, float]


@dataclass(frozen=True)
class Evaluated:
    """A candidate with its accuracy and its predicted latency on each target."""

    arch: Any
    accuracy: float
    latency_ms: dict[str, float]


@dataclass(frozen=True)
class Failure:
    """A candidate whose evaluation failed, and why."""

    arch: str
    reason: str


class SearchEngine:
    """Ask/tell search for accurate architectures that are predicted fast enough on every target.

    A Gaussian process learns accuracy from results; the next proposal is the candidate with the largest expected
    hypervolume improvement over accuracy and the predicted latencies of the targets without a limit (expected
    improvement of accuracy where all targets have one). Architectures asked for and not told yet count as if they had
    their predicted accuracy. Proposals are a function of seed, models and what was asked and told, in order.

    Args:
        space: a search space or its name.
        latency: latency models by the target's name.
        limits_ms: hard limits for some or all targets; only candidates predicted to keep all are proposed.
        seed: of the random part: the first proposals, and evolution where the space cannot be listed.

    Raises:
        InputError: there is no target, a limit is not a positive number, or no candidate is predicted to keep the
            limits (names the fastest).
        UnknownNameError: a limit is for no target.
    """

    def __init__(
        self,
        space: str | SearchSpace,
        latency: Mapping[str, LatencyModel],
        limits_ms: Mapping[str, float] | None = None,
        seed: int = 0,
    ) -> None:
        self.space: SearchSpace = get_space(space)
        self.targets = Targets(latency, limits_ms)
        self.seed = whole_number(seed, "the seed")
        self._asked = 0
        self._accuracy: dict[str, float] = {}
        self._pending: list[str] = []
        self._failed: list[str] = []
        self._candidates = candidates_of(self.space, self.targets)
        self._kernels: dict[int, Kernel] = {}
        self._latency_ms: dict[str, dict[str, float]] = {}  # predictions made before; each state names them

    # -- ask and tell ------------------------------------------------------------------------------------------------

    def ask(self) -> Proposal:
        """The next candidate: never one that was proposed, told or failed before. Several may be outstanding.

        Raises:
            SearchExhausted: nothing feasible is left.
        """
        rng = np.random.default_rng([self.seed, self._asked])
        text = self._next(rng)
        if text is None:
            raise SearchExhausted(
                f"all candidates of {self.space.name} that are predicted to keep the limits have been proposed "
                f"({len(self._taken)} so far): raise the limits to search on."
            )
        self._asked += 1
        self._pending.append(text)
        arch = self.space.from_str(text)
        return Proposal(arch, self._latencies([text])[0])

    def tell(self, arch: Any, accuracy: float) -> None:
        """The accuracy of an architecture, proposed by this engine or not; the higher the better.

        It overrules an earlier :meth:`tell_failed`: results may come late.

        Raises:
            InputError: the architecture is not of the space or has an accuracy, or the accuracy is not a finite number
                (an evaluation that gave none is for :meth:`tell_failed`).
        """
        text = self._news(arch)
        if not (isinstance(accuracy, int | float | np.number) and math.isfinite(accuracy)):
            raise InputError(
                f"the accuracy of {text} must be a finite number, found {accuracy!r}. "
                "Call tell_failed(arch) for an evaluation that gave none."
            )
        self._forget(text)
        if text in self._failed:
            self._failed.remove(text)
        self._accuracy[text] = float(accuracy)

    def tell_failed(self, arch: Any) -> None:
        """The evaluation of an architecture gave no accuracy; it is not proposed again.

        Raises:
            InputError: the architecture is not of the space or has an accuracy.
        """
        text = self._news(arch)
        self._forget(text)
        if text not in self._failed:
            self._failed.append(text)

    def pareto(self) -> list[Evaluated]:
        """Results that keep the limits and that no other beats in accuracy and all predicted latencies.

        Sorted by the latency on the first target.
        """
        archs = [self.space.from_str(text) for text in self._accuracy]
        if not archs:
            return []
        latency_ms = self.targets.predict(archs)
        accuracy = np.array(list(self._accuracy.values()))
        rows = np.flatnonzero(self.targets.feasible(latency_ms))
        front = rows[non_dominated(np.column_stack([-accuracy, latency_ms])[rows])]
        return [
            Evaluated(archs[i], float(accuracy[i]), self._named(latency_ms[i]))
            for i in sorted(front, key=lambda i: (latency_ms[i, 0], -accuracy[i]))
        ]

    # -- state -------------------------------------------------------------------------------------------------------

    def state(self) -> dict[str, Any]:
        """All that is needed to go on elsewhere, as plain JSON."""
        return {
            "format": _FORMAT,
            "space": self.space.name,
            "parameters": self.space.parameters,
            "targets": self.targets.names,
            "limits_ms": dict(self.targets.limits_ms),
            "seed": self.seed,
            "asked": self._asked,
            "results": [
                {"arch": text, "accuracy": accuracy, "latency_ms": latency_ms}
                for (text, accuracy), latency_ms in zip(
                    self._accuracy.items(), self._latencies(self._accuracy), strict=True
                )
            ],
            "pending": list(self._pending),
            "failed": list(self._failed),
        }

    def load_state(self, state: Mapping[str, Any]) -> None:
        """Go on where ``state()`` was taken: the proposals are those that would have followed.

        Raises:
            InputError: the state is damaged or of another search (says in what), or the latency models predict
                otherwise.
        """
        mine = self.state()
        if not isinstance(state, Mapping) or state.get("format") != _FORMAT:
            found = state.get("format") if isinstance(state, Mapping) else state
            raise InputError(f"expected the state of a search, of format {_FORMAT}, found {found!r}.")
        for field in ("space", "parameters", "targets", "limits_ms", "seed"):
            if state.get(field) != mine[field]:
                raise InputError(
                    f"the state is of a search with another {field}: expected {mine[field]!r}, found "
                    f"{state.get(field)!r}. Resume with the same settings, or start a new search."
                )
        try:
            results = [Evaluated(**result) for result in state["results"]]
            accuracy = {result.arch: float(result.accuracy) for result in results}
            then = [{name: float(result.latency_ms[name]) for name in self.targets.names} for result in results]
            asked, pending, failed = int(state["asked"]), list(state["pending"]), list(state["failed"])
        except (KeyError, TypeError, ValueError) as error:
            raise InputError(
                f"the state of the search is damaged ({type(error).__name__}: {error}): use an earlier one, or start a "
                "new search."
            ) from None
        for text in (*pending, *failed):
            self.space.from_str(text)
        for result, before, now in zip(results, then, self._latencies(accuracy), strict=True):
            if not all(math.isclose(now[name], ms, rel_tol=1e-6) for name, ms in before.items()):
                raise InputError(
                    f"the latency models are not those of the state: for {result.arch} it says {before} ms, they "
                    f"predict {now} ms. Resume with the same measurements."
                )
        self._asked, self._accuracy, self._pending, self._failed = asked, accuracy, pending, failed
        self._kernels = {}

    # -- inside ------------------------------------------------------------------------------------------------------

    @property
    def _taken(self) -> set[str]:
        return {*self._accuracy, *self._pending, *self._failed}

    def _next(self, rng: np.random.Generator) -> str | None:
        taken = self._taken
        if self._candidates.fastest not in taken and not self.targets.limited.all():
            return self._candidates.fastest  # the end of every front
        if len(self._accuracy) < _FIRST:
            return self._candidates.random(taken, rng)
        known = self._candidates.slate([self.space.from_str(text) for text in self._accuracy])
        accuracy = np.array(list(self._accuracy.values()))
        kernel = self._kernel(known, accuracy)
        model = AccuracyModel(known.points, accuracy, kernel)
        found_accuracy, found = accuracy, known
        if self._pending:
            waiting = self._candidates.slate([self.space.from_str(text) for text in self._pending])
            found_accuracy = np.concatenate([accuracy, model.predict(waiting.points).mean])
            found = _join(known, waiting)
            model = AccuracyModel(found.points, found_accuracy, kernel)  # believed, so that they are not asked again
        keeps = self.targets.feasible(found.latency_ms)
        met, met_accuracy, budgets = found.met[keeps], found_accuracy[keeps], self._candidates.budgets
        floor = min(0.0, float(accuracy.min()))

        def score(slate: Slate) -> NDArray[np.float64]:
            return expected_improvement(model.predict(slate.points), slate.met, budgets, met_accuracy, met, floor)

        order = ties.order(-met_accuracy)
        front = order[np.unique(np.argmax(met[order], axis=0))] if len(order) else order  # the best of each budget
        texts = [text for text, ok in zip(found.texts, keeps, strict=True) if ok]
        parents = list(dict.fromkeys(texts[i] for i in [*front, *order]))
        return self._candidates.best(score, taken, parents, rng)

    def _kernel(self, known: Slate, accuracy: NDArray[np.float64]) -> Kernel:
        """The kernel of the first so many results, fitted anew each time these have grown by a tenth."""
        n = _FIRST
        while (grown := max(n + 1, int(n * _REFIT))) <= len(accuracy):
            n = grown
        if n not in self._kernels:
            self._kernels = {n: AccuracyModel(known.points[:n], accuracy[:n]).kernel}
        return self._kernels[n]

    def _news(self, arch: Any) -> str:
        text = self.space.to_str(arch)
        if text in self._accuracy:
            raise InputError(f"{text} was told before: an architecture has one result.")
        return text

    def _forget(self, text: str) -> None:
        if text in self._pending:
            self._pending.remove(text)

    def _latencies(self, texts: Iterable[str]) -> list[dict[str, float]]:
        texts = list(texts)
        if new := [text for text in texts if text not in self._latency_ms]:
            rows = self.targets.predict([self.space.from_str(text) for text in new])
            self._latency_ms |= {text: self._named(row) for text, row in zip(new, rows, strict=True)}
        return [dict(self._latency_ms[text]) for text in texts]

    def _named(self, latency_ms: NDArray[np.float64]) -> dict[str, float]:
        return dict(zip(self.targets.names, latency_ms.tolist(), strict=True))


def _join(a: Slate, b: Slate) -> Slate:
    return Slate(
        a.archs + b.archs,
        a.texts + b.texts,
        np.concatenate([a.latency_ms, b.latency_ms]),
        a.points + b.points,
        np.concatenate([a.met, b.met]),
    )
