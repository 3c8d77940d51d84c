"""Latencies from several workers at once: processes of this machine, or machines of a Ray cluster, through joblib.

What is simulated is computed wherever there is a free core. What is timed is another matter: two networks that run at
once disturb each other, even on different cores (caches, memory, heat). So a machine times one batch at a time,
whatever the backend does; more workers help by being on more machines. These must be alike: each batch comes with the
description of where it was measured, and one that differs from the first is refused.
"""

from __future__ import annotations

import logging
import tempfile
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import filelock
import joblib

from nas_proxy.devices._base import Device
from nas_proxy.devices.results import LatencyResult
from nas_proxy.errors import InputError, UnknownNameError, from_extra

if TYPE_CHECKING:
    from nas_proxy.spaces import SearchSpace

__all__ = ["PROCESSES", "Workers", "parallel"]

PROCESSES = "loky"
_ON_THIS_MACHINE = {"loky", "multiprocessing", "threading", "sequential"}


@dataclass(frozen=True)
class Workers:
    """Who measures: ``jobs`` workers (-1: one a core) of joblib's ``backend``; by default this process.

    ``backend`` is ``loky`` (processes), ``ray`` (the cluster of ``RAY_ADDRESS``, else a Ray of its own on this machine,
    ended afterwards), or any that you registered with joblib.
    """

    jobs: int = 1
    backend: str = PROCESSES

    def __post_init__(self) -> None:
        """Raises InputError for numbers and names that joblib does not have."""
        if self.jobs != -1 and self.jobs < 1:
            raise InputError(f"the number of workers must be at least 1, or -1 for one a core, found {self.jobs}.")
        if self.backend not in (known := {"ray", *joblib.parallel.BACKENDS, *joblib.parallel.EXTERNAL_BACKENDS}):
            raise UnknownNameError("backend", self.backend, known)

    def require_use(self, device: Device) -> None:
        """Raises InputError if the device is timed on this machine, where more workers could only wait."""
        if device.timed and self.jobs != 1 and self.backend in _ON_THIS_MACHINE:
            raise InputError(
                f"{device.name} is timed, one network at a time on a machine: {self.jobs} workers of backend "
                f"{self.backend!r} would only wait for each other. Use one, or several machines with --backend ray."
            )

    def latencies(
        self, device: Device, space: SearchSpace, archs: Sequence[Any], identity: dict[str, Any]
    ) -> Iterator[tuple[int, LatencyResult]]:
        """As ``device.latencies``; ``identity`` is the device's description, which each worker's must equal.

        Raises:
            InputError: a worker's machine is another.
        """
        if self == Workers():
            yield from device.latencies(space, archs)
            return
        with _connected(self.backend), joblib.parallel_config(backend=self.backend, n_jobs=self.jobs):
            at_once = joblib.effective_n_jobs(self.jobs)
            for turn in _chunks(_chunks(range(len(archs)), device.batch), at_once):
                jobs = (joblib.delayed(_measured)(device, space, [archs[i] for i in batch], batch) for batch in turn)
                for found, results in joblib.Parallel()(jobs):  # pyright: ignore[reportGeneralTypeIssues]
                    if found != identity:
                        raise InputError(
                            f"a worker of backend {self.backend!r} is another machine than this one, so its latencies "
                            f"are of another device: expected {identity}, found {found}. Use machines that are alike."
                        )
                    yield from results


def parallel(workers: Workers, function: Callable[..., Any], jobs: Sequence[tuple[Any, ...]]) -> Iterator[Any]:
    """Results of ``function(*job)`` in the order of jobs, by several workers; those of a turn come together."""
    with _connected(workers.backend), joblib.parallel_config(backend=workers.backend, n_jobs=workers.jobs):
        for turn in _chunks(jobs, joblib.effective_n_jobs(workers.jobs)):
            found: Any = joblib.Parallel()(joblib.delayed(function)(*job) for job in turn)
            yield from found


def _chunks(items: Sequence[Any], size: int) -> list[Sequence[Any]]:
    return [items[start : start + size] for start in range(0, len(items), size)]


def _measured(
    device: Device, space: SearchSpace, archs: Sequence[Any], indices: Sequence[int]
) -> tuple[dict[str, Any], list[tuple[int, LatencyResult]]]:
    """One batch, in a worker."""
    with _timing_alone() if device.timed else nullcontext():
        return device.describe(), [(indices[i], result) for i, result in device.latencies(space, archs)]


@contextmanager
def _timing_alone() -> Iterator[None]:
    """Waits while another worker on this machine times."""
    with filelock.FileLock(Path(tempfile.gettempdir()) / "nas-proxy-timing.lock", mode=0o666):  # all users'
        yield


@contextmanager
def _connected(backend: str) -> Iterator[None]:
    if backend != "ray":
        yield
        return
    with from_extra("ray", "--backend ray"):
        import ray
        from ray.util.joblib import register_ray

    register_ray()
    ours = not ray.is_initialized()
    if ours:
        ray.init(include_dashboard=False, log_to_driver=False, logging_level=logging.ERROR)
    try:
        yield
    finally:
        if ours:
            ray.shutdown()
