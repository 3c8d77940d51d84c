"""What ends the watching of an experiment."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest

from nas_proxy.nni_plugin import watch as module
from nas_proxy.nni_plugin.errors import InterruptedExperimentError
from nas_proxy.nni_plugin.watch import watch
from nas_proxy.terminal.console import Terminal


class Manager:
    """A manager whose experiment is done after so many polls, and whose tuner is seen in some of them."""

    alive = True

    def __init__(self, seen: list[bool], polls: int) -> None:
        self.seen, self.left = iter(seen), polls
        self.client = SimpleNamespace(status=self.status, trials=list)

    @property
    def tuner_alive(self) -> bool:
        return next(self.seen)

    def status(self) -> tuple[str, list[str]]:
        self.left -= 1
        return ("RUNNING" if self.left else "DONE"), []


def watched(monkeypatch: pytest.MonkeyPatch, seen: list[bool], polls: int) -> Any:
    monkeypatch.setattr(module, "_POLL_S", 0.0)
    state: Any = SimpleNamespace(read=lambda: None)
    manager: Any = Manager(seen, polls)
    return watch(manager, state, 0, Terminal(quiet=True))


def test_a_tuner_that_is_about_to_start_is_waited_for(monkeypatch: pytest.MonkeyPatch) -> None:
    assert watched(monkeypatch, [False, False, True, False, False, True], 6) is None


def test_a_tuner_that_stays_away_is_dead(monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(InterruptedExperimentError, match="the tuner's process died"):
        watched(monkeypatch, [True, *[False] * 9], 9)
