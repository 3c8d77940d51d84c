"""Finalists beside what was predicted of them, in words."""

from __future__ import annotations

import re

import pytest

from nas_proxy.report import Check
from nas_proxy.terminal.search import checks_page


def check(chosen: str | None, best: str | None, tau: float | None = 0.9) -> Check:
    return Check("phone", ("a", "b"), (1.0, 2.0), (1.0, 2.0), (1.0, 2.0), tau, chosen, best)


@pytest.mark.parametrize(
    ("found", "words"),
    [
        (check("a", "a"), r"Kendall's tau of these 0\.90\. The recommended network is the best of them: a"),
        (check("a", "b", None), "^By what was found, b is the one to take, not a"),
        (check(None, None), "No finalist is predicted to keep the limit"),
        (check("a", None), "None of them keeps the limit in truth: lower the limit"),
    ],
)
def test_verdicts(found: Check, words: str) -> None:
    assert re.search(words, str(checks_page([found]).blocks[-1]))
