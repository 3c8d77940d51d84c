"""Commands that look at networks on simulated accelerators, and make them faster there."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer

from nas_proxy import files
from nas_proxy.cli.options import Backend, Batch, Jobs, Model, Parameter, Seed, Shape, Space, known
from nas_proxy.cli.output import AsJson, terminal, written
from nas_proxy.errors import InputError

__all__ = ["app"]

app = typer.Typer()


def _objectives(incomplete: str) -> list[str]:
    return [name for name in ("edp", "energy", "latency") if name.startswith(incomplete)]


@app.command(rich_help_panel="Simulate and optimise")
def inspect(
    model: Model,
    batch: Batch = None,
    shape: Shape = [],  # noqa: B006
    precision: Annotated[
        str,
        typer.Option(
            help="The number type of weights and activations, such as int8 or float16. The bytes shown are those that "
            "they take as this type."
        ),
    ] = "float32",
    rows: Annotated[
        int | None, typer.Option(min=1, help="Show only this many operators, the largest ones. By default all.")
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Show where the multiply-accumulates, parameters and activations of a network are."""
    from nas_proxy.graph import annotate, from_onnx, parse_shapes
    from nas_proxy.terminal.graphs import graph_page

    graph = from_onnx(model, batch=batch, input_shapes=parse_shapes(shape))
    terminal(as_json=as_json).show(graph_page(annotate(graph, precision), rows=rows))


@app.command(rich_help_panel="Simulate and optimise")
def schedule(
    model: Model,
    device: Annotated[
        str,
        typer.Option(
            autocompletion=known("devices"),
            help="The pipeline of Edge TPUs: a name (nas-proxy list devices), or the path of your own YAML file.",
        ),
    ] = "edge-tpu-x4",
    scheduler: Annotated[
        str | None,
        typer.Option(
            autocompletion=known("schedulers"),
            help="What decides the cuts, by name (nas-proxy list schedulers). By default the scheduler that the "
            "device's file names.",
        ),
    ] = None,
    batch: Batch = None,
    shape: Shape = [],  # noqa: B006
    as_json: AsJson = False,
) -> None:
    """Cut a network into the stages of a pipeline of Edge TPUs, so that the slowest stage is as fast as possible."""
    from nas_proxy.graph import from_onnx, parse_shapes
    from nas_proxy.scheduling.scheduled import schedule_on
    from nas_proxy.terminal.scheduling import scheduled_page

    graph = from_onnx(model, batch=batch, input_shapes=parse_shapes(shape))
    terminal(as_json=as_json).show(scheduled_page(schedule_on(graph, device, scheduler)))


