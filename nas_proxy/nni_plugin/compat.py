"""Everything we touch of NNI that is not its documented interface, in one place, each with its guard.

NNI 3.0 is the last release and will not change; with any other version nothing here is applied, and that is said.
"""

from __future__ import annotations

import importlib.metadata
import logging
import os
import queue
import sys
import time
import weakref
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from functools import wraps
from pathlib import Path
from typing import Any

import requests

from nas_proxy.errors import InputError, MissingDependencyError
from nas_proxy.nni_plugin.client import ManagerClient

__all__ = [
    "allow_for_spent_trials",
    "earlier_models",
    "end_promptly",
    "environment_of_trials",
    "first_failure",
    "guarded_manager",
    "in_dispatcher",
    "load_config",
    "patch_resume",
    "recovered_parameters",
    "report_error",
    "require_nni",
]

_VERSION = "3.0"
_log = logging.getLogger(__name__)
_START_S = 120.0
_LOOK_S = 0.1
_MANAGER_SCRIPT = Path(__file__).with_name("manager.cjs")


def require_nni() -> None:
    """Check that NNI is there, in the one version that everything here is made for.

    Raises:
        MissingDependencyError: it is not installed.
        InputError: it is another version.
    """
    try:
        version = importlib.metadata.version("nni")
        import nni  # noqa: F401  # may be broken though it is there
    except (importlib.metadata.PackageNotFoundError, ImportError) as error:
        remedy = "pip install nni==3.0, then `nas-proxy doctor` checks the rest"
        if sys.version_info >= (3, 12):
            remedy = "it ends at Python 3.11. Use that, or another host (docs/other-hosts.md): the search is the same"
        raise MissingDependencyError(f"NNI cannot be imported ({error}): {remedy}.") from None
    if version != _VERSION:
        raise InputError(f"nas-proxy is made for NNI {_VERSION}, found {version}: pip install nni=={_VERSION}")


def load_config(path: Path) -> Any:
    """NNI's ``ExperimentConfig`` of a YAML file.

    Raises:
        InputError: NNI refuses it, by whatever exception comes to its hand, a bare AssertionError included.
    """
    from nni.experiment.config import ExperimentConfig, utils

    try:
        config = ExperimentConfig.load(path)
        if getattr(config.training_service, "platform", None) == "remote" and config.nni_manager_ip is None:
            config.nni_manager_ip = "127.0.0.1"  # by a tunnel; NNI would look for an address that it may not have
        config.canonical_copy()  # this is what validates
        return config
    except Exception as error:
        reason = str(error) or "a field is missing or out of range (NNI does not say which)"
        raise InputError(f"{path}: NNI does not take this configuration: {reason}") from None
    finally:
        utils.unset_base_path()  # left behind by a load that fails, it makes every later one fail


def in_dispatcher() -> bool:
    """Whether this process is the one that NNI's manager starts for the tuner."""
    return os.environ.get("SDK_PROCESS") == "dispatcher"


def report_error(st_callback: Callable[..., Any] | None, message: str) -> bool:
    """Put the experiment into status ERROR, with ``message``; says whether that was possible.

    NNI has no way for a tuner to say that it failed: an exception in a callback, like the death of the tuner's process,
    leaves the experiment RUNNING for ever. Its dispatcher has one (``MsgDispatcherBase.report_error``), and the
    callback that a tuner gets is a method of the dispatcher.
    """
    report = getattr(getattr(st_callback, "__self__", None), "report_error", None)
    if report is None:
        return False
    report(message)
    return True


def end_promptly() -> None:
    """Let NNI's dispatcher, once told to end, do so within tenths of a second instead of three seconds.

    Its threads wait up to three seconds for a command before they look whether they should end; here a tenth.
    """
    from nni.runtime import msg_dispatcher_base

    class PromptQueue(queue.Queue[Any]):
        def get(self, block: bool = True, timeout: float | None = None) -> Any:
            return super().get(block, None if timeout is None else min(timeout, _LOOK_S))

    if _is_expected("its tuner takes up to three seconds to end"):
        msg_dispatcher_base.Queue = PromptQueue  # pyright: ignore[reportPrivateImportUsage]


def recovered_parameters(st_callback: Callable[..., Any] | None) -> list[Mapping[str, Any]]:
    """Parameters of the trials that NNI starts again after a resume, without asking or telling the tuner.

    The dispatcher is told (``Recoverable.recovered_trial_params``).
    """
    recovered = getattr(getattr(st_callback, "__self__", None), "recovered_trial_params", None)
    return list(recovered.values()) if isinstance(recovered, Mapping) else []


def patch_resume() -> None:
    """Let a ``NasExperiment`` be resumed on the training-service engine. Once applied, again changes nothing.

    At a resume the manager sends the engine two commands that only tuners know (ImportData, AddCustomizedTrialJob).
    ``TunerCommandChannel.receive`` raises on them, in the thread that listens, and the experiment hangs. Here they are
    passed over: :func:`earlier_models` asks for the same by itself.
    """
    from nni.runtime.tuner_command_channel import TunerCommandChannel

    if not _is_expected("resuming a NasExperiment on the training-service engine hangs"):
        return
    original = TunerCommandChannel.receive
    if getattr(original, "passes_over_unknown", False):
        return

    @wraps(original)
    def receive(self: Any) -> Any:
        while True:
            try:
                return original(self)
            except ValueError as error:
                if not str(error).startswith("Unknown command type"):
                    raise

    receive.passes_over_unknown = True  # type: ignore[attr-defined]
    TunerCommandChannel.receive = receive


