"""Commands from the measurements of a proxy and a few of a target to rankings."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from nas_proxy import files
from nas_proxy.cli.options import Seed, Space, known
from nas_proxy.cli.output import AsJson, place, terminal, written
from nas_proxy.errors import InputError

__all__ = ["app"]

app = typer.Typer()

_Proxy = Annotated[
    Path,
    typer.Option(
        "--proxy",
        help="A CSV file with the measured latencies of one or several proxy devices. Of several, the one that serves "
        "each target best is used.",
    ),
]
_POOL = "By default all architectures of the space; 2,000 drawn at random where the space is too large to list."


@app.command(rich_help_panel="Rank")
def suggest(
    proxy: Annotated[Path, typer.Option(help="A CSV file with the measured latencies of one proxy device.")],
    output: Annotated[
        Path,
        typer.Option(
            "--output", "-o", help="The CSV file to write, with empty latencies to fill in. '-' is standard output."
        ),
    ],
    n: Annotated[int, typer.Option("-n", help="The number of architectures to suggest.")] = 20,
    archs: Annotated[
        Path | None, typer.Option(help=f"A CSV file with a column 'arch': suggest among these architectures. {_POOL}")
    ] = None,
    space: Space = None,
    seed: Seed = 0,
) -> None:
    """Say which architectures to measure on a target device, so that few measurements tell most."""
    from nas_proxy.ranking.from_csv import candidates, fit_one, write_to_measure

    shown = terminal(output)
    model = fit_one(proxy, space, why="Suggesting needs a CSV of one.")
    pool = candidates(model.space, archs, seed)
    with written(output, ".csv") as path:
        write_to_measure(path or output, model.space, [pool[i] for i in model.suggest(pool, n, seed)])
    shown.say(f"{n} architectures of {len(pool)} in {place(output)}; fill in latency_ms")


@app.command(rich_help_panel="Rank")
def adapt(
    proxy: _Proxy,
    target: Annotated[
        Path, typer.Option(help="A CSV file with the few measured latencies of one or several target devices.")
    ],
    output: Annotated[
        Path | None,
        typer.Option(
            "--output",
            "-o",
            help="A CSV file to write with the predicted latency of each architecture on each target, and the standard "
            "deviation of the prediction, in milliseconds. '-' is standard output.",
        ),
    ] = None,
    archs: Annotated[
        Path | None, typer.Option(help=f"A CSV file with a column 'arch': predict these architectures. {_POOL}")
    ] = None,
    space: Space = None,
    method: Annotated[
        str,
        typer.Option(
            autocompletion=known("methods"), help="The method of adaptation, by name (nas-proxy list methods)."
        ),
    ] = "bayes",
    as_json: AsJson = False,
) -> None:
    """Adapt a proxy's latency model to target devices, and say how well each ranking will hold.

    How well is Kendall's tau between predicted and measured latencies: 1 is the same order, 0 no agreement.
    """
    from nas_proxy.ranking import from_csv
    from nas_proxy.terminal.ranking import quality_page

    shown = terminal(output, as_json=as_json)
    files.require_free(output, proxy, target, archs)
    if archs is not None and output is None:
        raise InputError("--archs says which predictions to write: give --output too, or leave --archs out.")
    adapted = from_csv.adapt_csv(from_csv.fit_csv(proxy, space), target, method=method)
    wanted = [] if output is None else from_csv.candidates(adapted[0].model.proxy.space, archs)
    shown.show(quality_page(adapted))
    with written(output, ".csv") as path:
        if path is not None:
            from_csv.write_predictions(path, adapted, wanted)


@app.command(rich_help_panel="Rank")
def rank(
    proxy: _Proxy,
    target: Annotated[Path, typer.Option(help="A CSV file with the few measured latencies of one target device.")],
    output: Annotated[
        Path | None,
        typer.Option(
            "--output",
            "-o",
            help="A CSV file to write with the whole ranking, latencies in milliseconds. '-' is standard output.",
        ),
    ] = None,
    archs: Annotated[
        Path | None, typer.Option(help=f"A CSV file with a column 'arch': rank these architectures. {_POOL}")
    ] = None,
    accuracy: Annotated[
        Path | None,
        typer.Option(
            help="A CSV file with the columns 'arch' and 'accuracy' (percent): rank only the architectures on the "
            "Pareto front, those that no other beats in both accuracy and latency."
        ),
    ] = None,
    top: Annotated[int, typer.Option(min=1, help="The number of architectures to show.")] = 10,
    space: Space = None,
    as_json: AsJson = False,
) -> None:
    """Rank architectures by their predicted latency on a target device, the fastest first."""
    from nas_proxy.ranking import from_csv
    from nas_proxy.terminal.ranking import ranking_page

    shown = terminal(output, as_json=as_json)
    files.require_free(output, proxy, target, archs, accuracy)
    ranking = from_csv.rank_csv(from_csv.fit_csv(proxy, space), target, archs, accuracy)
    shown.show(ranking_page(ranking, top))
    with written(output, ".csv") as path:
        if path is not None:
            from_csv.write_predictions(path, [ranking.adapted], ranking.archs)


@app.command(rich_help_panel="Rank")
def fleet(
    fleet: Annotated[
        Path, typer.Argument(help="A CSV file with latencies of many devices, all of the same few architectures.")
    ],
    proxy: Annotated[Path, typer.Option(help="A CSV file with the measured latencies of one proxy device.")],
    accuracy: Annotated[
        Path | None,
        typer.Option(help="A CSV file with the columns 'arch' and 'accuracy' (percent): the networks to choose among."),
    ] = None,
    archs: Annotated[
        Path | None,
        typer.Option(
            help="A CSV file with a column 'arch': the networks to choose among, where accuracies are not known. "
            f"{_POOL}"
        ),
    ] = None,
    limit_ms: Annotated[
        float | None,
        typer.Option(help="The latency in milliseconds that a network may take, the same on every device."),
    ] = None,
    limit_quantile: Annotated[
        float | None,
        typer.Option(
            help="A latency limit of its own for each device: this quantile of the latencies of all networks there, "
            "between 0 and 1. Without any limit given, 0.25: the fastest quarter."
        ),
    ] = None,
    within: Annotated[
        str,
        typer.Option(
            help="How much worse than its own best network a shared network may be for a device, as 1% or 0.01."
        ),
    ] = "1%",
    output: Annotated[
        Path | None,
        typer.Option(
            "--output",
            "-o",
            help="A CSV file to write, with the network recommended to each device. '-' is standard output.",
        ),
    ] = None,
    space: Space = None,
    as_json: AsJson = False,
) -> None:
    """Recommend a network to each of thousands of devices.

    It also names the devices whose measurements are doubtful, and finds how few networks serve the whole fleet.
    """
    from nas_proxy.ranking import fleet_csv
    from nas_proxy.ranking.fleet import Demand
    from nas_proxy.terminal.fleet import fleet_page

    shown = terminal(output, as_json=as_json)
    files.require_free(output, fleet, proxy, archs, accuracy)
    if limit_ms is not None and limit_quantile is not None:
        raise InputError("give --limit-ms or --limit-quantile, not both: each says what a device may take.")
    quantile = Demand.quantile if limit_quantile is None else limit_quantile
    demand = Demand(limit_ms, quantile, fleet_csv.share(within))
    found, of = fleet_csv.fleet_csv(fleet, proxy, accuracy, archs, demand, space)
    shown.show(fleet_page(found, of, demand.within))
    with written(output, ".csv") as path:
        if path is not None:
            fleet_csv.write_fleet(path, found, of)
