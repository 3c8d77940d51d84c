"""Files that are whole or absent, and replace nothing that counts: everything the package writes goes through here."""

from __future__ import annotations

import json
import logging
import os
import tempfile
from pathlib import Path
from typing import Any

from nas_proxy.errors import InputError

__all__ = ["require_free", "write_bytes", "write_json", "write_text"]

_log = logging.getLogger(__name__)


def require_free(
    path: str | Path | None, *inputs: str | Path | None, suffix: str | None = None, own_column: str | None = None
) -> None:
    """Check that a command may write ``path``, before it does any work: what it writes can be made again.

    Args:
        path: where to write; None where nothing is to be written.
        inputs: files that the command reads.
        suffix: of what is written; a file with another one is not replaced.
        own_column: tells the command's own earlier output from a CSV of measurements.

    Raises:
        InputError: ``path`` is one of the inputs, holds measurements (a CSV with a column ``latency_ms``), or has
            another suffix.
    """
    if path is None or not (path := Path(path)).is_file():
        return
    if _holds_measurements(path, own_column):
        raise InputError(f"{path} holds measurements: give what is to be written another name.")
    if any(given is not None and Path(given).exists() and path.samefile(given) for given in inputs):
        raise InputError(f"{path} is read by this command: give what is to be written another name.")
    if suffix is not None and path.suffix.lower() != suffix:
        raise InputError(f"{path} exists and is no {suffix} file: give what is to be written another name.")


def _holds_measurements(path: Path, own_column: str | None) -> bool:
    with path.open(encoding="utf-8-sig", errors="replace") as file:
        heading = next((line for line in file if line.strip() and not line.startswith("#")), "")
    columns = {cell.strip().strip('"') for cell in heading.split(",")}
    return "latency_ms" in columns and own_column not in columns


def write_bytes(path: str | Path, data: bytes) -> Path:
    """Write ``data`` so that a crash leaves either the old file or the new one, never a part.

    Raises:
        OSError: the folder cannot be created or written to; the old file is untouched.
    """
    path = Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    handle, temporary = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
    try:
        with os.fdopen(handle, "wb") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
        umask = os.umask(0)
        os.umask(umask)
        os.chmod(temporary, 0o666 & ~umask)  # mkstemp makes private files
        os.replace(temporary, path)
        _log.debug("%s: %d bytes written", path, len(data))
    except BaseException:
        os.unlink(temporary)
        raise
    return path


def write_text(path: str | Path, text: str) -> Path:
    """Write ``text`` as UTF-8, atomically. See :func:`write_bytes`."""
    return write_bytes(path, text.encode())


def write_json(path: str | Path, value: Any) -> Path:
    """Write plain data as JSON, atomically. NaN and infinities are refused, since other readers cannot take them."""
    return write_text(path, json.dumps(value, indent=2, allow_nan=False) + "\n")
