"""Commands that train the policies that ship with the package anew."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from nas_proxy import files
from nas_proxy.cli.options import Seed
from nas_proxy.cli.output import place, terminal, written

__all__ = ["app"]

app = typer.Typer(help="Train the policies that ship with nas-proxy anew.", no_args_is_help=True)

_Output = Annotated[
    Path,
    typer.Option("--output", "-o", help="The file to write the weights to, .safetensors. '-' is standard output."),
]


@app.command()
def respect(
    output: _Output,
    published: Annotated[
        bool,
        typer.Option(
            help="Train the scheduler as its authors published it, to compare with it, instead of nas-proxy's own."
        ),
    ] = False,
    imitation_steps: Annotated[
        int, typer.Option(min=0, help="The number of training steps in which the scheduler imitates optimal schedules.")
    ] = 300,
    reinforce_steps: Annotated[
        int,
        typer.Option(
            min=0,
            help="The number of training steps after imitation, in which the scheduler tries schedules of its own and "
            "learns from how fast they are.",
        ),
    ] = 1200,
    units: Annotated[
        int,
        typer.Option(min=2, help="The number of operators in each random network of the training."),
    ] = 30,
    seed: Seed = 0,
) -> None:
    """Train the scheduler of pipelines on random networks."""
    from nas_proxy.scheduling.respect import RespectTraining, save_policy, save_weights, train, train_published

    config = RespectTraining(seed, units, imitation_steps, reinforce_steps)
    made_by = f"nas-proxy train respect --imitation-steps {imitation_steps} --reinforce-steps {reinforce_steps} "
    made_by += f"--units {units} --seed {seed}" + (" --published" if published else "")
    shown = terminal(output)
    files.require_free(output, suffix=".safetensors")
    with written(output, ".safetensors") as path:
        if published:
            save_weights(train_published(config), path or output, made_by=made_by)
        else:
            save_policy(train(config), path or output, made_by=made_by)
        size = (path or output).stat().st_size / 1e3
    shown.say(f"{place(output)}: {size:.0f} kB")


@app.command()
def rewriter(
    output: _Output,
    iterations: Annotated[
        int,
        typer.Option(
            min=1,
            help="The number of rounds of training: in each the rewriter rewrites random networks, then learns from "
            "what that gained. 50 rounds take about three minutes.",
        ),
    ] = 50,
    seed: Seed = 0,
) -> None:
    """Train the rewriter of networks on random networks and devices."""
    from nas_proxy.rewriting.xrlflow import XRLflowTraining, save_policy, train

    shown = terminal(output)
    files.require_free(output, suffix=".safetensors")
    policy = train(XRLflowTraining(seed=seed, iterations=iterations))
    with written(output, ".safetensors") as path:
        made_by = f"nas-proxy train rewriter --iterations {iterations} --seed {seed}"
        save_policy(policy, path or output, made_by=made_by)
        size = (path or output).stat().st_size / 1e3
    shown.say(f"{place(output)}: {size:.0f} kB")
