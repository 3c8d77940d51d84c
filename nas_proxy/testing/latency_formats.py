"""What every format of latencies must satisfy. In your tests, with a file or folder in the format::

from nas_proxy.testing.latency_formats import CHECKS

@pytest.mark.parametrize("check", CHECKS)
def test_my_format(check):
    check(MyFormat(), path=path)
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from nas_proxy.datasets import LatencyFormat, LatencyTable
from nas_proxy.testing._formats import require_refusals, require_same, require_table

__all__ = ["CHECKS", "check_it_reads", "check_it_refuses", "check_it_repeats_itself"]


def check_it_reads(latency_format: LatencyFormat, *, path: Path) -> None:
    """A file gives a table of architectures of a known space."""
    require_table(latency_format.read(path), LatencyTable)


def check_it_repeats_itself(latency_format: LatencyFormat, *, path: Path) -> None:
    """The same file gives the same table."""
    one, other = latency_format.read(path), latency_format.read(path)
    require_same(one, other, one.values_ms, other.values_ms)


def check_it_refuses(latency_format: LatencyFormat, *, path: Path) -> None:
    """What is absent, empty, cut off or something else is refused, with the name of the file."""
    require_refusals(latency_format.read)


CHECKS: tuple[Callable[..., None], ...] = (check_it_reads, check_it_repeats_itself, check_it_refuses)
