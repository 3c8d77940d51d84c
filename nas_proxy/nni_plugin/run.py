"""``nas-proxy run``: one experiment from its configuration to its Pareto front, in one folder."""

from __future__ import annotations

import os
import signal
import subprocess
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from nas_proxy import files, resources
from nas_proxy.errors import InputError
from nas_proxy.nni_plugin import compat, conclude
from nas_proxy.nni_plugin.errors import ExperimentError, InterruptedExperimentError
from nas_proxy.nni_plugin.experiment import Experiment
from nas_proxy.nni_plugin.folder import Record, RunFolder
from nas_proxy.nni_plugin.manager import Manager, require_port
from nas_proxy.nni_plugin.ports import free_port, starting_alone
from nas_proxy.nni_plugin.prepare import prepare_shown, write_models
from nas_proxy.nni_plugin.remote import require_ready, tunnels
from nas_proxy.nni_plugin.results import front_of, write_csv, write_plot
from nas_proxy.nni_plugin.watch import watch
from nas_proxy.report import write_report
from nas_proxy.search.session import failures_in, require_same, results_in
from nas_proxy.terminal.console import Terminal
from nas_proxy.terminal.search import front_page

__all__ = ["Options", "resume", "start"]

_CHECK_S = 120


@dataclass(frozen=True)
class Options:
    """How to run: NNI's port (None: the first free one from 8080), and whether other machines may reach it."""

    port: int | None = None
    expose: bool = False


def start(config: str | Path, folder: Path | None, options: Options, terminal: Terminal) -> Path:
    """Run an experiment, by the name of a shipped configuration or the path of your own, in a new folder.

    Returns:
        The folder: configuration, measurements, predictions, state of the search, results.

    Raises:
        InputError: anything in the configuration is wrong. All is found before anything is measured or started, but
            for limits that no candidate can meet, which are known once the targets are measured.
        ExperimentError: the experiment failed, or every trial did, or (InterruptedExperimentError) can be resumed.
    """
    compat.require_nni()
    experiment = Experiment.read(resources.find("configs", config))
    if options.port is not None:
        require_port(options.port)
    _check_trial_command(experiment)
    run = RunFolder.new(folder, experiment.path.stem)
    files.write_bytes(run.path / "config.yml", experiment.path.read_bytes())
    experiment.placed_in(run.path)
    run.record = Record(experiment.path.stem)
    return resume(run.path, options, terminal)


def resume(folder: Path, options: Options, terminal: Terminal) -> Path:
    """Go on with a run wherever it stopped: measurements are kept, finished candidates are not trained again.

    Raises:
        InputError: the folder holds no run, another process is at work in it, or its measurements were changed.
        ExperimentError: see :func:`start`.
    """
    compat.require_nni()
    run = RunFolder(folder)
    with run.claimed(), _terminated_as_interrupted():
        terminal.say(f"run folder: {run.path}")
        experiment = Experiment.read(run.experiment)
        if experiment.settings.folder != str(run.path):  # the folder was moved or copied since
            experiment = experiment.placed_in(run.path)
        models = prepare_shown(experiment.settings, run.path, terminal)
        if (state := run.state.read()) is not None:
            require_same(state, models.evidence)  # the tuner would refuse it too, but only after NNI started trials
        write_models(models, run.path)
        failure = None if _is_over(state, experiment) else _search(run, experiment, options, terminal)
        _report(run, experiment, failure, terminal)
    return run.path


def _is_over(state: Mapping[str, Any] | None, experiment: Experiment) -> bool:
    """Whether every candidate has been tried: only what follows the search is left to do."""
    return len(results_in(state)) + len(failures_in(state)) >= experiment.trials


