"""What every format of accuracies must satisfy. In your tests, with a file or folder in the format::

from nas_proxy.testing.accuracy_formats import CHECKS

@pytest.mark.parametrize("check", CHECKS)
def test_my_format(check):
    check(MyFormat(), path=path)
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from nas_proxy.datasets import AccuracyFormat, AccuracyTable
from nas_proxy.testing._formats import require_refusals, require_same, require_table

__all__ = ["CHECKS", "check_it_reads", "check_it_refuses", "check_it_repeats_itself"]


def check_it_reads(accuracy_format: AccuracyFormat, *, path: Path) -> None:
    """A file gives a table of architectures of a known space."""
    require_table(accuracy_format.read(path), AccuracyTable)


def check_it_repeats_itself(accuracy_format: AccuracyFormat, *, path: Path) -> None:
    """The same file gives the same table."""
    one, other = accuracy_format.read(path), accuracy_format.read(path)
    require_same(one, other, one.accuracy, other.accuracy)


def check_it_refuses(accuracy_format: AccuracyFormat, *, path: Path) -> None:
    """What is absent, empty, cut off or something else is refused, with the name of the file."""
    require_refusals(accuracy_format.read)


CHECKS: tuple[Callable[..., None], ...] = (check_it_reads, check_it_repeats_itself, check_it_refuses)
