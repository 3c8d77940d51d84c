"""Watching an experiment until it ends, one way or another."""

from __future__ import annotations

import time
from collections.abc import Sequence
from typing import Any

import requests

from nas_proxy.nni_plugin.candidate import Candidate
from nas_proxy.nni_plugin.client import Trial
from nas_proxy.nni_plugin.errors import ExperimentError, InterruptedExperimentError
from nas_proxy.nni_plugin.manager import Manager
from nas_proxy.search.session import failures_in, results_in
from nas_proxy.search.state import StateFile
from nas_proxy.terminal.console import Terminal

__all__ = ["watch"]

_POLL_S = 0.5
_SILENCE = 40  # polls without an answer before the manager counts as dead, or without a first sight of the tuner
_ABSENCE = 4  # polls without a tuner that was seen before
_SETTLE_S = 15.0


def watch(manager: Manager, state: StateFile, trials: int, terminal: Terminal) -> str | None:
    """Show progress until the experiment is done; returns the first failed trial's standard error, if one failed.

    Raises:
        ExperimentError: NNI reports an error.
        InterruptedExperimentError: the manager or the tuner died, or was stopped from outside.
    """
    silent = absent = 0
    patience = _SILENCE
    allowed = trials
    with terminal.bars() as bar:
        bar("searching", 0, trials, "NNI starts")
        while True:
            if not manager.alive:
                code = manager.process.returncode
                raise InterruptedExperimentError(f"NNI's manager ended by itself, with code {code}.")
            if manager.tuner_alive:
                absent, patience = 0, _ABSENCE
            else:
                absent += 1
            if absent >= patience:
                raise InterruptedExperimentError("the tuner's process died.")
            try:
                status, errors = manager.client.status()
                jobs = manager.client.trials()
                silent = 0
                if (needed := trials + _spent(jobs)) != allowed:
                    manager.client.set_max_trials(needed)
                    allowed = needed
                    continue  # perhaps NNI was done, and is not any more
            except requests.RequestException as error:
                silent += 1
                if silent >= _SILENCE:
                    raise InterruptedExperimentError(f"NNI's manager does not answer: {error}.") from None
                time.sleep(_POLL_S)
                continue
            succeeded, failed = sum(job.status == "SUCCEEDED" for job in jobs), sum(job.failed for job in jobs)
            bar("searching", succeeded + failed, trials, _note(state.read(), failed))
            if status == "ERROR":
                raise ExperimentError("\n".join(manager.client.tuner_errors() or errors))
            if status in {"STOPPING", "STOPPED"}:
                raise InterruptedExperimentError("the experiment was stopped from outside.")
            if status == "DONE":
                _settle(state, succeeded)
                return manager.client.first_failure() if failed else None
            time.sleep(_POLL_S)


def _spent(jobs: Sequence[Trial]) -> int:
    """Trials cut off and started anew as others: NNI counts both, the candidate is one."""
    archs = [Candidate.arch_in(job.parameters) for job in jobs]
    return len(archs) - len(set(archs))


def _settle(state: StateFile, succeeded: int) -> None:
    """NNI is done once it has the last result; the tuner may need a moment more to have it on disk."""
    deadline = time.monotonic() + _SETTLE_S
    while time.monotonic() < deadline:
        known = state.read()
        if len(results_in(known)) + len(failures_in(known)) >= succeeded:
            return
        time.sleep(0.2)


def _note(state: dict[str, Any] | None, failed: int) -> str:
    results = results_in(state)
    best = f"best {max(result.accuracy for result in results):.2f}" if results else "first candidates in training"
    return best + (f", {failed} failed" if failed else "")
