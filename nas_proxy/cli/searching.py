"""Commands that search under NNI, and show what a search found."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Annotated

import typer

from nas_proxy import files
from nas_proxy.cli.options import known
from nas_proxy.cli.output import AsJson, place, terminal, written
from nas_proxy.errors import InputError

__all__ = ["app"]

app = typer.Typer()


@app.command(rich_help_panel="Search")
def run(
    config: Annotated[
        str | None,
        typer.Argument(
            autocompletion=known("configs"),
            help="The experiment: the name of a configuration that ships with nas-proxy (nas-proxy list configs), "
            "or the path of your own YAML file.",
        ),
    ] = None,
    folder: Annotated[
        Path | None,
        typer.Option(help="The folder for everything that the run writes. By default runs/NAME-NUMBER, a new one."),
    ] = None,
    resume: Annotated[
        Path | None, typer.Option(help="The folder of a run that was interrupted: go on with it, and start no new one.")
    ] = None,
    port: Annotated[
        int | None,
        typer.Option(
            min=1, max=65534, help="The network port of NNI's web page. By default the first free one from 8080."
        ),
    ] = None,
    expose: Annotated[
        bool,
        typer.Option(
            "--expose",
            help="Let other machines reach NNI. NNI asks for no password: everybody on the network can control the "
            "run.",
        ),
    ] = False,
    as_json: AsJson = False,
) -> None:
    """Run a search under NNI, from the first measurement to the report."""
    from nas_proxy.nni_plugin import run as runs

    if (config is None) == (resume is None):
        raise InputError("give a configuration to start (nas-proxy run quickstart), or --resume with a run's folder.")
    if resume is not None and folder is not None:
        raise InputError("--resume goes on in the folder of the run: leave --folder out.")
    options = runs.Options(port, expose)
    shown = terminal(as_json=as_json)
    with shown.merged():
        if resume is not None:
            runs.resume(resume, options, shown)
        else:
            runs.start(str(config), folder, options, shown)


@app.command(rich_help_panel="Search")
def report(
    run: Annotated[Path, typer.Argument(help="The folder of a run.")],
    output: Annotated[
        Path, typer.Option("--output", "-o", help="The HTML file to write. '-' is standard output.")
    ] = Path("report.html"),
    space: Annotated[
        str | None,
        typer.Option(
            autocompletion=known("spaces"),
            help="The search space of the run. Needed only where the space is code of your own, as module:Class: "
            "nas-proxy runs no code that only a folder names.",
        ),
    ] = None,
) -> None:
    """Show a run as one HTML page that needs no network connection.

    It says which network to use on which device, and shows the predictions and measurements behind each choice.
    """
    from nas_proxy.report import write_report

    shown = terminal(output)
    files.require_free(output, suffix=".html")
    with written(output, ".html") as path:
        made = write_report(run, path or output, space)
        size = made.stat().st_size / 1e6
    shown.say(f"{place(output)}: {size:.1f} MB; open it in a browser")


@app.command(rich_help_panel="Search")
def doctor(
    fix: Annotated[
        bool, typer.Option("--fix", help="Repair what can be repaired inside the virtual environment.")
    ] = False,
    remove_hook: Annotated[
        bool, typer.Option("--remove-hook", help="Undo what --fix has installed, and check nothing.")
    ] = False,
    as_json: AsJson = False,
) -> None:
    """Check that a search can run in this environment, and say what to do about each failure."""
    from nas_proxy.nni_plugin import doctor
    from nas_proxy.terminal.doctor import doctor_page
    from nas_proxy.terminal.tables import Page

    shown = terminal(as_json=as_json)
    if remove_hook and fix:
        raise InputError("give --fix or --remove-hook, not both: one installs what the other removes.")
    if remove_hook:
        removed = doctor.remove_hook()
        said = "The torchvision hook is removed." if removed else "There is no torchvision hook."
        shown.show(Page([said], {"hook_removed": removed}))
        return
    checks = doctor.diagnose(fix)
    shown.show(doctor_page(checks))
    if any(check.status == "failed" for check in checks):
        raise typer.Exit(1)


@app.command(
    context_settings={"allow_extra_args": True, "ignore_unknown_options": True, "help_option_names": []},
    rich_help_panel="Search",
)
def nnictl(context: typer.Context) -> None:
    """Run NNI's own command nnictl, with all its arguments, but so that only this machine can reach NNI.

    It also waits longer for NNI to start than nnictl does, for machines that are busy.
    """
    from nas_proxy.nni_plugin.compat import guarded_manager

    with guarded_manager():
        from nni.tools.nnictl.nnictl import parse_args

        sys.argv = ["nnictl", *context.args]
        parse_args()
