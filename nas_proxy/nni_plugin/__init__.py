"""The NNI faces (tuner, trial, strategy, profiler, the `run` and `doctor` commands) and cures for NNI's failures.

Everything is imported on first use: the doctor must not need NNI, nor the tuner `nni.nas`.
"""

from typing import Any

import lazy_loader

_attribute, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)


def __getattr__(name: str) -> Any:
    if name in __all__:
        from nas_proxy.nni_plugin import compat

        compat.require_nni()
    return _attribute(name)
