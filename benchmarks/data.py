"""The measurements that benchmarks and tests read: where they are, what they must be, and how to get them.

``benchmarks/data.csv`` has a row for each file: its SHA-256 and, where they are known, the public repository, commit
and path that it comes from. ``python -m benchmarks.data`` fetches what is absent with git and verifies every file.
"""

from __future__ import annotations

import csv
import hashlib
import os
import subprocess
import tempfile
from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from nas_proxy.files import write_bytes

__all__ = ["COMMAND", "MissingDataError", "Published", "data_dir", "get", "measurements", "read_table"]

COMMAND = "python -m benchmarks.data"
TABLE = Path(__file__).with_suffix(".csv")
_GIT = ("git", "-c", "http.lowSpeedLimit=1000", "-c", "http.lowSpeedTime=60")  # a dead connection ends after a minute


class MissingDataError(SystemExit):
    """Measurements are absent. It ends a benchmark with its message, which names the command that gets them."""


@dataclass(frozen=True)
class Published:
    """A file of measurements: what it must hold, and where it was published."""

    file: str  # below the folder of the data
    sha256: str
    repository: str  # empty where it is in none
    commit: str  # empty where it is not known
    path: str  # in the repository
    note: str  # why it cannot be fetched


def data_dir() -> Path:
    """The folder of the measurements: that of the environment variable NAS_PROXY_DATA, else ``../shared/data``."""
    return Path(os.environ.get("NAS_PROXY_DATA") or Path(__file__).parents[2] / "shared" / "data")


def measurements(*parts: str) -> Path:
    """The path of a file or folder of measurements, such as ``measurements("help", "fbnet")``.

    Raises:
        MissingDataError: it is absent.
    """
    path = data_dir().joinpath(*parts)
    if not path.exists():
        raise MissingDataError(
            f"no measurements at {path}: `{COMMAND}` gets them, or set NAS_PROXY_DATA to the folder that has them."
        )
    return path


def read_table(path: Path = TABLE) -> list[Published]:
    """The rows of the table of files."""
    with path.open(newline="", encoding="utf-8") as file:
        return [Published(**row) for row in csv.DictReader(file)]


def get(files: Iterable[Published], folder: Path) -> list[str]:
    """Fetch what is absent in ``folder`` and verify all of it; a sentence for each file that is not as it must be.

    A file that is there is never replaced, and one that is not what the table says is never put there.
    """
    problems: list[str] = []
    absent: dict[tuple[str, str], list[Published]] = defaultdict(list)
    for file in files:
        path = folder / file.file
        if path.exists():
            if (found := _sha256(path.read_bytes())) != file.sha256:
                problems.append(f"{path} has the SHA-256 {found}, not {file.sha256}: remove it to fetch it again.")
        elif file.repository and file.commit:
            absent[file.repository, file.commit].append(file)
        else:
            problems.append(f"{path} is absent and cannot be fetched: {file.note}.")
    for (repository, commit), wanted in absent.items():
        problems += _fetch(repository, commit, wanted, folder)
    return problems


def _fetch(repository: str, commit: str, wanted: list[Published], folder: Path) -> list[str]:
    """Files of one commit, and no more of the repository than they take."""
    with tempfile.TemporaryDirectory() as checkout:
        steps = [
            ["init", "--quiet"],
            ["remote", "add", "origin", repository],
            ["sparse-checkout", "set", "--no-cone", *(f"/{file.path}" for file in wanted)],
            ["fetch", "--quiet", "--depth=1", "--filter=blob:none", "origin", commit],
            ["checkout", "--quiet", "FETCH_HEAD"],
        ]
        for step in steps:
            environment = os.environ | {"GIT_TERMINAL_PROMPT": "0"}
            done = subprocess.run([*_GIT, *step], cwd=checkout, env=environment, capture_output=True, text=True)
            if done.returncode:
                return [f"{len(wanted)} file(s) of {repository}: git {step[0]} failed: {done.stderr.strip()}"]
        problems = []
        for file in wanted:
            source = Path(checkout, file.path)
            if not source.is_file():
                problems.append(f"{repository} has no {file.path} at commit {commit}.")
            elif (found := _sha256(source.read_bytes())) != file.sha256:
                problems.append(f"{repository}: {file.path} has the SHA-256 {found}, not {file.sha256}; not taken.")
            else:
                write_bytes(folder / file.file, source.read_bytes())
        return problems


def _sha256(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()


def main() -> int:
    """Get and verify all files of the table; the exit status is 1 if one of them is not as it must be."""
    files, folder = read_table(), data_dir()
    problems = get(files, folder)
    for problem in problems:
        print(problem)
    absent = [file for file in files if not (folder / file.file).exists()]
    print(f"{len(files) - len(absent)} of {len(files)} files are in {folder}.")
    return bool(problems)


if __name__ == "__main__":
    raise SystemExit(main())
