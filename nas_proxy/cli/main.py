"""The ``nas-proxy`` command: thin commands over the package, each importing what it needs when it is called."""

from __future__ import annotations

import os
import re
import sys
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.console import Console
from rich.markup import escape

from nas_proxy import extensions, files
from nas_proxy.cli import schemas
from nas_proxy.errors import InputError, NasProxyError, extra_for

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


@app.command("list")
def list_names(
    kind: Annotated[str | None, typer.Argument(help="One of the kinds, to see what each of its names is.")] = None,
    name: Annotated[str | None, typer.Argument(help="One of its names, to see what each of its options is.")] = None,
) -> None:
    """List what is known by name, plug-ins included: spaces, devices, mappers, schedulers, rewriters, ..."""
    from nas_proxy.terminal import listing

    Console().print(listing.render(kind, name))


app.add_typer(schemas.app)

_SHAPE = Annotated[list[str], typer.Option("--shape", help="Of an input that the model leaves open: x=1,3,224,224.")]


@app.command()
def inspect(
    model: Annotated[str, typer.Argument(help="Path of an ONNX model.")],
    batch: Annotated[int | None, typer.Option(min=1, help="The batch size, where the model leaves it open.")] = None,
    shape: _SHAPE = [],  # noqa: B006
    precision: Annotated[
        str, typer.Option(help="Precision of weights and activations: int8, float16, ...")
    ] = "float32",
    rows: Annotated[int | None, typer.Option(min=1, help="Show only so many operators, the largest.")] = None,
) -> None:
    """Show where an ONNX model's multiply-accumulates, parameters and activations are."""
    from nas_proxy.graph import annotate, from_onnx, parse_shapes
    from nas_proxy.terminal.graphs import render

    graph = from_onnx(model, batch=batch, input_shapes=parse_shapes(shape))
    Console().print(render(annotate(graph, precision), rows=rows))


@app.command()
def schedule(
    model: Annotated[str, typer.Argument(help="Path of an ONNX model.")],
    device: Annotated[str, typer.Option(help="A pipeline of Edge TPUs, by name or path.")] = "edge-tpu-x4",
    scheduler: Annotated[
        str | None, typer.Option(help="Instead of the one that the device names; nas-proxy list schedulers.")
    ] = None,
    batch: Annotated[int | None, typer.Option(min=1, help="The batch size, where the model leaves it open.")] = None,
    shape: _SHAPE = [],  # noqa: B006
) -> None:
    """Cut an ONNX model into the stages of a pipeline of Edge TPUs."""
    from nas_proxy.graph import from_onnx, parse_shapes
    from nas_proxy.terminal.scheduling import schedule_on

    graph = from_onnx(model, batch=batch, input_shapes=parse_shapes(shape))
    Console().print(schedule_on(graph, device, scheduler), highlight=False, soft_wrap=False)


@app.command("map")
def map_layer(
    layer: Annotated[str, typer.Option(help="Such as conv:64x64x56x56x3x3 (K, C, P, Q, R, S) or gemm:128x768x768.")],
    device: Annotated[str, typer.Option(help="A spatial accelerator, by name or path.")] = "eyeriss",
    budget: Annotated[int, typer.Option(help="Evaluations to spend.")] = 1000,
    objective: Annotated[str, typer.Option(help="edp, latency or energy.")] = "edp",
    max_cycles: Annotated[float | None, typer.Option(help="With energy: the latency limit.")] = None,
    mapper: Annotated[str, typer.Option(help="How to search; nas-proxy list mappers.")] = "marl",
    seed: Annotated[int, typer.Option(min=0, help="The same seed gives the same mapping.")] = 0,
    picture: Annotated[Path | None, typer.Option(help="Save where the energy goes, as .png or .svg.")] = None,
) -> None:
    """Find a good mapping of one layer to a simulated accelerator, and show it."""
    from nas_proxy.mapping.device import map_to_device
    from nas_proxy.terminal.mapping import show

    wanted: Any = objective  # checked there, with the known ones named
    found = map_to_device(layer, device, wanted, budget=budget, max_cycles=max_cycles, mapper=mapper, seed=seed)
    show(*found, picture)


