"""The ``nas-proxy`` command: thin commands over the package, each importing what it needs when it is called."""

from __future__ import annotations

import sys
from typing import Annotated

import typer
from rich.console import Console
from rich.markup import escape

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


@app.command()
def doctor(
    fix: Annotated[bool, typer.Option("--fix", help="Cure what can be cured inside the virtual environment.")] = False,
    remove_hook: Annotated[bool, typer.Option("--remove-hook", help="Take away what --fix has installed.")] = False,
) -> None:
    """Check that this environment can run a search; for each failure say what to do."""
    from nas_proxy.nni_plugin import doctor

    if remove_hook:
        print("The torchvision hook is removed." if doctor.remove_hook() else "There is no torchvision hook.")
        return
    checks = doctor.diagnose(fix)
    console, colours = Console(), {"ok": "green", "warning": "yellow", "failed": "red"}
    for check in checks:
        mark = f"[{colours[check.status]}]{check.status:>7}[/]"
        console.print(f"{mark}  {check.name}: {escape(check.found)}", highlight=False, soft_wrap=True)
        if check.remedy:
            console.print(f"      ->  {escape(check.remedy)}", highlight=False, soft_wrap=True)
    if any(check.status == "failed" for check in checks):
        raise typer.Exit(1)


def main() -> None:
    """Entry point: errors of input are printed as one message with exit code 2; a bug keeps its traceback."""
    try:
        app()
    except NasProxyError as error:
        Console(stderr=True).print(f"[bold red]error:[/] {error}", highlight=False, soft_wrap=True)
        sys.exit(2)


if __name__ == "__main__":
    main()