@app.command("map", rich_help_panel="Simulate and optimise")
def map_layer(
    layer: Annotated[
        str,
        typer.Option(
            help="The layer: conv:KxCxPxQxRxS with output channels, input channels, output height and width, and "
            "kernel height and width (conv:64x64x56x56x3x3), or gemm:MxNxK for a product of matrices "
            "(gemm:128x768x768)."
        ),
    ],
    device: Annotated[
        str,
        typer.Option(
            autocompletion=known("devices"),
            help="The spatial accelerator: a name (nas-proxy list devices), or the path of your own YAML file.",
        ),
    ] = "eyeriss",
    budget: Annotated[int, typer.Option(help="The number of mappings that the search may evaluate.")] = 1000,
    objective: Annotated[
        str,
        typer.Option(
            autocompletion=_objectives,
            help="What the mapping shall need as little of as possible: latency, energy, or edp, the product of both.",
        ),
    ] = "edp",
    max_cycles: Annotated[
        float | None,
        typer.Option(
            help="The number of clock cycles that the layer may take at most; only for --objective energy. By default "
            "no limit."
        ),
    ] = None,
    mapper: Annotated[
        str,
        typer.Option(
            autocompletion=known("mappers"),
            help="The method that searches for mappings: a name (nas-proxy list mappers), or a class of your own as "
            "module:Class. Options follow in brackets: 'marl(critic=false)'.",
        ),
    ] = "marl",
    seed: Seed = 0,
    picture: Annotated[
        Path | None,
        typer.Option(help="An image file to write, .png or .svg: the energy that each part of the accelerator spends."),
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Find a good mapping of one layer to a simulated accelerator: which loop runs where, and what is kept where."""
    from nas_proxy.mapping.device import map_to_device
    from nas_proxy.terminal.mapping import mapping_page, save_picture

    shown = terminal(picture, as_json=as_json)
    wanted: Any = objective  # checked there, with the known ones named
    found = map_to_device(layer, device, wanted, budget=budget, max_cycles=max_cycles, mapper=mapper, seed=seed)
    shown.show(mapping_page(*found))
    with written(picture, ".png") as path:
        if path is not None:
            save_picture(*found, path)


@app.command("optimise", rich_help_panel="Simulate and optimise")
@app.command("rewrite", hidden=True)
def rewrite(
    model: Model,
    output: Annotated[
        Path,
        typer.Option("--output", "-o", help="The ONNX file to write. '-' is standard output."),
    ],
    target: Annotated[
        str,
        typer.Option(
            "--for",
            autocompletion=known("devices"),
            help="The device that the network shall be cheaper on: a name (nas-proxy list devices), or the path of "
            "your own YAML file. macs+bytes counts operations and bytes instead, for no device in "
            "particular.",
        ),
    ] = "host-onnxruntime",
    rewriter: Annotated[
        str,
        typer.Option(
            autocompletion=known("rewriters"),
            help="What searches for equivalent networks, by name (nas-proxy list rewriters).",
        ),
    ] = "learned",
    evaluations: Annotated[
        int, typer.Option(min=1, help="The number of networks that the search may look at, at most.")
    ] = 2000,
    seconds: Annotated[
        float | None,
        typer.Option(
            min=0,
            help="The time that the search may take, in seconds; then its best network so far is taken. By default "
            "no limit.",
        ),
    ] = None,
    batch: Batch = None,
    shape: Shape = [],  # noqa: B006
    seed: Seed = 0,
    as_json: AsJson = False,
) -> None:
    """Find an equivalent network that is cheaper on a device, and prove that it computes the same.

    For this machine the network is also measured, and the original is kept unless the new one is surely faster.
    """
    from nas_proxy.graph import parse_shapes
    from nas_proxy.rewriting.optimising import rewrite_file
    from nas_proxy.terminal.rewriting import optimised_page

    shown = terminal(output, as_json=as_json)
    files.require_free(output, model, suffix=".onnx")
    limits = {"rewriter": rewriter, "evaluations": evaluations, "seconds": seconds, "seed": seed}
    with written(output, ".onnx") as path:
        done = rewrite_file(model, path or output, target, batch=batch, input_shapes=parse_shapes(shape), **limits)
    shown.show(optimised_page(done))


@app.command(rich_help_panel="Simulate and optimise")
def evaluate(
    archs: Annotated[Path, typer.Argument(help="A CSV file with a column 'arch': the architectures to evaluate.")],
    target: Annotated[
        list[str],
        typer.Option(
            autocompletion=known("devices"),
            help="A device to evaluate on: a name (nas-proxy list devices), or the path of your own YAML file. May be "
            "repeated.",
        ),
    ],
    output: Annotated[
        Path | None,
        typer.Option(
            "--output",
            "-o",
            help="A file to write: .csv for one row for each architecture and target, .json for everything, each layer "
            "included. '-' is standard output, as CSV.",
        ),
    ] = None,
    space: Space = None,
    rewriter: Annotated[
        str | None,
        typer.Option(
            autocompletion=known("rewriters"),
            help="What searches for equivalent, cheaper networks, by name (nas-proxy list rewriters). By default "
            "greedy.",
        ),
    ] = None,
    rewriting: Annotated[bool, typer.Option(help="Whether to search for equivalent, cheaper networks at all.")] = True,
    mapper: Annotated[
        str | None,
        typer.Option(
            autocompletion=known("mappers"),
            help="The method that maps layers to spatial accelerators: a name (nas-proxy list mappers), or a class of "
            "your own as module:Class. Options follow in brackets: 'marl(critic=false)'. By default the mapper that "
            "the device's file names.",
        ),
    ] = None,
    evaluations: Annotated[
        int | None,
        typer.Option(
            min=1,
            help="The number of mappings that may be evaluated for each layer. By default as the device's file says.",
        ),
    ] = None,
    objective: Annotated[
        str | None,
        typer.Option(
            autocompletion=_objectives,
            help="What mappings shall need as little of as possible: latency, energy, or edp, the product of both. By "
            "default as the device's file says.",
        ),
    ] = None,
    scheduler: Annotated[
        str | None,
        typer.Option(
            autocompletion=known("schedulers"),
            help="What cuts networks into the stages of pipelines, by name (nas-proxy list schedulers). By default the "
            "scheduler that the device's file names.",
        ),
    ] = None,
    parameter: Parameter = [],  # noqa: B006
    cache: Annotated[
        Path | None,
        typer.Option(
            help="The folder where results are kept for the next time. By default nas-proxy's cache folder of this "
            "user."
        ),
    ] = None,
    seed: Seed = 0,
    jobs: Jobs = 1,
    backend: Backend = "loky",
    as_json: AsJson = False,
) -> None:
    """Show how fast architectures can be made on each target.

    It says what rewriting the network, mapping its layers and scheduling its stages gain, each alone and all together.
    """
    from nas_proxy import finalists
    from nas_proxy.cli.choice import choose
    from nas_proxy.devices import Workers
    from nas_proxy.terminal.finalists import finalists_page

    shown = terminal(output, as_json=as_json)
    if output is not None and str(output) != "-":
        finalists.writer(output)  # refuses a suffix before any work
    if rewriter is not None and not rewriting:
        raise InputError("give --rewriter or --no-rewriting, not both.")
    files.require_free(output, archs, *target, own_column="target")
    chosen, wanted = choose(space, parameter, None, seed, archs), {"mapper": mapper, "scheduler": scheduler}
    settings: Any = wanted | {"evaluations": evaluations, "objective": objective, "cache": cache, "seed": seed}
    settings |= {"rewriter": rewriter or "greedy" if rewriting else None, "workers": Workers(jobs, backend)}
    with shown.progress("evaluating") as on_progress:
        table = finalists.evaluate_finalists(
            chosen.archs, target, space=chosen.space, on_progress=on_progress, **settings
        )
    with written(output, ".csv") as path:
        if path is not None:
            finalists.writer(path)(table)
    shown.show(finalists_page(table))
