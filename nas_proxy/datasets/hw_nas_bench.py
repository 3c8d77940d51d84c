"""Latencies of HW-NAS-Bench (Li et al., "HW-NAS-Bench: Hardware-Aware Neural Architecture Search Benchmark", ICLR
2021).

One pickle, ``{space: {dataset: {"config": [...], "<device>_latency": [...], "<device>_energy": [...]}}}``; latencies in
ms, in the order of ``config``, whose entries have the cell of NAS-Bench-201 in ``arch_str`` and FBNet's operators in
``op_idx_list``. Energies are left where they are: tables here are of latencies.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from nas_proxy.datasets._pickle import load_numbers
from nas_proxy.datasets._read import latencies
from nas_proxy.datasets.tables import LatencyTable
from nas_proxy.errors import InputError, UnknownNameError
from nas_proxy.spaces import SearchSpace, get_space

__all__ = ["read_hw_nas_bench"]

_SUFFIX = "_latency"


def read_hw_nas_bench(path: str | Path, space: str = "nasbench201", dataset: str = "cifar10") -> LatencyTable:
    """Read the latencies of one space and data set (image size and classes); nothing in the pickle is executed.

    Raises:
        UnknownNameError: the file has no such space or data set; the message names the closest.
        InputError: the file is missing, damaged, holds more than plain values, or lists do not fit ``config``.
    """
    data = load_numbers(path, "HW-NAS-Bench's table")
    for what, name in (("search space", space), ("data set", dataset)):
        if not isinstance(data, dict):
            raise InputError(f"{path}: expected a dict of {what}s, found {type(data).__name__}.")
        if name not in data:
            raise UnknownNameError(f"{what} in {path}", name, data)
        data = data[name]
    if not isinstance(data, dict) or not isinstance(data.get("config"), list):
        raise InputError(f"{path}: expected lists 'config' and '<device>{_SUFFIX}' for {space} on {dataset}.")
    known = get_space(space)
    archs = tuple(_arch(known, config, f"{path}: config, row {row}") for row, config in enumerate(data["config"]))
    names = sorted(name for name in data if isinstance(name, str) and name.endswith(_SUFFIX))
    if not names:
        raise InputError(f"{path}: expected lists '<device>{_SUFFIX}', found {', '.join(map(str, data))}.")
    columns = [latencies(data[name], len(archs), f"{path}: {name}") for name in names]
    devices = tuple(name.removesuffix(_SUFFIX) for name in names)
    return LatencyTable(space, archs, devices, np.stack(columns, axis=1))


def _arch(space: SearchSpace, config: Any, where: str) -> Any:
    operators = config.get("op_idx_list") if isinstance(config, dict) else None
    if isinstance(operators, list):
        return space.from_str(space.to_str(tuple(operators)))
    text = config.get("arch_str") if isinstance(config, dict) else config
    if not isinstance(text, str):
        raise InputError(f"{where}: expected an architecture's text or operators, found {config!r}.")
    return space.from_str(text)
