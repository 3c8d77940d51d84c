"""Files that are whole or absent: everything the package writes goes through here."""

from __future__ import annotations

import json
import os
import tempfile
from pathlib import Path
from typing import Any

__all__ = ["write_bytes", "write_json", "write_text"]


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
