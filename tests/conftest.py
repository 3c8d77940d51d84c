"""Fixtures shared by all tests."""

from __future__ import annotations

import importlib
import os
import shutil
from collections.abc import Callable, Iterator
from importlib.util import find_spec
from pathlib import Path

import pytest
from hypothesis import HealthCheck, settings

from benchmarks import data
from nas_proxy import extensions
from nas_proxy.cache import source_digest

# No test is about how fast the machine is that runs it.
settings.register_profile("any machine", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("any machine")


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


@pytest.fixture
def code_changed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[..., None]]:
    """Has digests of code read a copy of a package or module, with some words in a file of it changed."""

    def change(name: str, file: str, before: str, after: str) -> None:
        module = importlib.import_module(name)
        copy = tmp_path / name
        if hasattr(module, "__path__"):
            shutil.copytree(module.__path__[0], copy, ignore=shutil.ignore_patterns("__pycache__"))
            monkeypatch.setattr(module, "__path__", [str(copy)])
        else:
            copy.mkdir()
            monkeypatch.setattr(module, "__file__", shutil.copy(str(module.__file__), copy / file))
        text = (copy / file).read_text()
        assert before in text
        (copy / file).write_text(text.replace(before, after))
        source_digest.cache_clear()

    yield change
    source_digest.cache_clear()


@pytest.fixture(autouse=True)
def _own_registrations(monkeypatch: pytest.MonkeyPatch) -> None:
    """What a test registers is forgotten after it."""
    kept = {point: dict(entries) for point, entries in extensions._registered.items()}
    monkeypatch.setattr(extensions, "_registered", kept)


@pytest.fixture(scope="session", autouse=True)
def _a_thread_a_worker() -> None:
    """Where tests run side by side, PyTorch's threads would only wait for each other's cores, and take time to wait."""
    if "PYTEST_XDIST_WORKER" in os.environ and find_spec("torch"):
        import torch

        torch.set_num_threads(1)


@pytest.fixture(scope="session", autouse=True)
def _own_cache(tmp_path_factory: pytest.TempPathFactory) -> None:
    """Tests neither read nor fill the user's cache, nor do processes that they start."""
    os.environ["NAS_PROXY_CACHE"] = str(tmp_path_factory.mktemp("cache"))
