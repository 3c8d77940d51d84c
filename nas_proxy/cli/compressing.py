"""The command that makes learned policies smaller."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Annotated

import typer

from nas_proxy import extensions
from nas_proxy.cli.options import Seed, known
from nas_proxy.cli.output import AsJson, terminal
from nas_proxy.errors import InputError

__all__ = ["app"]

app = typer.Typer()


@app.command(rich_help_panel="Learned policies")
def compress(
    policy: Annotated[
        str,
        typer.Argument(
            autocompletion=known("policies"),
            help="The policy: a name (nas-proxy list policies), or a function of your own that returns the task, as "
            "module:function.",
        ),
    ],
    method: Annotated[
        list[str],
        typer.Option(
            "--method",
            "-m",
            help="One way to make the policy smaller, such as PTDQ (quantized after training) or 'L2 0.7 + distil' "
            "(70 % of the units pruned, then trained again to act as the original does). May be repeated.",
        ),
    ] = [],  # noqa: B006
    all_methods: Annotated[
        bool, typer.Option("--sweep", help="Try every method, each with several shares of pruned units.")
    ] = False,
    output: Annotated[
        Path | None,
        typer.Option(
            "--output",
            "-o",
            help="The folder to write results and the smaller policy to; results that are in it are kept. By default "
            "runs/compress-POLICY.",
        ),
    ] = None,
    keep: Annotated[
        float,
        typer.Option(
            min=0.01,
            max=1.0,
            help="How well a smaller policy must still do its task to be chosen, as a share of the original policy's "
            "mean return. The return is the sum of the rewards in one run of the task.",
        ),
    ] = 0.95,
    seed: Seed = 0,
    as_json: AsJson = False,
) -> None:
    """Make a policy smaller in several ways, and choose the smallest form that still does its work.

    A policy is quantized (its numbers have fewer bits), pruned (units are removed) or distilled (a small network is
    trained to act as the original does).
    """
    from nas_proxy.compression import parse_method, sweep
    from nas_proxy.terminal.compression import sweep_page

    if str(output) == "-":
        raise InputError("--output: results are written to a folder, not to standard output: give a folder's name.")
    if all_methods == bool(method):
        raise InputError("give --sweep to try the grid of methods, or --method, once or several times, to name some.")
    shown = terminal(as_json=as_json)
    methods = [str(parse_method(text)) for text in method]  # refused before the policy's observations are made
    folder = output or Path("runs") / ("compress-" + re.sub(r"[^\w.+-]+", "-", policy))
    task = extensions.get("policies", policy)
    with shown.progress("compressing") as on_progress:
        found = sweep(task, folder, methods=methods, keep=keep, seed=seed, on_progress=on_progress)
    shown.show(sweep_page(found))
    shown.say(f"{folder}: sweep.csv, sweep.json, sweep.png")
