"""The ``nas-proxy`` command: thin commands over the package, each importing what it needs when it is called."""

from __future__ import annotations

import sys

import typer
from rich.console import Console

from nas_proxy.errors import NasProxyError

__all__ = ["app", "main"]

app = typer.Typer(
    name="nas-proxy",
    help="Hardware-aware architecture search for NNI 3.0: one measured proxy device ranks candidates for every other.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
)


@app.callback()
def _root() -> None:
    """Keeps `nas-proxy COMMAND` a group of commands."""


def main() -> None:
    """Entry point: errors of input are printed as one message with exit code 2; a bug keeps its traceback."""
    try:
        app()
    except NasProxyError as error:
        Console(stderr=True).print(f"[bold red]error:[/] {error}", highlight=False, soft_wrap=True)
        sys.exit(2)


if __name__ == "__main__":
    main()