def _search(run: RunFolder, experiment: Experiment, options: Options, terminal: Terminal) -> str | None:
    """The experiment under NNI; returns the first failed trial's words."""
    begun = run.state.read() is not None  # then NNI knows the experiment too: it started the tuner that wrote it
    record = run.record if begun else replace(run.record, experiment_id=_new_id())
    run.record = record
    assert record.experiment_id is not None
    with ExitStack() as stack:
        with starting_alone():  # else two experiments would take the same port
            port = options.port or free_port()
            if not options.expose:
                stack.enter_context(tunnels(experiment.machines, port + 1, run.path / "known_hosts"))
            manager = stack.enter_context(
                Manager.started(experiment, port, record.experiment_id, resume=begun, expose=options.expose)
            )
        run.record = replace(record, manager_pid=manager.process.pid)
        terminal.say(f"NNI: http://127.0.0.1:{port} (experiment {record.experiment_id})")
        try:
            return watch(manager, run.state, experiment.trials, terminal)
        except InterruptedExperimentError as error:
            raise InterruptedExperimentError(f"{error} Nothing finished is lost. {run.how_to_resume}") from None
        except KeyboardInterrupt:
            terminal.warn(f"stopping; nothing finished is lost. {run.how_to_resume}")
            raise


def _report(run: RunFolder, experiment: Experiment, failure: str | None, terminal: Terminal) -> None:
    state = run.state.read()
    results, failures = results_in(state), failures_in(state)
    said = f"{failures[0].arch}: {failures[0].reason}\n{failure or ''}" if failures else (failure or "nothing")
    if not results:
        raise ExperimentError(f"every trial failed. The first: {said}")
    settings = experiment.settings
    targets = list(settings.targets)
    front = front_of(results, targets, settings.limits_ms)
    terminal.show(front_page(front, targets))
    table = write_csv(run.path / "results.csv", settings.make_space(), results, front, targets)
    plot = write_plot(run.path / "front.png", results, targets, settings.limits_ms, run.record.name)
    if failures:
        terminal.warn(f"{len(failures)} trial(s) failed. The first: {said}")
    terminal.say(f"{len(results)} candidates trained: {table}, {plot}")
    chosen = conclude.finalists_of(results, targets, settings.limits_ms, settings.finalists)
    if chosen:
        try:
            conclude.evaluate(settings, chosen, run.path, terminal)
        except InputError as error:  # the search is done all the same, and its report worth having
            terminal.warn(f"the finalists could not be evaluated: {error}")
    page = write_report(run.path, run.path / "report.html")
    terminal.say(f"report: {page}")


def _check_trial_command(experiment: Experiment) -> None:
    """Try the trial's command where NNI will run it, as far as finding its interpreter, this package and the evaluator.

    Raises:
        InputError: it would fail in every trial (with its own words).
    """
    command = str(experiment.config.get("trialCommand", ""))
    if "nas_proxy.trial" not in command:  # the user's own program: only they know how to try it
        return
    for machine in experiment.machines:
        require_ready(machine, command, Path(experiment.canonical().trial_code_directory))
    if experiment.platform != "local":  # in a container there is nothing to try yet
        return
    try:
        done = subprocess.run(
            ["/bin/bash", "-c", command],
            cwd=experiment.canonical().trial_code_directory,
            env=os.environ | compat.environment_of_trials() | {"NAS_PROXY_CHECK": "1"},
            capture_output=True,
            text=True,
            timeout=_CHECK_S,
        )
    except subprocess.TimeoutExpired:
        raise InputError(f"trialCommand: {command!r} did not get ready in {_CHECK_S} s.") from None
    if done.returncode:
        raise InputError(f"trialCommand: {command!r} cannot work: {(done.stderr or done.stdout).strip()}")


def _new_id() -> str:
    from nni.experiment.management import generate_experiment_id

    return generate_experiment_id()


@contextmanager
def _terminated_as_interrupted() -> Iterator[None]:
    """SIGTERM ends a run as Ctrl-C does, in good order."""

    def interrupt(*_: Any) -> None:
        raise KeyboardInterrupt

    before = signal.signal(signal.SIGTERM, interrupt)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)
