"""Convolution and pooling of ONNX's reference evaluator, computed by torch where it can: minutes become seconds."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from onnx.reference.ops.op_average_pool import AveragePool_19
from onnx.reference.ops.op_conv import Conv as ReferenceConv
from onnx.reference.ops.op_max_pool import MaxPool as ReferenceMaxPool
from torch.nn import functional

__all__ = ["KERNELS"]

_CONVOLVE = {1: functional.conv1d, 2: functional.conv2d, 3: functional.conv3d}


class Conv(ReferenceConv):
    """Convolution by PyTorch."""

    def _run(self, X, W, B=None, **given: Any):
        n = X.ndim - 2
        if given["auto_pad"] not in (None, "NOTSET") or n not in _CONVOLVE:
            return super()._run(X, W, B, **given)
        x, w, *b = (_tensor(array) for array in (X, W, B) if array is not None)
        x = functional.pad(x, _sides(given["pads"] or [0] * 2 * n))
        strides, dilations = given["strides"] or [1] * n, given["dilations"] or [1] * n
        made = _CONVOLVE[n](x, w, *b, stride=strides, dilation=dilations, groups=given["group"] or 1)
        return (made.numpy(),)


class AveragePool(AveragePool_19):
    """Average pooling by PyTorch."""

    def _run(self, x, **given: Any):
        if not _is_plain(x, given):
            return super()._run(x, **given)
        counted = bool(given["count_include_pad"])
        made = functional.avg_pool2d(_tensor(x), *_window(given), count_include_pad=counted)
        return (made.numpy(),)


class MaxPool(ReferenceMaxPool):
    """Maximum pooling by PyTorch, where indices are not asked for."""

    def _run(self, x, **given: Any):
        if not _is_plain(x, given) or self.n_outputs > 1:
            return super()._run(x, **given)
        return (functional.max_pool2d(_tensor(x), *_window(given)).numpy(),)

    @property
    def n_outputs(self) -> int:
        """Outputs that the node has: values, and indices where they are asked for."""
        return len(self.onnx_node.output)


def _tensor(array: np.ndarray) -> torch.Tensor:
    return torch.from_numpy(np.array(array))


def _is_plain(x: np.ndarray, given: dict[str, Any]) -> bool:
    """Whether torch has this pooling: two dimensions, the same padding on both sides, no rounding up."""
    if x.ndim != 4 or given["auto_pad"] not in (None, "NOTSET") or given["ceil_mode"]:
        return False
    pads, kernel = given["pads"] or [0] * 4, given["kernel_shape"]
    fits = pads[:2] == pads[2:] and all(2 * p <= k for p, k in zip(pads, kernel, strict=False))
    fits = fits and all(n + 2 * p >= k for n, p, k in zip(x.shape[2:], pads, kernel, strict=False))
    return fits and all(d == 1 for d in given["dilations"] or [1])


def _window(given: dict[str, Any]) -> tuple[list[int], list[int], list[int]]:
    return list(given["kernel_shape"]), list(given["strides"] or [1, 1]), list(given["pads"] or [0] * 4)[:2]


def _sides(pads: Sequence[int]) -> list[int]:
    """ONNX's padding (all beginnings, all ends) as torch's (last axis first)."""
    n = len(pads) // 2
    return [amount for axis in reversed(range(n)) for amount in (pads[axis], pads[n + axis])]


KERNELS = [Conv, AveragePool, MaxPool]
