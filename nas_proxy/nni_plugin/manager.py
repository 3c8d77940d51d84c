"""NNI's manager as a child of this process: started on 127.0.0.1 only, watched, and never left behind."""

from __future__ import annotations

import contextlib
import subprocess
from collections.abc import Iterator
from pathlib import Path

import psutil
import requests

from nas_proxy.errors import InputError
from nas_proxy.nni_plugin.client import ManagerClient
from nas_proxy.nni_plugin.compat import guarded_manager, load_config
from nas_proxy.nni_plugin.errors import ExperimentError
from nas_proxy.nni_plugin.experiment import Experiment
from nas_proxy.nni_plugin.folder import end
from nas_proxy.nni_plugin.ports import port_is_free

__all__ = ["Manager", "require_port"]

_STOP_S = 45  # NNI gives its tuner 30 s to end


class Manager:
    """A running manager, made by :meth:`started`."""

    def __init__(self, process: subprocess.Popen[bytes], port: int, experiment_id: str) -> None:
        self.process = process
        self.experiment_id = experiment_id
        self.client = ManagerClient(port)
        self._known: list[psutil.Process] = []

    @classmethod
    @contextlib.contextmanager
    def started(
        cls, experiment: Experiment, port: int, experiment_id: str, *, resume: bool = False, expose: bool = False
    ) -> Iterator[Manager]:
        """A manager that runs the experiment; on the way out it and everything it started have ended.

        Raises:
            InputError: the port is in use.
            ExperimentError: the manager does not start (with its own words).
        """
        import nni
        from nni.experiment import Experiment as NniExperiment
        from nni.experiment import RunMode

        require_port(port)
        nni.silence_stdout()
        config = load_config(experiment.path)
        if not expose:
            config.nni_manager_ip = "127.0.0.1"  # remote machines come through a tunnel
        nni_experiment = NniExperiment(config, id=experiment_id)
        nni_experiment._action = "resume" if resume else "create"
        with guarded_manager(expose=expose, stop_with_parent=True):
            try:
                nni_experiment.start(port, run_mode=RunMode.Detach)
            except Exception as error:
                log = Path(config.experiment_working_directory) / experiment_id / "log"
                raise ExperimentError(f"NNI's manager did not start: {error}. Its log is in {log}.") from None
        process = nni_experiment._proc
        assert isinstance(process, subprocess.Popen)
        manager = cls(process, port, experiment_id)
        try:
            yield manager
        finally:
            manager.stop()

    @property
    def alive(self) -> bool:
        """Whether the manager's process runs."""
        return self.process.poll() is None

    @property
    def tuner_alive(self) -> bool:
        """Whether the process of the tuner runs; NNI itself does not notice when it dies."""
        return any("--exp_params" in _command(process) for process in self._family())

    def stop(self) -> None:
        """End the manager, its tuner and its trials: in good order if possible, else by force."""
        family = self._family()
        if self.alive:
            with contextlib.suppress(requests.RequestException):
                self.client.stop()
            with contextlib.suppress(subprocess.TimeoutExpired):
                self.process.wait(_STOP_S)
        if self.alive:
            self.process.kill()
            self.process.wait()
        end(family)

    def _family(self) -> list[psutil.Process]:
        """Processes below the manager; once it is dead, those last seen there."""
        if self.alive:
            with contextlib.suppress(psutil.NoSuchProcess):
                self._known = psutil.Process(self.process.pid).children(recursive=True)
        return [process for process in self._known if process.is_running()]


def require_port(port: int) -> None:
    """Raises InputError if the port is in use."""
    if not port_is_free(port):
        raise InputError(
            f"port {port} is in use: stop what listens there (`nnictl stop --all`), or give another --port."
        )


def _command(process: psutil.Process) -> list[str]:
    try:
        return process.cmdline() if process.status() != psutil.STATUS_ZOMBIE else []
    except psutil.Error:
        return []
