"""Every host's face proposes what the engine does, and outlives its process."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from hosts import HOSTS, Problem

from nas_proxy.testing.faces import CHECKS


@pytest.fixture(scope="module")
def problem(tmp_path_factory: pytest.TempPathFactory) -> Problem:
    return Problem(tmp_path_factory.mktemp("faces"))


@pytest.mark.filterwarnings("ignore")  # what hosts say while they are imported
@pytest.mark.parametrize("check", CHECKS, ids=lambda check: check.__name__)
@pytest.mark.parametrize("host", HOSTS, ids=lambda host: host.__name__)
def test_face(host: Callable, check: Callable, problem: Problem) -> None:
    check(lambda seed: host(problem, seed))
