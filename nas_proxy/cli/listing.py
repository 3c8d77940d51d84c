"""The command that lists what has a name."""

from __future__ import annotations

from typing import Annotated

import typer

from nas_proxy.cli.options import known
from nas_proxy.cli.output import AsJson, terminal

__all__ = ["app"]

app = typer.Typer()


def _kinds(incomplete: str) -> list[str]:
    from nas_proxy.terminal import listing

    return [kind for kind in listing.kinds() if kind.startswith(incomplete)]


def _names(context: typer.Context, incomplete: str) -> list[str]:
    return known(context.params["kind"])(incomplete)


@app.command("list", rich_help_panel="Look up")
def list_names(
    kind: Annotated[
        str | None,
        typer.Argument(
            autocompletion=_kinds, help="The kind of things to list, such as devices. Without it, all kinds are listed."
        ),
    ] = None,
    name: Annotated[
        str | None,
        typer.Argument(
            autocompletion=_names,
            help="One name of this kind: list the options that it takes, and say what each means.",
        ),
    ] = None,
    as_json: AsJson = False,
) -> None:
    """List what is known by name: search spaces, devices, mappers, schedulers and more, those of plug-ins included."""
    from nas_proxy.terminal.listing import listing_page

    terminal(as_json=as_json).show(listing_page(kind, name))
