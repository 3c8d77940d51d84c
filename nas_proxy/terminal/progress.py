"""Progress with the remaining time, on the terminal."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn, TimeRemainingColumn

__all__ = ["show_progress"]


@contextmanager
def show_progress(what: str) -> Iterator[Callable[[int, int], None]]:
    """Shows a bar while the context lasts; gives the function to call with ``(done, total)``."""
    columns = (TextColumn(what), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn(), TimeRemainingColumn())
    with Progress(*columns, console=Console(stderr=True)) as progress:
        task = None

        def update(done: int, total: int) -> None:
            nonlocal task
            if task is None:  # what was there at the start says nothing about the time that remains
                task = progress.add_task(what, total=total, completed=done)
            progress.update(task, completed=done)

        yield update
