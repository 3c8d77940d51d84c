"""Where words, tables and progress go: to a person at a terminal, or out of the way of a program that reads us."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Protocol

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn, TimeRemainingColumn

from nas_proxy.terminal.tables import Page, draw, to_json

__all__ = ["Bars", "Terminal"]


class Bars(Protocol):
    """Moves the bar called ``name`` to ``done`` of ``total``; a new name is a new bar. ``note`` is shown beside it."""

    def __call__(self, name: str, done: int, total: int, note: str = "") -> None:
        """Called with ``done`` of ``total`` steps finished."""
        ...


class Terminal:
    """What a command prints.

    Args:
        quiet: print results only, no words about them and no progress.
        as_json: pages are printed as JSON.
        taken: standard output belongs to a file that is written there, so everything else goes to standard error.
    """

    def __init__(self, *, quiet: bool = False, as_json: bool = False, taken: bool = False) -> None:
        self._quiet, self._as_json = quiet, as_json
        self._merged: Page | None = None
        self._results = Console(stderr=taken, highlight=False, emoji=False)
        self._words = Console(stderr=taken or as_json, highlight=False, emoji=False)
        self._errors = Console(stderr=True, highlight=False, emoji=False)

    def show(self, page: Page) -> None:
        """Print a result: as tables, or as one JSON object."""
        if self._as_json and self._merged is not None:
            self._merged = Page([*self._merged.blocks, *page.blocks], {**self._merged.facts, **page.facts})
        elif self._as_json:
            self._results.out(to_json(page))
        else:
            self._results.print(draw(page))

    @contextmanager
    def merged(self) -> Iterator[None]:
        """All that is shown in the context is one JSON object, printed at its end; tables are printed as they come."""
        self._merged = Page([])
        yield
        page, self._merged = self._merged, None
        if self._as_json:
            self.show(page)

    def say(self, words: str) -> None:
        """Print a line about what was done; nothing when quiet."""
        if not self._quiet:
            self._words.print(words, markup=False, soft_wrap=True)

    def warn(self, words: str) -> None:
        """Print a line on standard error, quiet or not."""
        self._errors.print(words, style="yellow", markup=False, soft_wrap=True)

    def fail(self, words: str) -> None:
        """Print on standard error why the command ends."""
        self._errors.print("error:", style="bold red", end=" ")
        self._errors.print(words, markup=False, soft_wrap=True)

    @contextmanager
    def bars(self) -> Iterator[Bars]:
        """Shows bars of progress with the time that remains on standard error, until the context ends."""
        progress = Progress(
            TextColumn("{task.description}", markup=False),
            BarColumn(bar_width=30),
            MofNCompleteColumn(),
            TextColumn("{task.fields[note]}", markup=False),
            TimeElapsedColumn(),
            TimeRemainingColumn(),
            console=self._errors,
            disable=self._quiet,
        )
        tasks = {}

        def update(name: str, done: int, total: int, note: str = "") -> None:
            progress.start()  # with the first bar: what is printed before it follows no empty line
            if name not in tasks:  # what was there at the start says nothing about the time that remains
                tasks[name] = progress.add_task(name, total=total, completed=done, note=note)
            progress.update(tasks[name], completed=done, total=total, note=note)

        try:
            yield update
        finally:
            if tasks:
                progress.stop()

    @contextmanager
    def progress(self, what: str) -> Iterator[Callable[[int, int], None]]:
        """Shows one bar; gives the function to call with ``(done, total)``."""
        with self.bars() as update:
            yield lambda done, total: update(what, done, total)
