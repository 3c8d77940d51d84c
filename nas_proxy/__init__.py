"""nas-proxy: one measured proxy device ranks candidate networks for every other device, inside NNI 3.0.

Everything is imported on first use: NNI gives a tuner ten seconds to start, and half of the package needs no torch.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from nas_proxy.datasets import LatencyTable, load_accuracies, load_latencies
    from nas_proxy.devices import get_device
    from nas_proxy.finalists import FinalistTable, evaluate_finalists
    from nas_proxy.nni_plugin import ProxyLatencyProfiler, ProxyStrategy, ProxyTuner
    from nas_proxy.ranking import Monotonicity, ProxyLatencyModel, hypervolume, pareto_front, select_proxy
    from nas_proxy.spaces import get_space
    from nas_proxy.spaces.from_nni import space_from_nni

__version__ = "0.1.0"

__all__ = [
    "FinalistTable",
    "LatencyTable",
    "Monotonicity",
    "ProxyLatencyModel",
    "ProxyLatencyProfiler",
    "ProxyStrategy",
    "ProxyTuner",
    "evaluate_finalists",
    "get_device",
    "get_space",
    "hypervolume",
    "load_accuracies",
    "load_latencies",
    "pareto_front",
    "select_proxy",
    "space_from_nni",
]

_HOMES = {
    "nas_proxy.datasets": ["LatencyTable", "load_accuracies", "load_latencies"],
    "nas_proxy.devices": ["get_device"],
    "nas_proxy.finalists": ["FinalistTable", "evaluate_finalists"],
    "nas_proxy.nni_plugin": ["ProxyLatencyProfiler", "ProxyStrategy", "ProxyTuner"],
    "nas_proxy.ranking": ["Monotonicity", "ProxyLatencyModel", "hypervolume", "pareto_front", "select_proxy"],
    "nas_proxy.spaces": ["get_space"],
    "nas_proxy.spaces.from_nni": ["space_from_nni"],
}
_SUBPACKAGES = {"graph"}
_HOME = {name: module for module, names in _HOMES.items() for name in names}


def __getattr__(name: str) -> Any:
    if name in _SUBPACKAGES:
        return importlib.import_module(f"nas_proxy.{name}")
    if name in _HOME:
        return getattr(importlib.import_module(_HOME[name]), name)
    raise AttributeError(f"module 'nas_proxy' has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted(__all__)
