"""What was worked out before, on disk: lines of JSON that many processes add to and none rewrites."""

from __future__ import annotations

import functools
import hashlib
import importlib
import json
import os
import secrets
from pathlib import Path
from typing import Any

import filelock
import platformdirs

from nas_proxy.errors import InputError

__all__ = ["Records", "default_folder", "digest", "source_digest"]


def default_folder() -> Path:
    """Where everything that is kept for reuse is: ``$NAS_PROXY_CACHE``, else ``nas-proxy`` among the user's caches.

    The user's caches are in ``~/.cache`` (or ``$XDG_CACHE_HOME``) on Linux, in ``~/Library/Caches`` on macOS.
    """
    if own := os.environ.get("NAS_PROXY_CACHE"):
        return Path(own)
    return platformdirs.user_cache_path("nas-proxy", appauthor=False)


def digest(*parts: Any) -> str:
    """A short name for plain JSON values; the same for equal ones, in every process."""
    text = json.dumps(parts, sort_keys=True, allow_nan=False)
    return hashlib.blake2b(text.encode(), digest_size=12).hexdigest()


@functools.cache
def source_digest(*modules: str) -> str:
    """Of all files of modules and packages, weights among them: another one once any of the files has changed.

    What is kept for reuse has it in its key, so that no result outlives the code that it came from. Of other people's
    modules the whole package counts, since what they import from it decides as well. A module that is in no file (one
    of an interactive session) gets another digest in each process.
    """
    ours = __name__.partition(".")[0]
    read = hashlib.blake2b(digest_size=12)
    for name in sorted({name if name.startswith(f"{ours}.") else name.partition(".")[0] for name in modules}):
        module = importlib.import_module(name)
        file = getattr(module, "__file__", None)
        if folders := getattr(module, "__path__", None):
            paths = [path for folder in folders for path in Path(folder).rglob("*") if "__pycache__" not in path.parts]
        elif file is not None:
            paths = [Path(file)]
        else:
            paths = []
            read.update(secrets.token_bytes())
        for path in sorted(filter(Path.is_file, paths)):
            read.update(f"{name} {path.name} {hashlib.blake2b(path.read_bytes()).hexdigest()}".encode())
    return read.hexdigest()


class Records:
    """Plain values by key, in a file of JSON lines ``{"key": ..., "value": ...}``; of equal keys the last counts.

    A line is added whole, by one process at a time, and is on disk when :meth:`put` returns. What is no such line (the
    last words of a process that was killed) is passed over. What other processes add is seen.
    """

    def __init__(self, path: str | Path) -> None:
        self.path = Path(path)
        self._lock = self.path.with_name(f".{self.path.name}.lock")
        self._known: dict[str, Any] = {}
        self._read_bytes = 0

    def get(self, key: str) -> Any:
        """The value, or None where there is none."""
        if key not in self._known:
            self._read()
        return self._known.get(key)

    def put(self, key: str, value: Any) -> None:
        """Add a value.

        Raises:
            InputError: the file cannot be written.
        """
        line = json.dumps({"key": key, "value": value}, allow_nan=False).encode() + b"\n"
        try:
            self.path.parent.mkdir(parents=True, exist_ok=True)
            with filelock.FileLock(self._lock).acquire(poll_interval=0.005), self.path.open("a+b") as file:
                if file.seek(0, os.SEEK_END) and (file.seek(-1, os.SEEK_END), file.read(1))[1] != b"\n":
                    line = b"\n" + line  # the end of a line that somebody could not finish
                file.write(line)
                file.flush()
                os.fsync(file.fileno())
        except OSError as error:
            raise InputError(
                f"{self.path}: results cannot be kept there: {error}. Give another folder (--cache, or the environment "
                "variable NAS_PROXY_CACHE)."
            ) from None
        self._known[key] = json.loads(line)["value"]

    def _read(self) -> None:
        """Takes up what was added since the last time, whole lines only."""
        try:
            with self.path.open("rb") as file:
                if file.seek(0, os.SEEK_END) < self._read_bytes:  # another file than before
                    self._read_bytes = 0
                file.seek(self._read_bytes)
                whole, newline, _ = file.read().rpartition(b"\n")
        except OSError:
            return
        self._read_bytes += len(whole) + len(newline)
        for line in whole.splitlines():
            try:
                record = json.loads(line)
                self._known[record["key"]] = record["value"]
            except (ValueError, KeyError, TypeError):
                continue

    def __getstate__(self) -> dict[str, Any]:
        """Workers read the file themselves."""
        return self.__dict__ | {"_known": {}, "_read_bytes": 0}
