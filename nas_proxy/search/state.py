"""A search's memory on disk: whole after any crash, with the state before it kept as a second line."""

from __future__ import annotations

import json
import logging
import os
from pathlib import Path
from typing import Any

import filelock

from nas_proxy.errors import InputError
from nas_proxy.files import write_json

__all__ = ["StateFile"]

_log = logging.getLogger(__name__)


class StateFile:
    """Plain JSON at ``path``; the state written before lies beside it, with ``.previous`` in its name."""

    def __init__(self, path: str | Path) -> None:
        self.path = Path(path)
        self.previous = self.path.with_name(f"{self.path.stem}.previous{self.path.suffix}")
        self._lock = filelock.FileLock(self.path.with_suffix(".lock"))
        self._damaged = False
        self._said = False

    @classmethod
    def inside(cls, folder: Path) -> StateFile:
        """The state of the search whose folder this is."""
        return cls(folder / "search.json")

    def claim(self) -> None:
        """Become the only search that writes here, until this process ends or :meth:`release`.

        Raises:
            InputError: another search is at work here, or the folder cannot be written to.
        """
        try:
            self.path.parent.mkdir(parents=True, exist_ok=True)
            self._lock.acquire(blocking=False)
        except filelock.Timeout:
            raise InputError(f"{self.path.parent}: another search is at work here: name another folder.") from None
        except OSError as error:
            raise InputError(f"{self.path.parent}: cannot be written to: {error.strerror}.") from None

    def release(self) -> None:
        """Let other searches write here, if called by the thread that claimed it; else the end of the process does."""
        self._lock.release()

    def write(self, state: dict[str, Any]) -> None:
        """Make ``state`` the current one, atomically.

        Raises:
            InputError: the folder cannot be written to or the disk is full; the state on disk is untouched.
        """
        try:
            waiting = write_json(self.path.with_name(f"{self.path.stem}.next{self.path.suffix}"), state)
            if self.path.exists() and not self._damaged:
                os.replace(self.path, self.previous)
            os.replace(waiting, self.path)
            self._damaged = False
        except OSError as error:
            raise InputError(
                f"the state of the search cannot be written to {self.path}: {error.strerror or error}. "
                "Free space or make the folder writable, then resume: nothing finished is lost."
            ) from error

    def read(self) -> dict[str, Any] | None:
        """The current state, None if nothing was ever written; a damaged one is replaced by the previous, and said so.

        Raises:
            InputError: both are damaged.
        """
        damaged = []
        for path in (self.path, self.previous):
            try:
                state = json.loads(path.read_text())
            except FileNotFoundError:
                continue
            except (OSError, ValueError) as error:
                damaged.append(f"{path} ({error})")
                self._damaged = self._damaged or path == self.path  # it must never take the place of the previous one
                continue
            if damaged and not self._said:
                self._said = True
                _log.warning("%s is damaged; the state before it is used: %s", damaged[0], path)
            return state
        if damaged:
            raise InputError(f"no state can be read: {'; '.join(damaged)}. Start a new run.")
        return None
