"""What executes a network on this machine."""

from __future__ import annotations

import importlib.util
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING

from nas_proxy.errors import MissingDependencyError
from nas_proxy.registry import Registry

if TYPE_CHECKING:
    import torch

__all__ = ["Runtime", "runtimes"]


@dataclass(frozen=True)
class Runtime:
    """A runtime: ``prepare(module, input_batch, threads)`` gives a function that runs the module once."""

    prepare: Callable[[torch.nn.Module, torch.Tensor, int], Callable[[], object]]
    packages: tuple[str, ...]
    precisions: tuple[str, ...]
    extra: str = ""

    def require(self, device: str) -> None:
        """Raises MissingDependencyError if a package is not installed."""
        for package in self.packages:
            if importlib.util.find_spec(package) is None:
                raise MissingDependencyError(
                    f"device {device!r} needs the package {package!r}, which is not installed: "
                    f"pip install 'nas-proxy[{self.extra}]'."
                )


def _prepare_torch(module: torch.nn.Module, batch: torch.Tensor, threads: int) -> Callable[[], object]:
    """Eager PyTorch; the number of threads is set by the timer around each turn."""
    import torch

    module.to(batch.dtype)

    @torch.inference_mode()
    def run() -> object:
        return module(batch)

    return run


def _prepare_onnxruntime(module: torch.nn.Module, batch: torch.Tensor, threads: int) -> Callable[[], object]:
    """ONNX Runtime's CPU provider with all graph optimisations."""
    import onnxruntime

    from nas_proxy.graph import from_torch, to_onnx

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = threads
    options.inter_op_num_threads = 1
    model = to_onnx(from_torch(module, tuple(batch.shape))).SerializeToString()
    session = onnxruntime.InferenceSession(model, options, providers=["CPUExecutionProvider"])
    inputs = {session.get_inputs()[0].name: batch.numpy()}
    return lambda: session.run(None, inputs)


runtimes: Registry[Runtime] = Registry(
    "runtime",
    {
        "torch": Runtime(_prepare_torch, ("torch",), ("float32", "bfloat16")),
        "onnxruntime": Runtime(
            _prepare_onnxruntime, ("onnxruntime", "onnx", "onnxscript", "torch"), ("float32",), extra="onnx"
        ),
    },
)
