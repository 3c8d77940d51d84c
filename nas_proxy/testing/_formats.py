"""What the suites of the two kinds of formats share."""

from __future__ import annotations

import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from nas_proxy.errors import InputError
from nas_proxy.spaces import get_space

__all__ = ["require_refusals", "require_same", "require_table"]

_NO_TABLES = {"empty": b"", "letter": b"Dear all,\n\nno measurements today.\n", "numbers": bytes(range(256)) * 4}


def require_table(table: Any, kind: type) -> None:
    """A table of a known space, each architecture one of it."""
    assert isinstance(table, kind), f"expected a {kind.__name__}, found {type(table).__name__}"
    assert len(table), "the file holds measurements"
    space = get_space(table.space)
    assert [space.from_str(space.to_str(arch)) for arch in table.archs[:20]] == list(table.archs[:20])


def require_same(one: Any, other: Any, *values: Any) -> None:
    """Two tables of the same architectures and values."""
    assert one.archs == other.archs
    assert np.array_equal(*values, equal_nan=True)


def require_refusals(read: Callable[[Path], Any]) -> None:
    """What is absent or no table is an InputError that names it."""
    with tempfile.TemporaryDirectory() as folder:
        for name, data in _NO_TABLES.items():
            (Path(folder) / f"{name}.txt").write_bytes(data)
        for name in (*_NO_TABLES, "absent"):
            path = Path(folder) / f"{name}.txt"
            message = None
            try:
                table = read(path)
            except InputError as error:
                message = str(error)
            assert message is not None, f"{path.name} holds no measurements, but {table!r} was read from it"
            assert path.stem in message, f"the message does not name the file {path.name}: {message}"
