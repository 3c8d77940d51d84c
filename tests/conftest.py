"""Fixtures shared by all tests."""

from __future__ import annotations

import os
from pathlib import Path

import pytest


@pytest.fixture(scope="session")
def data_dir() -> Path:
    """The folder of published measurements; tests that need it are skipped, saying so, where it is absent."""
    path = Path(os.environ.get("NAS_PROXY_DATA", Path(__file__).parents[2] / "shared" / "data"))
    if not path.is_dir():
        pytest.skip(f"no measurements at {path}: set NAS_PROXY_DATA to their folder")
    return path


@pytest.fixture(scope="session", autouse=True)
def _own_cache(tmp_path_factory: pytest.TempPathFactory) -> None:
    """Tests neither read nor fill the user's cache."""
    os.environ["NAS_PROXY_CACHE"] = str(tmp_path_factory.mktemp("cache"))