@app.command()
def run(
    config: Annotated[
        str | None, typer.Argument(help="A shipped configuration by name, or your own YAML file.")
    ] = None,
    folder: Annotated[Path | None, typer.Option(help="Where everything goes; by default runs/<name>-<number>.")] = None,
    resume: Annotated[Path | None, typer.Option(help="Go on with the run in this folder instead.")] = None,
    port: Annotated[int | None, typer.Option(min=1, max=65534, help="NNI's port; by default a free one.")] = None,
    expose: Annotated[
        bool, typer.Option("--expose", help="Listen on all interfaces: NNI asks nobody who they are.")
    ] = False,
) -> None:
    """Run an experiment under NNI, from measuring to the Pareto front."""
    from nas_proxy.nni_plugin import run as runs

    if (config is None) == (resume is None):
        raise InputError("give a configuration to start (nas-proxy run quickstart), or --resume with a run's folder.")
    options = runs.Options(port, expose)
    if resume is not None:
        runs.resume(resume, options, Console())
    else:
        runs.start(str(config), folder, options, Console())


@app.command()
def measure(
    output: Annotated[Path, typer.Option("--output", "-o", help="The CSV; a half-done one is continued.")],
    device: Annotated[str, typer.Option(help="By name (nas-proxy list devices), or your own YAML file.")],
    space: Annotated[str | None, typer.Option(help="The search space, unless --archs states it.")] = None,
    n: Annotated[int | None, typer.Option("-n", min=1, help="How many architectures, drawn at random.")] = None,
    archs: Annotated[Path | None, typer.Option(help="Measure those in this CSV's column 'arch' instead.")] = None,
    seed: Annotated[int, typer.Option(min=0, help="Of the random architectures.")] = 0,
    parameter: Annotated[list[str], typer.Option("--parameter", "-p", help="Of the space, as NAME=VALUE.")] = [],  # noqa: B006
    jobs: Annotated[int, typer.Option(help="Workers; -1 for one a core.")] = 1,
    backend: Annotated[str, typer.Option(help="Of joblib: loky (processes of this machine) or ray.")] = "loky",
) -> None:
    """Measure latencies on a device; the same command continues what was interrupted."""
    from nas_proxy.cli.choice import choose
    from nas_proxy.devices import Workers, measure
    from nas_proxy.terminal.progress import show_progress

    chosen = choose(space, parameter, n, seed, archs)
    with show_progress("measuring") as on_progress:
        workers = Workers(jobs, backend)
        table = measure(device, chosen.space, chosen.archs, output, on_progress=on_progress, workers=workers)
    Console().print(
        f"{output}: {len(table)} architectures measured on {table.devices[0]}", markup=False, soft_wrap=True
    )


@app.command()
def export(
    output: Annotated[Path, typer.Option("--output", "-o", help="The folder to write to.")],
    space: Annotated[str | None, typer.Option(help="The search space, unless --archs states it.")] = None,
    onnx: Annotated[bool, typer.Option("--onnx", help="As ONNX, the only format there is.")] = True,
    n: Annotated[int | None, typer.Option("-n", min=1, help="How many architectures, drawn at random.")] = None,
    archs: Annotated[Path | None, typer.Option(help="Export those in this CSV's column 'arch' instead.")] = None,
    seed: Annotated[int, typer.Option(min=0, help="Of the random architectures.")] = 0,
    batch_size: Annotated[int, typer.Option(min=1, help="Fixed in the files.")] = 1,
    parameter: Annotated[list[str], typer.Option("--parameter", "-p", help="Of the space, as NAME=VALUE.")] = [],  # noqa: B006
) -> None:
    """Write networks to measure on a device that is elsewhere, and the CSV to fill in."""
    from nas_proxy.cli.choice import choose
    from nas_proxy.devices import export_onnx
    from nas_proxy.terminal.progress import show_progress

    chosen = choose(space, parameter, n, seed, archs)
    with show_progress("exporting") as on_progress:
        table = export_onnx(chosen.space, chosen.archs, output, batch_size=batch_size, on_progress=on_progress)
    Console().print(
        f"{len(chosen.archs)} networks in {output}; fill in latency_ms in {table}", markup=False, soft_wrap=True
    )


