"""Spaces that need no network: one to be listed, one too large for that."""

from __future__ import annotations

import pytest
from digit_space import Digits


@pytest.fixture(scope="session")
def small() -> Digits:
    return Digits(5, 4)


@pytest.fixture(scope="session")
def huge() -> Digits:
    return Digits(18, 5)


@pytest.fixture(scope="session", params=["listed", "evolved"])
def space(request: pytest.FixtureRequest, small: Digits, huge: Digits) -> Digits:
    return small if request.param == "listed" else huge
