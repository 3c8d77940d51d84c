"""The NNI faces: tuner, trial, the `run` and `doctor` commands, and what makes up for NNI 3.0's own failures."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from nas_proxy.nni_plugin.tuner import ProxyTuner

__all__ = ["ProxyTuner"]


def __getattr__(name: str) -> Any:
    if name == "ProxyTuner":
        from nas_proxy.nni_plugin import compat

        compat.require_nni()
        from nas_proxy.nni_plugin.tuner import ProxyTuner  # imports NNI, which the doctor must not need

        return ProxyTuner
    raise AttributeError(f"module 'nas_proxy.nni_plugin' has no attribute {name!r}")
