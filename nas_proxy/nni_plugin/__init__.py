"""The NNI faces (tuner, trial, strategy, profiler, the `run` and `doctor` commands) and cures for NNI's failures.

Everything is imported on first use: the doctor must not need NNI, nor the tuner `nni.nas`.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from nas_proxy.nni_plugin.candidate import Candidate
    from nas_proxy.nni_plugin.compat import guarded_manager
    from nas_proxy.nni_plugin.profiler import ProxyLatencyProfiler
    from nas_proxy.nni_plugin.strategy import ProxyStrategy
    from nas_proxy.nni_plugin.tuner import ProxyTuner

__all__ = ["Candidate", "ProxyLatencyProfiler", "ProxyStrategy", "ProxyTuner", "guarded_manager"]

_HOME = {
    "Candidate": "candidate",
    "ProxyLatencyProfiler": "profiler",
    "ProxyStrategy": "strategy",
    "ProxyTuner": "tuner",
    "guarded_manager": "compat",
}


def __getattr__(name: str) -> Any:
    if name not in _HOME:
        raise AttributeError(f"module 'nas_proxy.nni_plugin' has no attribute {name!r}")
    from nas_proxy.nni_plugin import compat

    compat.require_nni()
    return getattr(importlib.import_module(f"nas_proxy.nni_plugin.{_HOME[name]}"), name)
