"""Commands that measure networks here, or write them down to be measured elsewhere."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from nas_proxy.cli.options import Backend, Jobs, N, Parameter, Seed, Space, known
from nas_proxy.cli.output import place, terminal, written
from nas_proxy.errors import InputError

__all__ = ["app"]

app = typer.Typer()


@app.command(rich_help_panel="Measure")
def measure(
    output: Annotated[
        Path,
        typer.Option(
            "--output",
            "-o",
            help="The CSV file to write. If it exists, the measurements in it are kept and only missing ones are made. "
            "'-' is standard output.",
        ),
    ],
    device: Annotated[
        str,
        typer.Option(
            autocompletion=known("devices"),
            help="The device to measure on: a name (nas-proxy list devices), or the path of your own YAML file.",
        ),
    ],
    space: Space = None,
    n: N = None,
    archs: Annotated[
        Path | None,
        typer.Option(help="A CSV file with a column 'arch': measure these architectures, and draw none at random."),
    ] = None,
    seed: Seed = 0,
    parameter: Parameter = [],  # noqa: B006
    jobs: Jobs = 1,
    backend: Backend = "loky",
) -> None:
    """Measure the latency of architectures on a device, in milliseconds.

    The same command goes on where it was interrupted.
    """
    from nas_proxy.cli.choice import choose
    from nas_proxy.devices import Workers, measure

    shown, chosen = terminal(output), choose(space, parameter, n, seed, archs)
    with written(output, ".csv") as path, shown.progress("measuring") as on_progress:
        assert path is not None
        workers = Workers(jobs, backend)
        table = measure(device, chosen.space, chosen.archs, path, on_progress=on_progress, workers=workers)
    shown.say(f"{place(output)}: {len(table)} architectures measured on {table.devices[0]}")


@app.command(rich_help_panel="Measure")
def export(
    output: Annotated[
        Path,
        typer.Option("--output", "-o", help="The folder to write to. Networks that are in it already are kept."),
    ],
    space: Space = None,
    n: N = None,
    archs: Annotated[
        Path | None,
        typer.Option(help="A CSV file with a column 'arch': export these architectures, and draw none at random."),
    ] = None,
    seed: Seed = 0,
    batch_size: Annotated[int, typer.Option(min=1, help="The batch size that the files are fixed to.")] = 1,
    parameter: Parameter = [],  # noqa: B006
) -> None:
    """Write architectures as ONNX files, to measure them on a device that nas-proxy cannot reach.

    Beside them it writes latencies.csv, with an empty cell for each latency that you measure.
    """
    from nas_proxy.cli.choice import choose
    from nas_proxy.devices import export_onnx

    if str(output) == "-":
        raise InputError("--output: networks are written to a folder, not to standard output: give a folder's name.")
    shown, chosen = terminal(), choose(space, parameter, n, seed, archs)
    with shown.progress("exporting") as on_progress:
        table = export_onnx(chosen.space, chosen.archs, output, batch_size=batch_size, on_progress=on_progress)
    shown.say(f"{len(chosen.archs)} networks in {output}; fill in latency_ms in {table}")
