"""A search that survives its process: what is proposed, waited for and known, on disk after each step.

Every host's face (NNI's tuner and strategy, and those in :mod:`nas_proxy.adapters`) is a thin layer over this.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any, Self

from nas_proxy.errors import InputError
from nas_proxy.search.accuracy import InvalidAccuracyError, as_accuracy
from nas_proxy.search.engine import Evaluated, Failure, Proposal, SearchEngine, SearchExhausted
from nas_proxy.search.state import StateFile
from nas_proxy.spaces import SearchSpace

__all__ = ["Session", "failures_in", "require_same", "results_in"]


class Session:
    """Ask/tell over a :class:`~nas_proxy.search.SearchEngine`, in canonical texts of architectures.

    Args:
        engine: a fresh engine; its state is restored from ``file`` if that holds one.
        file: where the state is written after each step; None for a search that ends with its process.
        evidence: fingerprints of what the search stands on (settings, measurements), by what they are called. A state
            written with others is refused. The engine itself refuses a state of other limits, models or seed.

    Raises:
        InputError: the state on disk was made with other settings or measurements, or cannot be read.
    """

    def __init__(
        self, engine: SearchEngine, file: StateFile | None = None, evidence: Mapping[str, str] | None = None
    ) -> None:
        self.space: SearchSpace = engine.space
        self.waiting: dict[str, Proposal] = {}
        self.succeeded: set[str] = set()
        self.failed: dict[str, Failure] = {}
        self._lost: list[str] = []
        self._engine = engine
        self._file = file
        self._evidence = dict(evidence or {})
        if file is not None:
            file.claim()
            if (state := file.read()) is not None:
                self._restore(state)

    @classmethod
    def inside(cls, engine: SearchEngine, folder: str | Path | None) -> Self:
        """The session whose state is in ``folder``; of no folder, one that ends with its process.

        Raises:
            InputError: see the class.
        """
        return cls(engine, None if folder is None else StateFile.inside(Path(folder)))

    @property
    def n_proposed(self) -> int:
        """How many distinct candidates are on their way or done."""
        return len(self.waiting) + len(self.succeeded) + len(self.failed)

    def propose(self) -> Proposal | None:
        """The next candidate, None once nothing feasible is left; one that was lost in a crash comes again."""
        if self._lost:
            return self.waiting[self._lost.pop(0)]
        try:
            proposal = self._engine.ask()
        except SearchExhausted:
            return None
        candidate = Proposal(self.space.to_str(proposal.arch), dict(proposal.latency_ms))
        self.waiting[candidate.arch] = candidate
        self._save()
        return candidate

    def succeed(self, arch: str, accuracy: float) -> None:
        """A candidate's accuracy is known, also of one that was not proposed. A second answer changes nothing.

        It overrules a failure: NNI may tell that a trial has ended before it tells its result.
        """
        if arch not in self.succeeded:
            self._forget(arch)
            self._engine.tell(self.space.from_str(arch), accuracy)
            self.failed.pop(arch, None)
            self.succeeded.add(arch)
            self._save()

    def report(self, arch: str, value: Any) -> None:
        """What an evaluation gave: a finite number is the accuracy, anything else a failure whose reason says so.

        ``value`` may be a mapping with the number under ``default``.
        """
        try:
            self.succeed(arch, as_accuracy(value))
        except InvalidAccuracyError as error:
            self.fail(arch, str(error))

    def fail(self, arch: str, reason: str) -> None:
        """A candidate's evaluation failed; it is not proposed again. A second answer changes nothing."""
        if arch not in self.succeeded and arch not in self.failed:
            self._forget(arch)
            self._engine.tell_failed(self.space.from_str(arch))
            self.failed[arch] = Failure(arch, reason)
            self._save()

    def resume(self, running: Collection[str | None]) -> int:
        """After a restart: ``running`` candidates will report by themselves, other waiting ones are proposed anew.

        Returns how many of the waiting ones are running.
        """
        self._lost = [arch for arch in self.waiting if arch not in running]
        return len(self.waiting) - len(self._lost)

    def _forget(self, arch: str) -> None:
        if arch in self._lost:
            self._lost.remove(arch)
        self.waiting.pop(arch, None)

    def pareto(self) -> list[Evaluated]:
        """The front of all results; see :meth:`~nas_proxy.search.SearchEngine.pareto`."""
        return self._engine.pareto()

    def state(self) -> dict[str, Any]:
        """All that is needed to go on elsewhere, as plain JSON."""
        return {
            "evidence": self._evidence,
            "waiting": [asdict(candidate) for candidate in self.waiting.values()],
            "failures": [asdict(failure) for failure in self.failed.values()],
            "engine": self._engine.state(),
        }

    def restore_if_newer(self, state: Mapping[str, Any]) -> None:
        """Go on from ``state`` if it knows of more candidates than this session does."""
        known = len(state["waiting"]) + len(state["failures"]) + len(results_in(state))
        if known > self.n_proposed:
            self._restore(state)

    def close(self) -> None:
        """Let another process go on with the state on disk."""
        if self._file is not None:
            self._file.release()

    def _save(self) -> None:
        if self._file is not None:
            self._file.write(self.state())

    def _restore(self, state: Mapping[str, Any]) -> None:
        require_same(state, self._evidence)
        self._engine.load_state(state["engine"])
        self.waiting = {entry["arch"]: Proposal(**entry) for entry in state["waiting"]}
        self.succeeded = {result.arch for result in results_in(state)}
        self.failed = {failure.arch: failure for failure in failures_in(state)}
        self._lost = list(self.waiting)


def require_same(state: Mapping[str, Any], evidence: Mapping[str, str]) -> None:
    """Raises InputError if a session's state stands on other evidence (settings, measurements)."""
    for what, fingerprint in evidence.items():
        if state["evidence"].get(what) != fingerprint:
            raise InputError(
                f"{what} changed since this search was started: results found under the old and the new do not mix. "
                "Put the old back to resume, or start a new run."
            )


def results_in(state: Mapping[str, Any] | None) -> list[Evaluated]:
    """The results in a session's state, in the order they came."""
    return [Evaluated(**entry) for entry in state["engine"]["results"]] if state else []


def failures_in(state: Mapping[str, Any] | None) -> list[Failure]:
    """The failures in a session's state, in the order they came."""
    return [Failure(**entry) for entry in state["failures"]] if state else []
