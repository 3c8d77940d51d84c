"""Fixtures shared by all tests."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

import pytest

from benchmarks import data


@pytest.fixture(scope="session")
def measurements() -> Callable[..., Path]:
    """The path of published measurements, as ``measurements("help", "fbnet")``; where they are absent, the test is
    skipped and says how to get them."""

    def path_of(*parts: str) -> Path:
        try:
            return data.measurements(*parts)
        except data.MissingDataError as error:
            pytest.skip(str(error))

    return path_of


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """Tests that were skipped for want of measurements, in one line."""
    reports = terminalreporter.stats.get("skipped", [])
    if skipped := sum(data.COMMAND in str(report.longrepr) for report in reports):
        terminalreporter.write_line(f"{skipped} skipped for want of measurements: `{data.COMMAND}` gets them.")


@pytest.fixture(scope="session", autouse=True)
def _own_cache(tmp_path_factory: pytest.TempPathFactory) -> None:
    """Tests neither read nor fill the user's cache."""
    os.environ["NAS_PROXY_CACHE"] = str(tmp_path_factory.mktemp("cache"))
