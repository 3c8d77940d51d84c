"""A run that every test of the report may read, and its page."""

from __future__ import annotations

from pathlib import Path

import pytest
from report_page import Page, read
from run_folders import build_run

from nas_proxy.report import write_report


@pytest.fixture(scope="session")
def run_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run with three targets, one of them with a limit, finalists and two failures. Copy it before you change it."""
    return build_run(tmp_path_factory.mktemp("run") / "run", failures=2, limits_ms={"onnxruntime": 8.0})


@pytest.fixture(scope="session")
def page(run_folder: Path, tmp_path_factory: pytest.TempPathFactory) -> Page:
    return read(write_report(run_folder, tmp_path_factory.mktemp("page") / "report.html"))