@app.command()
def zoo(
    proxy: Annotated[Path, typer.Option(help="Latencies of many timm networks on one device, as CSV or as timm's.")],
    target: Annotated[Path | None, typer.Option(help="Latencies of a few of them on your device.")] = None,
    top1: Annotated[Path | None, typer.Option(help="timm's results CSV: which weights, how accurate.")] = None,
    output: Annotated[Path | None, typer.Option("--output", "-o", help="CSV of the ranking to write.")] = None,
    suggest: Annotated[Path | None, typer.Option(help="Instead write a CSV of networks to measure on it.")] = None,
    n: Annotated[int, typer.Option("-n", min=3, help="How many to suggest.")] = 20,
    top: Annotated[int, typer.Option(min=1, help="How many to show.")] = 40,
    table: Annotated[Path | None, typer.Option(help="Networks of your own, made by zoo-trace.")] = None,
) -> None:
    """Rank timm's pretrained networks on your device from 20 measurements, and show the accuracy-latency front."""
    from nas_proxy.datasets.timm import read_timm_weights
    from nas_proxy.ranking import from_csv
    from nas_proxy.ranking.zoo import rank_zoo, suggest_networks
    from nas_proxy.ranking.zoo_csv import read_zoo_latencies, write_zoo
    from nas_proxy.spaces.timm_zoo import SHIPPED, TimmZoo
    from nas_proxy.terminal.zoo import zoo_table

    if (target is None) == (suggest is None):
        raise InputError("give --target with your device's measurements, or --suggest with a CSV to fill in for it.")
    files.require_free(output, proxy, target, top1, table)
    space = TimmZoo(SHIPPED, table) if table else TimmZoo()
    measured = read_zoo_latencies(proxy, space)
    if suggest is not None:
        from_csv.write_to_measure(suggest, space, suggest_networks(measured, n, space))
        Console().print(
            f"{n} networks in {suggest}; fill in latency_ms, the time per image", markup=False, soft_wrap=True
        )
    elif target is not None:
        weights = read_timm_weights(top1) if top1 else None
        ranking = rank_zoo(measured, read_zoo_latencies(target, space), space, weights)
        Console().print(zoo_table(ranking, top))
        if output is not None:
            write_zoo(output, ranking)


@app.command("zoo-trace")
def zoo_trace(
    networks: Annotated[
        list[str], typer.Argument(help="resnet50@288, mymodule:function@224, or a table of timm's that names them.")
    ],
    output: Annotated[Path, typer.Option("--output", "-o", help="The table; one that is there is extended.")],
) -> None:
    """Trace what networks cost that the zoo lacks, for nas-proxy zoo --table; can be stopped and goes on."""
    from nas_proxy.datasets.timm_costs import trace_networks
    from nas_proxy.terminal.progress import show_progress

    with show_progress("tracing") as on_progress:
        traced = trace_networks(networks, output, on_progress)
    there = f", {traced.there} are there" if traced.there else ""
    counts = f"{traced.added} added to {output}{there}, {traced.shipped} ship already"
    Console().print(counts, markup=False, soft_wrap=True)
    for arch, reason in traced.failed.items():
        Console(stderr=True).print(f"not traced: {escape(arch)}: {escape(reason)}", highlight=False, soft_wrap=True)
    if traced.failed:
        raise typer.Exit(1)


@app.command()
def suggest(
    proxy: Annotated[Path, typer.Option(help="CSV of the proxy's measurements.")],
    output: Annotated[Path, typer.Option("--output", "-o", help="The CSV to write, its latencies to be filled in.")],
    n: Annotated[int, typer.Option("-n", help="How many architectures.")] = 20,
    archs: Annotated[
        Path | None, typer.Option(help="Choose among those in this CSV; by default all, or 2,000.")
    ] = None,
    space: Annotated[str | None, typer.Option(help="The search space, if the CSV does not say.")] = None,
    seed: Annotated[int, typer.Option(min=0, help="Of the candidates drawn.")] = 0,
) -> None:
    """Say which architectures to measure on a target device."""
    from nas_proxy.ranking.from_csv import candidates, fit_one, write_to_measure

    model = fit_one(proxy, space, why="Suggesting needs a CSV of one.")
    pool = candidates(model.space, archs, seed)
    write_to_measure(output, model.space, [pool[i] for i in model.suggest(pool, n, seed)])
    Console().print(f"{n} architectures of {len(pool)} in {output}; fill in latency_ms", markup=False, soft_wrap=True)


_PROXY = Annotated[Path, typer.Option("--proxy", help="CSV of one or several measured proxy devices.")]


@app.command()
def adapt(
    proxy: _PROXY,
    target: Annotated[Path, typer.Option(help="CSV of one or several targets' measurements.")],
    output: Annotated[Path | None, typer.Option("--output", "-o", help="CSV of predictions to write.")] = None,
    archs: Annotated[Path | None, typer.Option(help="Predict those in this CSV; by default all, or 2,000.")] = None,
    space: Annotated[str | None, typer.Option(help="The search space, if the CSV does not say.")] = None,
    method: Annotated[str, typer.Option(help="How to adapt; nas-proxy list methods.")] = "bayes",
) -> None:
    """Adapt to targets from their few measurements, and say how well each ranking will hold."""
    from nas_proxy.ranking import from_csv

    files.require_free(output, proxy, target, archs)
    adapted = from_csv.adapt_csv(from_csv.fit_csv(proxy, space), target, method=method)
    Console().print(from_csv.quality_table(adapted))
    if output is not None:
        from_csv.write_predictions(output, adapted, from_csv.candidates(adapted[0].model.proxy.space, archs))


