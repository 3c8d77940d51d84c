"""Commands that rank pretrained networks."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from nas_proxy import files
from nas_proxy.cli.output import AsJson, place, terminal, written
from nas_proxy.errors import InputError

__all__ = ["app"]

app = typer.Typer()


@app.command(rich_help_panel="Rank")
def zoo(
    proxy: Annotated[
        Path,
        typer.Option(
            help="Latencies of many timm networks on one device: a CSV file of measurements, or a benchmark table "
            "of timm."
        ),
    ],
    target: Annotated[
        Path | None,
        typer.Option(help="A CSV file with the latencies of about 20 of these networks on your device, per image."),
    ] = None,
    top1: Annotated[
        Path | None,
        typer.Option(help="A results table of timm: which pretrained weights there are, and how accurate they are."),
    ] = None,
    output: Annotated[
        Path | None,
        typer.Option("--output", "-o", help="A CSV file to write with the whole ranking. '-' is standard output."),
    ] = None,
    suggest: Annotated[
        Path | None,
        typer.Option(
            help="Rank nothing, and write a CSV file of networks to measure on your device, with empty latencies "
            "to fill in. '-' is standard output."
        ),
    ] = None,
    n: Annotated[int, typer.Option("-n", min=3, help="The number of networks that --suggest writes.")] = 20,
    top: Annotated[int, typer.Option(min=1, help="The number of networks to show.")] = 40,
    table: Annotated[
        Path | None, typer.Option(help="A table of further networks to rank, made by nas-proxy zoo-trace.")
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Rank timm's pretrained networks on your device from 20 measurements.

    Where accuracies are given, it shows the networks that no other beats in both accuracy and latency.
    """
    from nas_proxy.datasets.timm import read_timm_weights
    from nas_proxy.ranking import from_csv
    from nas_proxy.ranking.zoo import rank_zoo, suggest_networks
    from nas_proxy.ranking.zoo_csv import read_zoo_latencies, write_zoo
    from nas_proxy.spaces.timm_zoo import SHIPPED, TimmZoo
    from nas_proxy.terminal.zoo import zoo_page

    shown = terminal(output or suggest, as_json=as_json)
    if (target is None) == (suggest is None):
        raise InputError("give --target with your device's measurements, or --suggest with a CSV to fill in for it.")
    if suggest is not None and (output or top1 or as_json):
        raise InputError("--suggest ranks nothing: give it without --output, --top1 and --json.")
    files.require_free(output, proxy, target, top1, table)
    space = TimmZoo(SHIPPED, table) if table else TimmZoo()
    measured = read_zoo_latencies(proxy, space)
    if suggest is not None:
        with written(suggest, ".csv") as path:
            from_csv.write_to_measure(path or suggest, space, suggest_networks(measured, n, space))
        shown.say(f"{n} networks in {place(suggest)}; fill in latency_ms, the time per image")
    elif target is not None:
        weights = read_timm_weights(top1) if top1 else None
        ranking = rank_zoo(measured, read_zoo_latencies(target, space), space, weights)
        shown.show(zoo_page(ranking, top))
        with written(output, ".csv") as path:
            if path is not None:
                write_zoo(path, ranking)


@app.command("zoo-trace", rich_help_panel="Rank")
def zoo_trace(
    networks: Annotated[
        list[str],
        typer.Argument(
            help="The networks: a name of timm with the image size (resnet50@288), a function of your own that "
            "builds one (mymodule:function@224), or the path of a table of timm that names many."
        ),
    ],
    output: Annotated[
        Path,
        typer.Option(
            "--output", "-o", help="The table to write. If it exists, networks are added to it. '-' is standard output."
        ),
    ],
) -> None:
    """Work out the costs of further networks, so that nas-proxy zoo --table can rank them.

    The same command goes on where it was interrupted.
    """
    from nas_proxy.datasets.timm_costs import trace_networks

    shown = terminal(output)
    with written(output, ".csv") as path, shown.progress("tracing") as on_progress:
        traced = trace_networks(networks, path or output, on_progress)
    there = f", {traced.there} were there before" if traced.there else ""
    shown.say(f"{traced.added} added to {place(output)}{there}, {traced.shipped} ship with nas-proxy")
    for arch, reason in traced.failed.items():
        shown.warn(f"not traced: {arch}: {reason}")
    if traced.failed:
        raise typer.Exit(1)
