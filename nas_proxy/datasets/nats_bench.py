"""Accuracies of NATS-Bench (Dong et al., "NATS-Bench: Benchmarking NAS Algorithms for Architecture Topology and Size",
TPAMI 2021), topology space, as a text table.

Columns of ``<dataset>_perfmetrics.txt``: architecture index, test accuracy in percent after 200 epochs, training
seconds per epoch, training seconds in total. The index is that of HELP's ``str_arch2idx.pt``.
"""

from __future__ import annotations

import warnings
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from nas_proxy.datasets._read import require_file
from nas_proxy.datasets.help import read_nasbench201_index
from nas_proxy.datasets.tables import AccuracyTable
from nas_proxy.errors import InputError

__all__ = ["NatsBenchAccuracies"]


@dataclass(frozen=True)
class NatsBenchAccuracies:
    """A text table of NATS-Bench's topology space (Dong et al., TPAMI 2021): NAS-Bench-201.

    Attributes:
        index: ``str_arch2idx.pt`` of HELP; by default looked for at ``../help/nasbench201/`` beside the table's
            folder.
    """

    index: str | Path | None = None

    def read(self, path: str | Path) -> AccuracyTable:
        """Read a table of accuracies, ``<dataset>_perfmetrics.txt``.

        Raises:
            InputError: a file is missing or damaged, or table and index differ in length.
        """
        path = require_file(path, "a table of accuracies such as cifar100_perfmetrics.txt")
        index = self.index or path.parent.parent / "help" / "nasbench201" / "str_arch2idx.pt"
        archs = read_nasbench201_index(index)
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("error")  # numpy warns of an empty file
                table = np.loadtxt(path, ndmin=2)
        except (ValueError, UnicodeDecodeError, UserWarning) as error:
            raise InputError(f"{path}: expected a table of numbers, index and accuracy first: {error}") from None
        if table.shape[0] != len(archs) or table.shape[1] < 2:
            raise InputError(
                f"{path}: expected {len(archs)} rows (as in {index}) of at least 2 columns, found {table.shape}."
            )
        if not np.array_equal(np.sort(table[:, 0]), np.arange(len(archs))):
            raise InputError(f"{path}: expected the indices 0..{len(archs) - 1} in the first column, each once.")
        return AccuracyTable("nasbench201", archs, table[np.argsort(table[:, 0]), 1])
