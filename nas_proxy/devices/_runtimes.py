"""What executes a network on this machine."""

from __future__ import annotations

import importlib.util
from abc import ABC, abstractmethod
from collections.abc import Callable
from typing import TYPE_CHECKING, ClassVar

from nas_proxy.errors import MissingDependencyError

if TYPE_CHECKING:
    import torch

__all__ = ["OnnxRuntime", "Runtime", "TorchRuntime"]


class Runtime(ABC):
    """What executes a network on this machine.

    Attributes:
        packages: that must be installed; their versions are stated with what is measured.
        precisions: names of the torch types that it runs in.
        extra: of nas-proxy, that installs the packages; empty where there is none.
    """

    packages: ClassVar[tuple[str, ...]] = ()
    precisions: ClassVar[tuple[str, ...]] = ("float32",)
    extra: ClassVar[str] = ""

    @abstractmethod
    def prepare(self, module: torch.nn.Module, batch: torch.Tensor, threads: int) -> Callable[[], object]:
        """A function that runs a module once on a batch of inputs, on so many threads."""

    def require(self, device: str) -> None:
        """Raises MissingDependencyError if a package is not installed."""
        for package in self.packages:
            if importlib.util.find_spec(package) is None:
                install = f"nas-proxy[{self.extra}]" if self.extra else package
                raise MissingDependencyError(
                    f"device {device!r} needs the package {package!r}, which is not installed: pip install '{install}'."
                )


class TorchRuntime(Runtime):
    """Eager PyTorch; the number of threads is set by the timer around each turn."""

    packages = ("torch",)
    extra = "torch"
    precisions = ("float32", "bfloat16")

    def prepare(self, module: torch.nn.Module, batch: torch.Tensor, threads: int) -> Callable[[], object]:
        import torch

        module.to(batch.dtype)

        @torch.inference_mode()
        def run() -> object:
            return module(batch)

        return run


class OnnxRuntime(Runtime):
    """ONNX Runtime's CPU provider with all graph optimisations."""

    packages = ("onnxruntime", "onnx", "onnxscript", "torch")
    extra = "torch,onnx"

    def prepare(self, module: torch.nn.Module, batch: torch.Tensor, threads: int) -> Callable[[], object]:
        import onnxruntime

        from nas_proxy.graph import from_torch, to_onnx

        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = threads
        options.inter_op_num_threads = 1
        model = to_onnx(from_torch(module, tuple(batch.shape))).SerializeToString()
        session = onnxruntime.InferenceSession(model, options, providers=["CPUExecutionProvider"])
        inputs = {session.get_inputs()[0].name: batch.numpy()}
        return lambda: session.run(None, inputs)
