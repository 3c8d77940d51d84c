"""A pickle that leaves a trace when it is loaded."""

from __future__ import annotations

import os
import pickle
from pathlib import Path


class Malicious:
    def __init__(self, trace: Path) -> None:
        self.trace = trace

    def __reduce__(self):
        return os.mkdir, (str(self.trace),)


def write_malicious_pickle(path: Path, trace: Path, protocol: int | None = None) -> Path:
    """Write a pickle to ``path`` that, when loaded, makes the folder ``trace``."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(pickle.dumps(Malicious(trace), protocol))
    return path


def is_armed(path: Path, trace: Path) -> bool:
    """Whether loading ``path`` would do it (so that a test does not pass because the bait is none)."""
    pickle.loads(path.read_bytes())
    armed = trace.is_dir()
    trace.rmdir()
    return armed
