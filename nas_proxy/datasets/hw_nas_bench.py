"""Latencies of HW-NAS-Bench (Li et al., "HW-NAS-Bench: Hardware-Aware Neural Architecture Search Benchmark", ICLR
2021).

One pickle, ``{space: {dataset: {"config": [...], "<device>_latency": [...], "<device>_energy": [...]}}}``; latencies in
ms, in the order of ``config``, whose entries have the cell of NAS-Bench-201 in ``arch_str`` and FBNet's operators in
``op_idx_list``. Energies are left where they are: tables here are of latencies.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from nas_proxy.datasets._pickle import load_numbers
from nas_proxy.datasets._read import latencies
from nas_proxy.datasets.tables import LatencyTable
from nas_proxy.errors import InputError, UnknownNameError
from nas_proxy.spaces import SearchSpace, get_space

__all__ = ["HwNasBenchLatencies"]

_SUFFIX = "_latency"


@dataclass(frozen=True)
class HwNasBenchLatencies:
    """The pickle of HW-NAS-Bench (Li et al., ICLR 2021); nothing in it is executed.

    Attributes:
        space: the space in it, ``nasbench201`` or ``fbnet``.
        dataset: images and classes: ``cifar10``, ``cifar100`` or ``ImageNet16-120``.
    """

    space: str = "nasbench201"
    dataset: str = "cifar10"

    def read(self, path: str | Path) -> LatencyTable:
        """Read the latencies of one space and data set (image size and classes); nothing in the pickle is executed.

        Raises:
            UnknownNameError: the file has no such space or data set; the message names the closest.
            InputError: the file is missing, damaged, holds more than plain values, or lists do not fit ``config``.
        """
        data = load_numbers(path, "HW-NAS-Bench's table")
        for what, name in (("search space", self.space), ("data set", self.dataset)):
            if not isinstance(data, dict):
                raise InputError(f"{path}: expected a dict of {what}s, found {type(data).__name__}.")
            if name not in data:
                raise UnknownNameError(f"{what} in {path}", name, data)
            data = data[name]
        if not isinstance(data, dict) or not isinstance(data.get("config"), list):
            raise InputError(
                f"{path}: expected lists 'config' and '<device>{_SUFFIX}' for {self.space} on {self.dataset}."
            )
        known = get_space(self.space)
        archs = tuple(_arch(known, config, f"{path}: config, row {row}") for row, config in enumerate(data["config"]))
        names = sorted(name for name in data if isinstance(name, str) and name.endswith(_SUFFIX))
        if not names:
            raise InputError(f"{path}: expected lists '<device>{_SUFFIX}', found {', '.join(map(str, data))}.")
        columns = [latencies(data[name], len(archs), f"{path}: {name}") for name in names]
        devices = tuple(name.removesuffix(_SUFFIX) for name in names)
        return LatencyTable(self.space, archs, devices, np.stack(columns, axis=1))


def _arch(space: SearchSpace, config: Any, where: str) -> Any:
    operators = config.get("op_idx_list") if isinstance(config, dict) else None
    if isinstance(operators, list):
        return space.from_str(space.to_str(tuple(operators)))
    text = config.get("arch_str") if isinstance(config, dict) else config
    if not isinstance(text, str):
        raise InputError(f"{where}: expected an architecture's text or operators, found {config!r}.")
    return space.from_str(text)
