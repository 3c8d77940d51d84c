"""The kernels that a PyTorch network executes, recorded on the meta device: shapes only, no numbers, no weights.

Operators are seen as ATen dispatches them, so that any architecture is recorded the same way. A fused attention is
one kernel. Views cost nothing, and what depends on parameters alone is constant and not recorded.
"""

# torch's own methods are typed in part only.
# pyright: reportUnknownMemberType=false

from __future__ import annotations

from collections.abc import Callable, Generator, Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from typing import Any, cast

import torch
from torch import Tensor, nn
from torch.overrides import TorchFunctionMode
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves
from torch.utils.hooks import RemovableHandle

from nas_proxy.spaces._kinds import COMPUTE

__all__ = ["KernelCall", "Trace", "built_on_meta", "trace"]

BYTES_PER_VALUE = 4
_MEMBERS = {
    "norm": """native_batch_norm _native_batch_norm_legit _native_batch_norm_legit_no_training native_layer_norm
        native_group_norm _fused_rms_norm""",
    "softmax": "_softmax _log_softmax",
    "reduction": """avg_pool2d max_pool2d_with_indices _adaptive_avg_pool2d adaptive_max_pool2d mean sum amax amin max
        var var_mean std linalg_vector_norm""",
    "movement": """clone copy_ cat stack roll index index_select gather constant_pad_nd reflection_pad2d pixel_shuffle
        pixel_unshuffle native_channel_shuffle upsample_nearest2d upsample_bilinear2d upsample_bicubic2d
        _upsample_bilinear2d_aa _upsample_bicubic2d_aa grid_sampler_2d flip repeat im2col _to_copy embedding""",
}
_KIND_OF = {operator: kind for kind, operators in _MEMBERS.items() for operator in operators.split()}
_SAME_SHAPE = {"_softmax", "gelu", "hardsigmoid", "hardswish", "neg", "relu", "sigmoid", "silu", "tanh"} | {
    "add_",
    "gelu_",
    "mul_",
    "relu_",
    "silu_",
}
_FREE = {"_unsafe_view", "as_strided_", "empty", "empty_like", "empty_strided", "new_empty"}


@dataclass(frozen=True, kw_only=True)
class KernelWork:
    """What a kernel computes. ``weights`` counts values; ``reduced`` is the length of the sums that a multiplying
    kernel computes and ``channels`` the width of its output: small ones leave wide arithmetic units idle."""

    kind: str
    macs: int = 0
    weights: int = 0
    reduced: int = 0
    channels: int = 0


@dataclass(frozen=True, kw_only=True)
class KernelCall(KernelWork):
    """One operator execution: what it computes, the activations it moves (4 bytes a value), the path of its module."""

    bytes_read: int
    bytes_written: int
    module: str


@dataclass(frozen=True)
class Trace:
    """What a network executes for one batch; depth counts the kernels, or those that multiply, on the longest path."""

    kernels: tuple[KernelCall, ...]
    parameters: int
    depth: int
    compute_depth: int


@contextmanager
def built_on_meta() -> Generator[None]:
    """Modules made inside have shapes and no values, and initialising them costs nothing."""
    with torch.device("meta"), _NoInitialisation():
        yield


def trace(network: nn.Module, *inputs: Tensor) -> Trace:
    """Record ``network`` on ``inputs``, both on the meta device, in evaluation mode."""
    recorder = _Recorder([*network.parameters(), *network.buffers()])
    with torch.no_grad(), recorder.following(network), _FusedAttention(recorder), recorder:
        network.eval()(*inputs)
    return Trace(
        kernels=tuple(recorder.kernels),
        parameters=sum(parameter.numel() for parameter in network.parameters()),
        depth=recorder.depth,
        compute_depth=recorder.compute_depth,
    )


class _NoInitialisation(TorchDispatchMode):
    """Skips what only writes into a tensor of the meta device."""

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        returns = func._schema.returns
        if len(returns) == 1 and returns[0].alias_info and returns[0].alias_info.is_write and args[0].is_meta:
            return args[0]
        return func(*args, **(kwargs or {}))


class _FusedAttention(TorchFunctionMode):
    """Records ``scaled_dot_product_attention`` as one kernel, as devices execute it."""

    def __init__(self, recorder: _Recorder) -> None:
        super().__init__()
        self.recorder = recorder

    def __torch_function__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        kwargs = kwargs or {}
        if func is not nn.functional.scaled_dot_product_attention:
            return func(*args, **kwargs)
        given = dict(zip(("query", "key", "value"), args, strict=False)) | kwargs
        query, key, value = given["query"], given["key"], given["value"]
        output = query.new_empty(*query.shape[:-1], value.shape[-1])
        scores = query.shape[:-1].numel() * key.shape[-2]
        macs = scores * (query.shape[-1] + value.shape[-1])
        work = KernelWork(kind="attention", macs=macs, reduced=query.shape[-1], channels=value.shape[-1])
        self.recorder.add([query, key, value], [output], work)
        return output


@dataclass(frozen=True, slots=True)
class _Origin:
    """How a tensor came about: from parameters alone, or as the end of a chain of kernels."""

    constant: bool = False
    depth: int = 0
    compute_depth: int = 0


_INPUT = _Origin()