def earlier_models(engine: Any) -> tuple[list[Any], list[Any]]:
    """Models from before a resume: those that are trained, and those that NNI is training again.

    Of the latter the training-service engine reports events as if they had been submitted now (``_models``), and counts
    a worker busy for each (``_workers``): the manager offers all workers as free, besides those it runs them on.
    """
    import nni
    from nni.nas.space import ModelStatus

    if (engine := _training_service(engine)) is None or not _is_expected("results are not taken over"):
        return [], []
    trained, training = [], []
    for job in engine.nodejs_binding.list_trial_jobs():
        if not job.hyperParameters:
            continue
        parameters = job.hyperParameters[0]
        model = nni.load(nni.dump(parameters.parameters))
        resumed = job.status == "ADD_RESUMED"  # NNI's word until the trial starts, which its engine takes for failed
        model.status = ModelStatus.Training if resumed else engine._interpret_trial_job_status(job.status)
        if model.status == ModelStatus.Trained and job.finalMetricData:
            model.metrics.final = job.finalMetricData[-1].data
            trained.append(model)
        elif model.status == ModelStatus.Training:
            engine._models[parameters.parameter_id] = weakref.ref(model)
            engine._workers -= 1
            training.append(model)
    return trained, training


def allow_for_spent_trials(engine: Any, candidates: int) -> None:
    """Let a resumed ``NasExperiment`` train as many models as it was to, though NNI counts those cut off as well.

    ``candidates`` is how many of NNI's trials stand for a candidate of their own: any more were cut off.
    """
    if (engine := _training_service(engine)) is None:
        return
    experiment = engine.nodejs_binding
    spent = len(experiment.list_trial_jobs()) - candidates
    if spent > 0 and experiment.config.max_trial_number is not None:
        experiment.update_max_trial_number(experiment.config.max_trial_number + spent)


def first_failure(engine: Any) -> str | None:
    """The standard error of the first trial that failed, None where none did or models are trained in this process."""
    if (engine := _training_service(engine)) is None:
        return None
    return ManagerClient(engine.nodejs_binding.port, engine.nodejs_binding.url_prefix or "").first_failure()


def _training_service(engine: Any) -> Any:
    """The training-service engine below NNI's middleware, None if it is another."""
    from nni.nas.execution import TrainingServiceExecutionEngine
    from nni.nas.execution.engine import Middleware

    while isinstance(engine, Middleware):
        engine = engine.engine
    return engine if isinstance(engine, TrainingServiceExecutionEngine) else None


def _is_expected(otherwise: str) -> bool:
    """Whether this is the NNI that the patches are made for; says what follows if not."""
    version = importlib.metadata.version("nni")
    if version != _VERSION:
        _log.warning("NNI %s is not %s, so it is not patched: %s", version, _VERSION, otherwise)
    return version == _VERSION


@contextmanager
def guarded_manager(*, expose: bool = False, stop_with_parent: bool = False) -> Iterator[None]:
    """Inside, whatever starts NNI's manager in this process starts it on 127.0.0.1 only, unless ``expose``.

    With ``stop_with_parent`` the manager ends once this process is gone. NNI gives its manager about four seconds to
    answer; here it has two minutes, which a busy machine may need. ``python`` in a trial's command is this one.
    """
    require_nni()
    from nni.experiment import launcher

    variables = {
        "NODE_OPTIONS": f'{os.environ.get("NODE_OPTIONS", "")} --require "{_MANAGER_SCRIPT}"'.strip(),
        "NAS_PROXY_EXPOSE": "1" if expose else "0",
        "NAS_PROXY_STOP_WITH_PARENT": "1" if stop_with_parent else "0",
        **environment_of_trials(),
    }
    original = launcher._check_rest_server

    def check(port: int, retry: int = 3, url_prefix: str | None = None) -> None:
        client, deadline = ManagerClient(port, url_prefix or ""), time.monotonic() + _START_S
        while time.monotonic() < deadline:
            with suppress(requests.RequestException):
                client.status()
                return
            time.sleep(0.2)
        original(port, 0, url_prefix)

    launcher._check_rest_server = check
    try:
        with _environment(variables):
            yield
    finally:
        launcher._check_rest_server = original


def environment_of_trials() -> dict[str, str]:
    """This Python first in PATH, so that `python` in a trial's command is the one that runs the experiment."""
    return {"PATH": os.pathsep.join([str(Path(sys.executable).parent), os.environ.get("PATH", os.defpath)])}


@contextmanager
def _environment(variables: Mapping[str, str]) -> Iterator[None]:
    """The environment for what is started inside; as before afterwards."""
    before = {name: os.environ.get(name) for name in variables}
    os.environ.update(variables)
    try:
        yield
    finally:
        for name, value in before.items():
            if value is None:
                del os.environ[name]
            else:
                os.environ[name] = value
