"""Latencies published with OneProxy (Lu et al., "One Proxy Device Is Enough for Hardware-Aware Neural Architecture
Search", SIGMETRICS 2022): NAS-Bench-201 cells on 17 devices.

A folder holds ``encode.pickle``, a list of one-hot encodings of 31 columns (five operators on each of six edges, and a
column of ones), and ``<device>.pickle``, lists of latencies in ms in the same order, there or in ``latency_data/``.
"""

from __future__ import annotations

import logging
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from nas_proxy.datasets._pickle import load_numbers
from nas_proxy.datasets._read import latencies
from nas_proxy.datasets.tables import LatencyTable
from nas_proxy.errors import InputError
from nas_proxy.spaces import get_space

__all__ = ["OneProxyLatencies"]

_log = logging.getLogger(__name__)


@dataclass(frozen=True)
class OneProxyLatencies:
    """A folder of OneProxy's pickles (Lu et al., SIGMETRICS 2022): NAS-Bench-201; nothing in them is executed.

    Attributes:
        operators: in the order of the encoding's columns; by default that of the literature (none, skip_connect,
            nor_conv_1x1, nor_conv_3x3, avg_pool_3x3).
    """

    operators: Sequence[str] | None = None

    def read(self, path: str | Path) -> LatencyTable:
        """Read a folder of OneProxy's pickles; nothing in them is executed.

        Raises:
            InputError: a file is missing, damaged, holds more than numbers, or is of another length or form.
        """
        folder = Path(path)
        archs = _decode(folder / "encode.pickle", self.operators)
        files = sorted([*folder.glob("*.pickle"), *folder.glob("latency_data/*.pickle")], key=lambda file: file.stem)
        files = [file for file in files if file.stem != "encode"]
        if not files:
            raise InputError(f"{folder}: expected latencies in files <device>.pickle beside encode.pickle, found none.")
        columns = {
            file.stem: latencies(load_numbers(file, "a list of latencies"), len(archs), str(file)) for file in files
        }
        first = {arch: row for row, arch in reversed(list(enumerate(archs)))}
        if len(first) < len(archs):
            _log.warning("%s: %d rows repeat an earlier cell and are left out", folder, len(archs) - len(first))
        rows = sorted(first.values())
        values = np.stack(list(columns.values()), axis=1)[rows]
        return LatencyTable("nasbench201", tuple(archs[row] for row in rows), tuple(columns), values)


def _decode(path: Path, operators: Sequence[str] | None) -> list[str]:
    space = get_space("nasbench201")
    options = next(iter(space.choices.values()))
    operators = options if operators is None else tuple(operators)
    if sorted(operators) != sorted(options):
        raise InputError(f"operators: expected an order of {', '.join(options)}, found {', '.join(operators)}.")
    rows = load_numbers(path, "a list of one-hot encodings")
    edges, width = len(space.choices), len(operators)
    try:
        encoding = np.asarray(rows, dtype=np.float64)
    except (TypeError, ValueError):
        encoding = np.empty((0, 0))
    if encoding.ndim != 2 or encoding.shape[1] != edges * width + 1:
        raise InputError(f"{path}: expected a list of rows of {edges * width + 1} numbers.")
    ones = [column for column in (0, -1) if (encoding[:, column] == 1).all()]
    if not ones:
        raise InputError(f"{path}: expected a first or last column of ones beside {edges} x {width} one-hot columns.")
    one_hot = np.delete(encoding, ones[0], axis=1).reshape(-1, edges, width)
    bad = np.flatnonzero(~(np.isin(one_hot, (0, 1)).all(axis=(1, 2)) & (one_hot.sum(axis=2) == 1).all(axis=1)))
    if len(bad):
        raise InputError(f"{path}: row {bad[0]} is not a one-hot encoding of {edges} edges with {width} operators.")
    return space.decode(np.array([options.index(name) for name in operators])[one_hot.argmax(axis=2)])
