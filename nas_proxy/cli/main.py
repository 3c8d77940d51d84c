"""The ``nas-proxy`` command, put together from its groups. Each command imports what it needs when it is called."""

from __future__ import annotations

import logging
import os
import sys
from typing import Annotated, TextIO

import typer

from nas_proxy import __version__
from nas_proxy.cli import compressing, listing, measuring, ranking, schemas, searching, simulating, training, zoo
from nas_proxy.cli.output import quiet as quiet_asked
from nas_proxy.cli.output import terminal
from nas_proxy.errors import InputError, NasProxyError, extra_for

__all__ = ["app", "main"]

app = typer.Typer(
    name="nas-proxy",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)
for _group in (measuring, ranking, zoo, searching, simulating, compressing, listing, schemas):
    app.add_typer(_group.app)
app.add_typer(training.app, name="train", rich_help_panel="Learned policies")


def _print_version(asked: bool) -> None:
    if asked:
        print(f"nas-proxy {__version__}")
        raise typer.Exit


@app.callback()
def root(
    version: Annotated[
        bool,
        typer.Option("--version", callback=_print_version, is_eager=True, help="Print the version and exit."),
    ] = False,
    quiet: Annotated[
        bool,
        typer.Option("--quiet", "-q", help="Print results and errors only: no progress, no words about what was done."),
    ] = False,
    verbose: Annotated[
        int,
        typer.Option(
            "--verbose", "-v", count=True, help="Log to standard error what is being done; -vv in more detail."
        ),
    ] = 0,
) -> None:
    """Find the network to use on each of your devices, without measuring thousands of networks on each.

    The latencies of one well measured device, the proxy, are adapted to every other device from about 20 measurements
    there. --quiet and --verbose stand before the command: nas-proxy -q rank ...
    """
    quiet_asked.set(quiet)
    _log_to_stderr(logging.ERROR if quiet else (logging.WARNING, logging.INFO, logging.DEBUG)[min(verbose, 2)])


class _StderrHandler(logging.StreamHandler):
    """Writes to what standard error is now: progress bars replace it while they are shown."""

    @property
    def stream(self) -> TextIO:
        return sys.stderr

    @stream.setter
    def stream(self, _: TextIO) -> None:
        pass


def _log_to_stderr(level: int) -> None:
    logger = logging.getLogger("nas_proxy")
    logger.setLevel(level)
    if not any(isinstance(handler, _StderrHandler) for handler in logger.handlers):
        handler = _StderrHandler()
        handler.setFormatter(logging.Formatter("%(levelname)s %(name)s: %(message)s"))
        logger.addHandler(handler)


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
    terminal().fail(message)
    sys.exit(exit_code)
