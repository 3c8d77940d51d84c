"""What the suites of the two kinds of formats share."""

from __future__ import annotations

import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from nas_proxy.errors import InputError
from nas_proxy.spaces import get_space

__all__ = ["checks_of"]

_NO_TABLES = {"empty": b"", "letter": b"Dear all,\n\nno measurements today.\n", "numbers": bytes(range(256)) * 4}


def checks_of(kind: type, values: str) -> tuple[Callable[..., None], ...]:
    """The checks of a format whose tables are of a ``kind`` that has an attribute called ``values``."""

    def check_it_reads(read_format: Any, *, path: Path) -> None:
        """A file gives a table of architectures of a known space."""
        _require_table(read_format.read(path), kind)

    def check_it_repeats_itself(read_format: Any, *, path: Path) -> None:
        """The same file gives the same table."""
        one, other = read_format.read(path), read_format.read(path)
        assert one.archs == other.archs
        assert np.array_equal(getattr(one, values), getattr(other, values), equal_nan=True)

    def check_it_refuses(read_format: Any, *, path: Path) -> None:
        """What is absent, empty, cut off or something else is refused, with the name of the file."""
        _require_refusals(read_format.read)

    return check_it_reads, check_it_repeats_itself, check_it_refuses


def _require_table(table: Any, kind: type) -> None:
    assert isinstance(table, kind), f"expected a {kind.__name__}, found {type(table).__name__}"
    assert len(table), "the file holds measurements"
    space = get_space(table.space)
    assert [space.from_str(space.to_str(arch)) for arch in table.archs[:20]] == list(table.archs[:20])


def _require_refusals(read: Callable[[Path], Any]) -> None:
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
