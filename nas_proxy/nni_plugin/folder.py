"""A run's folder: all that a run reads and writes, and what it takes to continue it."""

from __future__ import annotations

import contextlib
import itertools
import json
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

import filelock
import psutil

from nas_proxy import files
from nas_proxy.errors import InputError
from nas_proxy.search.state import StateFile

__all__ = ["Record", "RunFolder", "end"]

_PATIENCE_S = 60  # NNI's manager gives up its own orderly shutdown after as long


@dataclass(frozen=True)
class Record:
    """What a run remembers of itself."""

    name: str
    experiment_id: str | None = None
    manager_pid: int | None = None


class RunFolder:
    """Paths in a run's folder, its record, and the right to work in it."""

    def __init__(self, path: Path) -> None:
        self.path = path.absolute()
        self.experiment = self.path / "experiment.yml"
        self.state = StateFile.inside(self.path)

    @classmethod
    def new(cls, path: Path | None, name: str) -> RunFolder:
        """An empty folder: ``path``, or the first free ``runs/<name>-<number>``.

        Raises:
            InputError: ``path`` holds something already, or no folder can be made.
        """
        try:
            if path is None:
                return cls(_first_free(Path("runs"), name))
            path.mkdir(parents=True, exist_ok=True)
            if any(path.iterdir()):
                raise InputError(
                    f"{path}: is not empty: give another --folder, or continue a run with --resume {path}."
                )
        except OSError as error:
            raise InputError(
                f"{path}: cannot be made or written to: {error.strerror}: give another --folder."
            ) from None
        return cls(path)

    @property
    def how_to_resume(self) -> str:
        """What to tell the user of an interrupted run."""
        return f"Go on with: nas-proxy run --resume {self.path}"

    @property
    def record(self) -> Record:
        """What the run remembers.

        Raises:
            InputError: the folder holds no run.
        """
        try:
            return Record(**json.loads((self.path / "run.json").read_text()))
        except FileNotFoundError:
            raise InputError(f"{self.path}: holds no run: expected a folder that `nas-proxy run` has made.") from None
        except (ValueError, TypeError) as error:
            raise InputError(f"{self.path / 'run.json'} is damaged ({error}): start a new run.") from None

    @record.setter
    def record(self, record: Record) -> None:
        files.write_json(self.path / "run.json", asdict(record))

    @contextlib.contextmanager
    def claimed(self) -> Iterator[None]:
        """Only one process works in the folder; a manager that a killed run left behind has ended first.

        Raises:
            InputError: another process works in the folder.
        """
        _ = self.record  # a folder without a run is left as it is
        try:
            lock = filelock.FileLock(self.path / "run.lock").acquire(blocking=False)
        except filelock.Timeout:
            raise InputError(f"{self.path}: another `nas-proxy run` is at work here: wait for it.") from None
        with lock:
            self._await_old_manager()
            yield

    def _await_old_manager(self) -> None:
        record = self.record
        if record.manager_pid is None:
            return
        try:
            manager = psutil.Process(record.manager_pid)
            if record.experiment_id not in manager.cmdline():  # the number belongs to another process by now
                return
            children = manager.children(recursive=True)  # while it is there to name them
            end([manager], _PATIENCE_S)
            end(children)
        except psutil.NoSuchProcess:
            return


def end(processes: Sequence[psutil.Process], patience_s: float = 3.0) -> None:
    """End processes: in good order, or after ``patience_s`` by force."""
    for process in processes:
        with contextlib.suppress(psutil.NoSuchProcess):
            process.terminate()
    for process in psutil.wait_procs(processes, timeout=patience_s)[1]:
        with contextlib.suppress(psutil.NoSuchProcess):
            process.kill()


def _first_free(parent: Path, name: str) -> Path:
    """A new folder ``<name>-<number>``, of this process alone even where another looks for one at the same time."""
    for number in itertools.count(1):
        path = parent / f"{name}-{number}"
        with contextlib.suppress(FileExistsError):
            path.mkdir(parents=True)
            return path
    raise AssertionError("unreachable")