@app.command()
def rank(
    proxy: _PROXY,
    target: Annotated[Path, typer.Option(help="CSV of the target's measurements.")],
    output: Annotated[Path | None, typer.Option("--output", "-o", help="CSV of the ranking to write.")] = None,
    archs: Annotated[Path | None, typer.Option(help="Rank those in this CSV; by default all, or 2,000.")] = None,
    accuracy: Annotated[Path | None, typer.Option(help="CSV of accuracies: rank its Pareto front.")] = None,
    top: Annotated[int, typer.Option(min=1, help="How many to show.")] = 10,
    space: Annotated[str | None, typer.Option(help="The search space, if the CSV does not say.")] = None,
) -> None:
    """Rank architectures by their predicted latency, the fastest first; with accuracies, the Pareto front."""
    from nas_proxy.ranking import from_csv

    files.require_free(output, proxy, target, archs, accuracy)
    ranking = from_csv.rank_csv(from_csv.fit_csv(proxy, space), target, archs, accuracy)
    Console().print(from_csv.ranking_table(ranking, top), from_csv.quality_note(ranking.adapted))
    if output is not None:
        from_csv.write_predictions(output, [ranking.adapted], ranking.archs)


@app.command()
def fleet(
    fleet: Annotated[Path, typer.Argument(help="CSV of many devices that measured the same few architectures.")],
    proxy: Annotated[Path, typer.Option(help="CSV of one measured proxy device.")],
    accuracy: Annotated[Path | None, typer.Option(help="CSV of accuracies: the candidates.")] = None,
    archs: Annotated[Path | None, typer.Option(help="Candidates without accuracies; by default all, or 2,000.")] = None,
    limit_ms: Annotated[float | None, typer.Option(help="The latency that every device may take.")] = None,
    limit_quantile: Annotated[
        float | None, typer.Option(help="Or this quantile of the candidates' on each device; by default 0.25.")
    ] = None,
    within: Annotated[str, typer.Option(help="How far from its best a device may be served: 1% or 0.01.")] = "1%",
    output: Annotated[Path | None, typer.Option("--output", "-o", help="CSV to write, a row per device.")] = None,
    space: Annotated[str | None, typer.Option(help="The search space, if the CSV does not say.")] = None,
) -> None:
    """Recommend a network to each of thousands of devices, name the doubtful ones, and find how few networks do."""
    from nas_proxy.ranking import fleet_csv
    from nas_proxy.ranking.fleet import Demand

    files.require_free(output, fleet, proxy, archs, accuracy)
    if limit_ms is not None and limit_quantile is not None:
        raise InputError("give --limit-ms or --limit-quantile, not both: each says what a device may take.")
    quantile = Demand.quantile if limit_quantile is None else limit_quantile
    demand = Demand(limit_ms, quantile, fleet_csv.share(within))
    found, of = fleet_csv.fleet_csv(fleet, proxy, accuracy, archs, demand, space)
    Console().print(fleet_csv.fleet_table(found, of, demand.within))
    if output is not None:
        fleet_csv.write_fleet(output, found, of)


@app.command()
def report(
    run: Annotated[Path, typer.Argument(help="The folder of a run.")],
    output: Annotated[Path, typer.Option("--output", "-o", help="The HTML file to write.")] = Path("report.html"),
    space: Annotated[str | None, typer.Option(help="The search space, where it is your own: module:Class.")] = None,
) -> None:
    """Show a run as one HTML page that needs no network: which network for which device, and why to believe it."""
    from nas_proxy.report import write_report

    files.require_free(output, suffix=".html")
    path = write_report(run, output, space)
    Console().print(f"{path}: {path.stat().st_size / 1e6:.1f} MB; open it in a browser", markup=False, soft_wrap=True)


