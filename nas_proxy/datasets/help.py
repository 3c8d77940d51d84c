"""Latencies published with HELP (Lee et al., "Hardware-adaptive Efficient Latency Prediction for NAS via
Meta-Learning", NeurIPS 2021): NAS-Bench-201 and FBNet on 27 devices.

A folder holds ``latency/<device>.pt``, lists of latencies in ms, and the architectures in the same order:
``str_arch2idx.pt`` (NAS-Bench-201: canonical string -> index) or ``arch.pt`` (FBNet: 22 operator indices each).
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from nas_proxy.datasets._pickle import load_numbers
from nas_proxy.datasets._read import latencies
from nas_proxy.datasets.tables import LatencyTable
from nas_proxy.errors import InputError

__all__ = ["HelpLatencies", "read_nasbench201_index"]


def read_nasbench201_index(path: str | Path) -> tuple[str, ...]:
    """The NAS-Bench-201 cells of ``str_arch2idx.pt``, in the order of their indices.

    Raises:
        InputError: the file cannot be read or is not a mapping of strings to 0..n-1.
    """
    index: Any = load_numbers(path, "a dict of NAS-Bench-201 string -> index")
    if not isinstance(index, dict) or sorted(index.values()) != list(range(len(index))):
        raise InputError(f"{path}: expected a dict of NAS-Bench-201 string -> index, the indices being 0..n-1.")
    return tuple(sorted(index, key=index.__getitem__))


def _read_fbnet(path: Path) -> tuple[tuple[int, ...], ...]:
    archs = load_numbers(path, "a list of FBNet architectures")
    if not isinstance(archs, list) or not all(isinstance(arch, list) and len(arch) == 22 for arch in archs):
        raise InputError(f"{path}: expected a list of FBNet architectures, each a list of 22 operator indices.")
    return tuple(tuple(map(int, arch)) for arch in archs)


class HelpLatencies:
    """A folder of HELP's measurements: NAS-Bench-201 or FBNet on 27 devices (Lee et al., NeurIPS 2021)."""

    def read(self, path: str | Path) -> LatencyTable:
        """Read a folder of HELP's measurements.

        Raises:
            InputError: a file is missing, damaged, of another length than the architectures, or holds a value that is
                no latency (names the file and the row).
        """
        folder = Path(path)
        space: str
        archs: tuple[Any, ...]
        if (folder / "str_arch2idx.pt").is_file():
            space, archs = "nasbench201", read_nasbench201_index(folder / "str_arch2idx.pt")
        elif (folder / "arch.pt").is_file():
            space, archs = "fbnet", _read_fbnet(folder / "arch.pt")
        else:
            raise InputError(
                f"{folder}: expected a folder of HELP's measurements, with 'str_arch2idx.pt' (NAS-Bench-201) or "
                "'arch.pt' (FBNet) beside 'latency/', found neither."
            )
        files = sorted((folder / "latency").glob("*.pt"))
        if not files:
            raise InputError(f"{folder / 'latency'}: expected files <device>.pt, found none.")
        columns = [latencies(load_numbers(file, "a list of latencies"), len(archs), str(file)) for file in files]
        return LatencyTable(space, archs, tuple(file.stem for file in files), np.stack(columns, axis=1))
