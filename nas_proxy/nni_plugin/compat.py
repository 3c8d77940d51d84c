"""Everything we touch of NNI that is not its documented interface, in one place, each with its guard.

NNI 3.0 is the last release and will not change; with any other version nothing here is applied, and that is said.
"""

from __future__ import annotations

import importlib.metadata
import os
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import requests

from nas_proxy.errors import InputError, MissingDependencyError
from nas_proxy.nni_plugin.client import ManagerClient

__all__ = [
    "environment_of_trials",
    "guarded_manager",
    "in_dispatcher",
    "load_config",
    "recovered_parameters",
    "report_error",
    "require_nni",
]

_VERSION = "3.0"
_START_S = 120.0
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
        raise MissingDependencyError(
            f"NNI cannot be imported ({error}): pip install nni==3.0, then `nas-proxy doctor` checks the rest."
        ) from None
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


def recovered_parameters(st_callback: Callable[..., Any] | None) -> list[Mapping[str, Any]]:
    """Parameters of the trials that NNI starts again after a resume, without asking or telling the tuner.

    The dispatcher is told (``Recoverable.recovered_trial_params``).
    """
    recovered = getattr(getattr(st_callback, "__self__", None), "recovered_trial_params", None)
    return list(recovered.values()) if isinstance(recovered, Mapping) else []


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