class _Recorder(TorchDispatchMode):
    """Appends a kernel for each operator that is executed on activations."""

    def __init__(self, constants: Iterable[Tensor]) -> None:
        super().__init__()
        self.kernels: list[KernelCall] = []
        self.depth = self.compute_depth = 0
        self.module_paths = [""]
        _mark(constants, _Origin(constant=True))

    @contextmanager
    def following(self, network: nn.Module) -> Generator[None]:
        """Inside, the innermost module that runs is the last of ``module_paths``."""

        def enter(path: str, *_: object) -> None:
            self.module_paths.append(path)

        def leave(*_: object) -> None:
            self.module_paths.pop()

        hooks: list[RemovableHandle] = []
        for path, module in cast(Iterator[tuple[str, nn.Module]], network.named_modules()):
            hooks.append(module.register_forward_pre_hook(partial(enter, path)))
            hooks.append(module.register_forward_hook(leave))
        try:
            yield
        finally:
            for hook in hooks:
                hook.remove()

    def add(self, inputs: Sequence[Tensor], outputs: Sequence[Tensor], work: KernelWork) -> None:
        origins = [_origin(tensor) for tensor in inputs]
        depth = 1 + max(origin.depth for origin in origins)
        compute_depth = (work.kind in COMPUTE) + max(origin.compute_depth for origin in origins)
        _mark(outputs, _Origin(depth=depth, compute_depth=compute_depth))
        self.depth, self.compute_depth = max(self.depth, depth), max(self.compute_depth, compute_depth)
        read, written = (BYTES_PER_VALUE * sum(t.numel() for t in tensors) for tensors in (inputs, outputs))
        self.kernels.append(
            KernelCall(**vars(work), bytes_read=read, bytes_written=written, module=self.module_paths[-1])
        )

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        name = func.overloadpacket.__name__
        result = _compute(func, name, args, kwargs or {})
        outputs = [leaf for leaf in tree_leaves(result) if isinstance(leaf, Tensor)]
        tensors = [leaf for leaf in tree_leaves((args, kwargs)) if isinstance(leaf, Tensor)]
        activations = [tensor for tensor in tensors if not _origin(tensor).constant]
        if not activations:
            _mark(outputs, _Origin(constant=True))
        elif name in _FREE or any(_is_view(returned) for returned in func._schema.returns):
            _mark(outputs, max(map(_origin, activations), key=lambda origin: origin.depth))
        else:
            work = (
                _MULTIPLY[name](args, outputs[0])
                if name in _MULTIPLY
                else KernelWork(kind=_KIND_OF.get(name, "elementwise"))
            )
            self.add(activations, outputs, work)
        return result


def _origin(tensor: Tensor) -> _Origin:
    return getattr(tensor, "_nas_proxy_origin", _INPUT)


def _mark(tensors: Iterable[Tensor], origin: _Origin) -> None:
    for tensor in tensors:
        tensor._nas_proxy_origin = origin  # pyright: ignore[reportAttributeAccessIssue]


def _is_view(returned: Any) -> bool:
    return returned.alias_info is not None and not returned.alias_info.is_write


def _compute(func: Any, name: str, args: Any, kwargs: Any) -> Any:
    """The result, with the operators shortened whose meta kernels are slow and whose output has the input's shape."""
    if _KIND_OF.get(name) == "norm" and len(func._schema.returns) > 1:
        layout = torch.preserve_format if "batch_norm" in name else torch.contiguous_format
        output = torch.empty_like(args[0], memory_format=layout)
        return (output, *(output.new_empty(0) for _ in func._schema.returns[1:]))
    if name in _SAME_SHAPE:
        return args[0] if name.endswith("_") else torch.empty_like(args[0])
    return func(*args, **kwargs)


def _convolution(args: Any, output: Tensor) -> KernelWork:
    image, weight, _, _, _, _, transposed, _, groups = args
    kernel = weight.shape[2:].numel()
    if groups == 1:
        kind = "pointwise" if kernel == 1 else "conv"
    else:
        kind = "depthwise" if groups == image.shape[1] else "grouped"
    reduced = weight.shape[1] * kernel  # a transposed convolution has its output channels there
    per_value = image.numel() if transposed else output.numel()
    return KernelWork(
        kind=kind,
        macs=per_value * reduced,
        weights=_constants(weight),
        reduced=reduced,
        channels=output.shape[1],
    )


def _product(left: Tensor, right: Tensor, output: Tensor) -> KernelWork:
    weights = _constants(left, right)
    return KernelWork(
        kind="linear" if weights else "matmul",
        macs=output.numel() * left.shape[-1],
        weights=weights,
        reduced=left.shape[-1],
        channels=output.shape[-1],
    )


def _constants(*tensors: Tensor) -> int:
    return sum(tensor.numel() for tensor in tensors if _origin(tensor).constant)


_MULTIPLY: dict[str, Callable[[Any, Tensor], KernelWork]] = {
    "convolution": _convolution,
    "mm": lambda args, output: _product(args[0], args[1], output),
    "bmm": lambda args, output: _product(args[0], args[1], output),
    "addmm": lambda args, output: _product(args[1], args[2], output),
    "baddbmm": lambda args, output: _product(args[1], args[2], output),
}
