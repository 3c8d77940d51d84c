"""Where a command's results go, and the options that commands share for it."""

from __future__ import annotations

import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from nas_proxy.errors import InputError

if TYPE_CHECKING:
    from nas_proxy.terminal.console import Terminal

__all__ = ["AsJson", "quiet", "terminal", "written"]

AsJson = Annotated[
    bool, typer.Option("--json", help="Print the results as JSON on standard output, instead of tables.")
]

quiet: ContextVar[bool] = ContextVar("quiet", default=False)
"""The option --quiet of the whole command."""


def terminal(output: Path | None = None, *, as_json: bool = False) -> Terminal:
    """What the command prints with, given what it writes to and whether it prints JSON.

    Raises:
        InputError: two results are to be on standard output.
    """
    from nas_proxy.terminal.console import Terminal

    taken = str(output) == "-"
    if taken and as_json:
        raise InputError("give --json or '--output -', not both: each takes standard output for itself.")
    return Terminal(quiet=quiet.get(), as_json=as_json, taken=taken)


@contextmanager
def written(output: Path | None, suffix: str = "") -> Iterator[Path | None]:
    """The file to write. Of ``-`` it is a temporary one, which is copied to standard output when the context ends.

    It is copied after an error too: what was measured before the error is not lost.
    """
    if str(output) != "-":
        yield output
        return
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, f"output{suffix}")
        try:
            yield path
        finally:
            if path.exists():
                sys.stdout.buffer.write(path.read_bytes())
                sys.stdout.flush()


def place(output: Path) -> str:
    """The output in words."""
    return "standard output" if str(output) == "-" else str(output)