@app.command("optimise")
@app.command("rewrite", hidden=True)
def rewrite(
    model: Annotated[Path, typer.Argument(help="Path of an ONNX model.")],
    output: Annotated[Path, typer.Option("--output", "-o", help="The ONNX file to write.")],
    target: Annotated[str, typer.Option("--for", help="A device by name or path; macs+bytes for none.")] = (
        "host-onnxruntime"
    ),
    rewriter: Annotated[str, typer.Option(help="How to search; nas-proxy list rewriters.")] = "learned",
    evaluations: Annotated[int, typer.Option(min=1, help="Graphs to price at most.")] = 2000,
    seconds: Annotated[
        float | None, typer.Option(min=0, help="Time to search at most; the best so far counts.")
    ] = None,
    batch: Annotated[int | None, typer.Option(min=1, help="The batch size, where the model leaves it open.")] = None,
    seed: Annotated[int, typer.Option(min=0, help="The same seed gives the same search.")] = 0,
) -> None:
    """Find an equivalent network that is cheaper on a device, prove it equal, and measure it on this machine."""
    from nas_proxy.rewriting import optimising

    files.require_free(output, model, suffix=".onnx")
    options = {"rewriter": rewriter, "evaluations": evaluations, "seconds": seconds, "batch": batch, "seed": seed}
    Console().print(optimising.render(optimising.rewrite_file(model, output, target, **options)), soft_wrap=True)


@app.command()
def compress(
    policy: Annotated[str, typer.Argument(help="By name (nas-proxy list policies), or your own: module:function.")],
    method: Annotated[list[str], typer.Option("--method", "-m", help="Such as PTDQ or 'L2 0.7 + distil'.")] = [],  # noqa: B006
    all_methods: Annotated[bool, typer.Option("--sweep", help="Try the grid of methods and ratios.")] = False,
    output: Annotated[
        Path | None, typer.Option("--output", "-o", help="The folder; by default runs/compress-POLICY.")
    ] = None,
    keep: Annotated[float, typer.Option(min=0.01, max=1.0, help="The share of the return that must be kept.")] = 0.95,
    seed: Annotated[int, typer.Option(min=0, help="The same seed gives the same policies.")] = 0,
) -> None:
    """Make a policy smaller: quantize, prune, distil; keep the smallest form that still does its work."""
    from nas_proxy.compression import parse_method, sweep
    from nas_proxy.compression.sweep import render
    from nas_proxy.terminal.progress import show_progress

    if all_methods == bool(method):
        raise InputError("give --sweep to try the grid of methods, or --method, once or several times, to name some.")
    methods = [str(parse_method(text)) for text in method]  # refused before the policy's observations are made
    folder = output or Path("runs") / ("compress-" + re.sub(r"[^\w.+-]+", "-", policy))
    with show_progress("compressing") as on_progress:
        found = sweep(
            extensions.get("policies", policy), folder, methods=methods, keep=keep, seed=seed, on_progress=on_progress
        )
    Console().print(*render(found), f"{folder}: sweep.csv, sweep.json, sweep.png", sep="\n", soft_wrap=True)


@app.command()
def evaluate(
    archs: Annotated[Path, typer.Argument(help="CSV with a column 'arch': the networks to evaluate.")],
    target: Annotated[list[str], typer.Option(help="A device by name or path; may be repeated.")],
    output: Annotated[Path | None, typer.Option("--output", "-o", help="A .csv or .json to write.")] = None,
    space: Annotated[str | None, typer.Option(help="The search space, if the CSV does not say.")] = None,
    rewriter: Annotated[str, typer.Option(help="How to look for those; nas-proxy list rewriters.")] = "greedy",
    rewriting: Annotated[bool, typer.Option(help="Look for cheaper equivalents.")] = True,
    mapper: Annotated[
        str | None, typer.Option(help="Instead of the one that the device names; nas-proxy list mappers.")
    ] = None,
    evaluations: Annotated[int | None, typer.Option(min=1, help="Of mappings a layer, likewise.")] = None,
    objective: Annotated[str | None, typer.Option(help="edp, latency or energy, likewise.")] = None,
    scheduler: Annotated[str | None, typer.Option(help="Of pipelines, likewise; nas-proxy list schedulers.")] = None,
    parameter: Annotated[list[str], typer.Option("--parameter", "-p", help="Of the space, as NAME=VALUE.")] = [],  # noqa: B006
    cache: Annotated[Path | None, typer.Option(help="Folder of what is known; by default the user's.")] = None,
    seed: Annotated[int, typer.Option(min=0, help="The same seed gives the same results.")] = 0,
    jobs: Annotated[int, typer.Option(help="Workers; -1 for one a core.")] = 1,
    backend: Annotated[str, typer.Option(help="Of joblib: loky (processes of this machine) or ray.")] = "loky",
) -> None:
    """See how fast networks can be made on each target, and what rewriting, mapping and scheduling gain."""
    from nas_proxy import finalists
    from nas_proxy.cli.choice import choose
    from nas_proxy.devices import Workers
    from nas_proxy.terminal.finalists import show
    from nas_proxy.terminal.progress import show_progress

    write = finalists.writer(output) if output else None
    files.require_free(output, archs, *target, own_column="target")
    chosen, wanted = choose(space, parameter, None, seed, archs), {"mapper": mapper, "scheduler": scheduler}
    settings: Any = wanted | {"evaluations": evaluations, "objective": objective, "cache": cache, "seed": seed}
    settings |= {"rewriter": rewriter if rewriting else None, "workers": Workers(jobs, backend)}
    with show_progress("evaluating") as on_progress:
        table = finalists.evaluate_finalists(
            chosen.archs, target, space=chosen.space, on_progress=on_progress, **settings
        )
    if write:
        write(table)
    Console().print(show(table))


training = typer.Typer(help="Train the policies that ship with the package anew.", no_args_is_help=True)
app.add_typer(training, name="train")


@training.command()
def respect(
    output: Annotated[Path, typer.Option("--output", "-o", help="The safetensors file to write.")],
    published: Annotated[bool, typer.Option(help="The published form, for comparison.")] = False,
    imitation_steps: Annotated[int, typer.Option(min=0)] = 300,
    reinforce_steps: Annotated[int, typer.Option(min=0)] = 1200,
    units: Annotated[int, typer.Option(min=2, help="Size of the synthetic networks.")] = 30,
    seed: Annotated[int, typer.Option(min=0)] = 0,
) -> None:
    """Train the pipeline scheduler on synthetic networks."""
    from nas_proxy.scheduling.respect import RespectTraining, save_policy, save_weights, train, train_published

    config = RespectTraining(seed, units, imitation_steps, reinforce_steps)
    made_by = f"nas-proxy train respect --imitation-steps {imitation_steps} --reinforce-steps {reinforce_steps} "
    made_by += f"--units {units} --seed {seed}" + (" --published" if published else "")
    if published:
        save_weights(train_published(config), output, made_by=made_by)
    else:
        save_policy(train(config), output, made_by=made_by)
    Console().print(f"{output}: {output.stat().st_size / 1e3:.0f} kB", markup=False, soft_wrap=True)


@training.command()
def rewriter(
    output: Annotated[Path, typer.Option("--output", "-o", help="The safetensors file to write.")],
    iterations: Annotated[int, typer.Option(min=1, help="Of playing and improving; 50 take three minutes.")] = 50,
    seed: Annotated[int, typer.Option(min=0)] = 0,
) -> None:
    """Train the graph rewriter on random networks and devices."""
    from nas_proxy.rewriting.xrlflow import XRLflowTraining, save_policy, train

    policy = train(XRLflowTraining(seed=seed, iterations=iterations))
    save_policy(policy, output, made_by=f"nas-proxy train rewriter --iterations {iterations} --seed {seed}")
    Console().print(f"{output}: {output.stat().st_size / 1e3:.0f} kB", markup=False, soft_wrap=True)


@app.command(context_settings={"allow_extra_args": True, "ignore_unknown_options": True, "help_option_names": []})
def nnictl(context: typer.Context) -> None:
    """NNI's own nnictl, with all its arguments, but listening on 127.0.0.1 only and patient on a busy machine."""
    from nas_proxy.nni_plugin.compat import guarded_manager

    with guarded_manager():
        from nni.tools.nnictl.nnictl import parse_args

        sys.argv = ["nnictl", *context.args]
        parse_args()


def main() -> None:
    """Entry point: an error raised on purpose is printed as one message; a bug keeps its traceback."""
    sys.path.insert(0, os.getcwd())  # the user's own spaces and evaluators, as with `python -m`
    try:
        app()
    except NasProxyError as error:
        message, exit_code = str(error), error.exit_code
    except ModuleNotFoundError as error:
        if (missing := extra_for(error)) is None:
            raise
        message, exit_code = str(missing), missing.exit_code
    except OSError as error:
        if error.filename is None:
            raise
        message, exit_code = f"{error.filename}: {error.strerror}.", InputError.exit_code
    else:
        return
    Console(stderr=True).print(f"[bold red]error:[/] {escape(message)}", highlight=False, soft_wrap=True)
    sys.exit(exit_code)
