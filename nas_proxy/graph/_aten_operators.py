"""ATen operators in the ONNX vocabulary, one function each, as torch's ONNX exporter writes them.

A function takes the graph builder, what the operator makes (``out``: shape and dtype) and the operator's arguments by
their ATen names, tensors as value names (``self`` and ``input`` are called ``x``); it returns the name of the result,
or a tuple of names.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, TypeAlias

import numpy as np
import torch

from nas_proxy.graph._builder import GraphBuilder, Untranslatable

__all__ = ["TRANSLATIONS", "Out"]


@dataclass(frozen=True)
class Out:
    """What an operator makes; ``parts`` where it makes several tensors."""

    shape: tuple[int, ...]
    dtype: str
    parts: tuple[Out, ...] = ()


Translation = Callable[..., str | tuple[str, ...]]
Sizes: TypeAlias = Sequence[int] | int
Axes: TypeAlias = Sequence[int] | int | None
Number: TypeAlias = float | str | None
"""A number, or the name of a tensor."""
Operand: TypeAlias = float | str | None
TRANSLATIONS: dict[str, Translation] = {}


def _translation(*names: str) -> Callable[[Translation], Translation]:
    def add(function: Translation) -> Translation:
        TRANSLATIONS.update(dict.fromkeys(names, function))
        return function

    return add


def _scalar(b: GraphBuilder, value: Any, dtype: str) -> str:
    """A tensor as it is; a number as a constant of this dtype."""
    return value if isinstance(value, str) else b.constant(np.array(value, np.dtype(dtype)))


def _bias(b: GraphBuilder, bias: str | None) -> list[str]:
    """A bias that does something: all zeros (a fresh network's) is none."""
    array = b.array(bias) if bias else None
    return [] if bias is None or (array is not None and not array.any()) else [bias]


def _pairs(values: Sequence[int] | int, n: int) -> tuple[int, ...]:
    values = [values] if isinstance(values, int) else list(values)
    return tuple(values * n if len(values) == 1 else values)


def _axes(dims: Any, rank: int) -> list[int]:
    return [d % rank for d in ([dims] if isinstance(dims, int) else dims)] if rank else []


# -- convolution, matrix products, normalisation ---------------------------------------------------------------------


@_translation("conv1d", "conv2d", "conv3d")
def _conv(
    b: GraphBuilder,
    out: Out,
    x: str,
    weight: str,
    bias: str | None,
    stride: Sizes,
    padding: Sizes | str,
    dilation: Sizes,
    groups: int,
) -> str:
    n = len(out.shape) - 2
    kernel, dilation = b.shape(weight)[2:], _pairs(dilation, n)
    if isinstance(padding, str):
        total = [d * (k - 1) if padding == "same" else 0 for k, d in zip(kernel, dilation, strict=True)]
        pads = (*(t // 2 for t in total), *(t - t // 2 for t in total))
    else:
        pads = _pairs(padding, n) * 2
    x, pads = _absorb_padding(b, x, pads)
    attributes = {
        "dilations": dilation,
        "group": groups,
        "kernel_shape": kernel,
        "pads": pads,
        "strides": _pairs(stride, n),
    }
    return b.emit("Conv", [x, weight, *_bias(b, bias)], out.shape, out.dtype, **attributes)


def _absorb_padding(b: GraphBuilder, x: str, pads: tuple[int, ...]) -> tuple[str, tuple[int, ...]]:
    """A zero padding of the spatial axes before a convolution becomes the convolution's own."""
    pad = b.producer(x)
    if pad is None or pad.operator != "Pad" or pad.attribute("mode") != "constant":
        return x, pads
    source, before_after, *value = pad.inputs
    amounts = np.asarray(b.array(before_after)).tolist()
    rank = len(amounts) // 2
    if value or min(amounts) < 0 or any(amounts[axis] or amounts[rank + axis] for axis in (0, 1)):
        return x, pads
    spatial = amounts[2:rank] + amounts[rank + 2 :]
    return source, tuple(p + a for p, a in zip(pads, spatial, strict=True))


@_translation("conv_transpose2d", "conv_transpose1d")
def _conv_transpose(
    b: GraphBuilder,
    out: Out,
    x: str,
    weight: str,
    bias: str | None,
    stride: Sizes,
    padding: Sizes,
    output_padding: Sizes,
    groups: int,
    dilation: Sizes,
) -> str:
    n = len(out.shape) - 2
    attributes = {
        "dilations": _pairs(dilation, n),
        "group": groups,
        "kernel_shape": b.shape(weight)[2:],
        "output_padding": _pairs(output_padding, n),
        "pads": _pairs(padding, n) * 2,
        "strides": _pairs(stride, n),
    }
    return b.emit("ConvTranspose", [x, weight, *_bias(b, bias)], out.shape, out.dtype, **attributes)


@_translation("linear")
def _linear(b: GraphBuilder, out: Out, x: str, weight: str, bias: str | None) -> str:
    if len(b.shape(x)) == 2:
        inputs = [x, weight, *_bias(b, bias)]
        return b.emit("Gemm", inputs, out.shape, out.dtype, alpha=1.0, beta=1.0, transA=0, transB=1)
    array = b.array(weight)
    if array is None:
        raise Untranslatable("linear with a computed weight")
    product = b.emit("MatMul", [x, b.constant(array.T, f"{weight}.T")], out.shape, out.dtype)
    return b.emit("Add", [product, bias], out.shape, out.dtype) if bias else product


@_translation("matmul", "mm", "bmm")
def _matmul(b: GraphBuilder, out: Out, x: str, other: str = "", mat2: str = "") -> str:
    return b.emit("MatMul", [x, other or mat2], out.shape, out.dtype)


@_translation("addmm")
def _addmm(b: GraphBuilder, out: Out, x: str, mat1: str, mat2: str, beta: float, alpha: float) -> str:
    attributes = {"alpha": float(alpha), "beta": float(beta), "transA": 0, "transB": 0}
    return b.emit("Gemm", [mat1, mat2, x], out.shape, out.dtype, **attributes)


@_translation("einsum")
def _einsum(b: GraphBuilder, out: Out, equation: str, tensors: Sequence[str], path: object) -> str:
    return b.emit("Einsum", tensors, out.shape, out.dtype, equation=equation)


@_translation("scaled_dot_product_attention")
def _attention(
    b: GraphBuilder,
    out: Out,
    query: str,
    key: str,
    value: str,
    attn_mask: str | None,
    dropout_p: float,
    is_causal: bool,
    scale: float | None,
    enable_gqa: bool,
    x: object = None,
) -> str:
    shape, dtype = b.shape(key), out.dtype
    if len(shape) != 4 or enable_gqa or (attn_mask and b.values[attn_mask].dtype != dtype):
        raise Untranslatable("attention of this form")
    folded, swapped = (math.prod(shape[:-2]), *shape[-2:]), (math.prod(shape[:-2]), shape[-1], shape[-2])
    key = b.emit("Reshape", [key, b.ints([-1, *shape[-2:]])], folded, dtype, allowzero=0)
    key = b.emit("Transpose", [key], swapped, dtype, perm=(0, 2, 1))
    shape = (*shape[:-2], shape[-1], shape[-2])
    key = b.emit("Reshape", [key, b.ints(shape)], shape, dtype, allowzero=0)
    size = math.sqrt(scale if scale is not None else 1 / math.sqrt(b.shape(query)[-1]))
    size = b.constant(np.array([size], np.dtype(dtype)))
    query = b.emit("Mul", [query, size], b.shape(query), dtype)
    key = b.emit("Mul", [key, size], shape, dtype)
    scores_shape = (*out.shape[:-1], shape[-1])
    scores = b.emit("MatMul", [query, key], scores_shape, dtype)
    if is_causal:
        attn_mask = b.constant(np.triu(np.full(scores_shape[-2:], -np.inf, np.dtype(dtype)), 1), "causal_mask")
    if attn_mask:
        scores = b.emit("Add", [scores, attn_mask], scores_shape, dtype)
    weights = b.emit("Softmax", [scores], scores_shape, dtype, axis=-1)
    return b.emit("MatMul", [weights, value], out.shape, dtype)


@_translation("batch_norm")
def _batch_norm(
    b: GraphBuilder,
    out: Out,
    x: str,
    weight: str | None,
    bias: str | None,
    running_mean: str | None,
    running_var: str | None,
    training: bool,
    momentum: float,
    eps: float,
    cudnn_enabled: object,
    alone: bool,
) -> str:
    if training or running_mean is None or running_var is None:
        raise Untranslatable("batch normalisation by the batch's own statistics")
    channels = b.shape(running_mean)
    scale = b.array(weight) if weight else np.ones(channels, np.float32)
    shift = b.array(bias) if bias else np.zeros(channels, np.float32)
    mean, variance = b.array(running_mean), b.array(running_var)
    conv = b.producer(x)
    if alone and conv is not None and conv.operator == "Conv" and b.array(conv.inputs[1]) is not None:
        w, *rest = (torch.as_tensor(np.asarray(b.array(name))) for name in conv.inputs[1:])
        mean, variance, scale, shift = (torch.as_tensor(np.asarray(a)) for a in (mean, variance, scale, shift))
        fused = torch.nn.utils.fuse_conv_bn_weights(w, rest[0] if rest else None, mean, variance, eps, scale, shift)
        names = [b.constant(part.detach().numpy(), f"{b.scope}.folded") for part in fused]
        return b.emit("Conv", [conv.inputs[0], names[0], *_bias(b, names[1])], out.shape, out.dtype, **conv.attributes)
    names = [b.constant(np.asarray(a)) for a in (scale, shift)]
    return b.emit(
        "BatchNormalization", [x, *names, running_mean, running_var], out.shape, out.dtype,
        epsilon=eps, momentum=1 - momentum, training_mode=0,
    )  # fmt: skip


@_translation("layer_norm")
def _layer_norm(
    b: GraphBuilder,
    out: Out,
    x: str,
    normalized_shape: Sequence[int],
    weight: str | None,
    bias: str | None,
    eps: float,
    cudnn_enable: object,
) -> str:
    weight = weight or b.constant(np.ones(normalized_shape, np.dtype(out.dtype)))
    inputs = [x, weight] + ([bias] if bias else [])
    return b.emit(
        "LayerNormalization", inputs, out.shape, out.dtype, axis=-len(normalized_shape), epsilon=eps, stash_type=1
    )


def _softmax(name: str) -> Translation:
    def function(b: GraphBuilder, out: Out, x: str, dim: int, dtype: object) -> str:
        return b.emit(name, [x], out.shape, out.dtype, axis=dim)

    return function


TRANSLATIONS.update({"softmax": _softmax("Softmax"), "log_softmax": _softmax("LogSoftmax")})


# -- element-wise ----------------------------------------------------------------------------------------------------

_UNARY = {
    "abs": "Abs", "ceil": "Ceil", "cos": "Cos", "erf": "Erf", "exp": "Exp", "floor": "Floor", "hardswish": "HardSwish",
    "log": "Log", "mish": "Mish", "neg": "Neg", "reciprocal": "Reciprocal", "relu": "Relu", "round": "Round",
    "sigmoid": "Sigmoid", "sin": "Sin", "sqrt": "Sqrt", "tanh": "Tanh",
}  # fmt: skip


def _unary(name: str) -> Translation:
    def function(b: GraphBuilder, out: Out, x: str, **_: object) -> str:
        return b.emit(name, [x], out.shape, out.dtype)

    return function


TRANSLATIONS.update({name: _unary(onnx) for name, onnx in _UNARY.items()})


@_translation("silu")
def _silu(b: GraphBuilder, out: Out, x: str) -> str:
    return b.emit("Mul", [x, b.emit("Sigmoid", [x], out.shape, out.dtype)], out.shape, out.dtype)


@_translation("rsqrt")
def _rsqrt(b: GraphBuilder, out: Out, x: str) -> str:
    return b.emit("Reciprocal", [b.emit("Sqrt", [x], out.shape, out.dtype)], out.shape, out.dtype)


@_translation("gelu")
def _gelu(b: GraphBuilder, out: Out, x: str, approximate: str) -> str:
    return b.emit("Gelu", [x], out.shape, out.dtype, approximate=approximate)


@_translation("hardsigmoid")
def _hardsigmoid(b: GraphBuilder, out: Out, x: str) -> str:
    return b.emit("HardSigmoid", [x], out.shape, out.dtype, alpha=1 / 6, beta=0.5)


@_translation("leaky_relu")
def _leaky_relu(b: GraphBuilder, out: Out, x: str, negative_slope: float) -> str:
    return b.emit("LeakyRelu", [x], out.shape, out.dtype, alpha=float(negative_slope))


@_translation("elu")
def _elu(b: GraphBuilder, out: Out, x: str, alpha: float, scale: float, input_scale: float) -> str:
    if scale != 1 or input_scale != 1:
        raise Untranslatable("scaled elu")
    return b.emit("Elu", [x], out.shape, out.dtype, alpha=float(alpha))


@_translation("clamp", "hardtanh", "relu6")
def _clip(
    b: GraphBuilder, out: Out, x: str, min: Number = 0, max: Number = 6, min_val: Number = None, max_val: Number = None
) -> str:
    low, high = (min, max) if min_val is None else (min_val, max_val)
    if isinstance(low, str) or isinstance(high, str):
        raise Untranslatable("clamp between tensors")
    inputs = [x, "" if low is None else _scalar(b, low, out.dtype)]
    return b.emit("Clip", inputs + ([] if high is None else [_scalar(b, high, out.dtype)]), out.shape, out.dtype)


def _binary(name: str, *, reverse: bool = False) -> Translation:
    def function(
        b: GraphBuilder,
        out: Out,
        x: Operand,
        other: Operand = None,
        exponent: Operand = None,
        alpha: float = 1,
        rounding_mode: str | None = None,
    ) -> str:
        second = exponent if other is None else other
        inputs = [_scalar(b, operand, out.dtype) for operand in (x, second)]
        if rounding_mode is not None or any(b.values[i].dtype != out.dtype for i in inputs):
            raise Untranslatable(f"{name} of mixed types")
        if alpha != 1:
            inputs[1] = b.emit("Mul", [inputs[1], _scalar(b, alpha, out.dtype)], b.shape(inputs[1]), out.dtype)
        return b.emit(name, inputs[::-1] if reverse else inputs, out.shape, out.dtype)

    return function


for _name, _onnx in [
    ("add", "Add"), ("sub", "Sub"), ("mul", "Mul"), ("div", "Div"), ("pow", "Pow"), ("maximum", "Max"),
    ("minimum", "Min"),
]:  # fmt: skip
    TRANSLATIONS[_name] = _binary(_onnx)
TRANSLATIONS["rsub"] = _binary("Sub", reverse=True)


# -- pooling and reductions ------------------------------------------------------------------------------------------


@_translation("max_pool2d", "max_pool1d")
def _max_pool(
    b: GraphBuilder,
    out: Out,
    x: str,
    kernel_size: Sizes,
    stride: Sizes | None,
    padding: Sizes,
    dilation: Sizes,
    ceil_mode: bool,
) -> str:
    n = len(out.shape) - 2
    attributes = {"ceil_mode": int(ceil_mode), "dilations": _pairs(dilation, n), "kernel_shape": _pairs(kernel_size, n)}
    attributes |= {"pads": _pairs(padding, n) * 2, "strides": _pairs(stride or kernel_size, n), "storage_order": 0}
    return b.emit("MaxPool", [x], out.shape, out.dtype, **attributes)


@_translation("avg_pool2d", "avg_pool1d")
def _average_pool(
    b: GraphBuilder,
    out: Out,
    x: str,
    kernel_size: Sizes,
    stride: Sizes | None,
    padding: Sizes,
    ceil_mode: bool,
    count_include_pad: bool,
    divisor_override: int | None = None,
) -> str:
    if divisor_override is not None:
        raise Untranslatable("average pooling with its own divisor")
    n = len(out.shape) - 2
    attributes = {"ceil_mode": int(ceil_mode), "count_include_pad": int(count_include_pad)}
    attributes |= {"kernel_shape": _pairs(kernel_size, n), "pads": _pairs(padding, n) * 2}
    return b.emit("AveragePool", [x], out.shape, out.dtype, **attributes, strides=_pairs(stride or kernel_size, n))


@_translation("adaptive_avg_pool2d", "adaptive_avg_pool1d")
def _adaptive_average_pool(b: GraphBuilder, out: Out, x: str, output_size: object) -> str:
    n, sizes = len(out.shape) - 2, b.shape(x)[2:]
    if set(out.shape[2:]) == {1}:
        axes = b.ints([-1, -2] if n == 2 else [-1])
        return b.emit("ReduceMean", [x, axes], out.shape, out.dtype, keepdims=1, noop_with_empty_axes=0)
    if any(size % wanted for size, wanted in zip(sizes, out.shape[2:], strict=True)):
        raise Untranslatable("adaptive pooling to a size that does not divide the input's")
    kernel = tuple(size // wanted for size, wanted in zip(sizes, out.shape[2:], strict=True))
    attributes = {
        "ceil_mode": 0,
        "count_include_pad": 1,
        "kernel_shape": kernel,
        "pads": (0,) * 2 * n,
        "strides": kernel,
    }
    return b.emit("AveragePool", [x], out.shape, out.dtype, **attributes)


def _reduction(name: str) -> Translation:
    def function(
        b: GraphBuilder, out: Out, x: str, dim: Axes = None, keepdim: bool = False, dtype: object = None
    ) -> str:
        attributes = {"keepdims": int(keepdim), "noop_with_empty_axes": 0}
        inputs = [x] if dim is None or dim == [] else [x, b.ints([dim] if isinstance(dim, int) else dim)]
        return b.emit(name, inputs, out.shape, out.dtype, **attributes)

    return function


for _name, _onnx in [("mean", "ReduceMean"), ("sum", "ReduceSum"), ("amax", "ReduceMax"), ("amin", "ReduceMin")]:
    TRANSLATIONS[_name] = _reduction(_onnx)


# -- moving and reshaping --------------------------------------------------------------------------------------------


@_translation("view", "reshape", "flatten", "unflatten", "_unsafe_view")
def _reshape(b: GraphBuilder, out: Out, x: str, **_: object) -> str:
    if b.shape(x) == out.shape:
        return x
    if (before := b.producer(x)) is not None and before.operator == "Reshape":
        x = before.inputs[0]
    return b.emit("Reshape", [x, b.ints(out.shape)], out.shape, out.dtype, allowzero=1)


@_translation("permute", "transpose", "t")
def _transpose(
    b: GraphBuilder, out: Out, x: str, dims: Axes = None, dim0: int | None = None, dim1: int | None = None
) -> str:
    rank = len(out.shape)
    perm = _axes(dims, rank) if dims is not None else list(range(rank))
    if dims is None and rank > 1:
        i, j = (0, 1) if dim0 is None else _axes([dim0, dim1], rank)
        perm[i], perm[j] = perm[j], perm[i]
    if (before := b.producer(x)) is not None and before.operator == "Transpose":
        x, perm = before.inputs[0], [before.attribute("perm")[axis] for axis in perm]
    if perm == list(range(rank)):
        return x
    return b.emit("Transpose", [x], out.shape, out.dtype, perm=tuple(perm))


@_translation("unsqueeze")
def _unsqueeze(b: GraphBuilder, out: Out, x: str, dim: int) -> str:
    axes = [dim % len(out.shape)]
    if (before := b.producer(x)) is not None and before.operator == "Unsqueeze":
        inner = np.asarray(b.array(before.inputs[1])).tolist()
        kept = [axis for axis in range(len(out.shape)) if axis not in axes]
        x, axes = before.inputs[0], sorted(axes + [kept[axis] for axis in inner])
    return b.emit("Unsqueeze", [x, b.ints(axes)], out.shape, out.dtype)


@_translation("squeeze")
def _squeeze(b: GraphBuilder, out: Out, x: str, dim: Axes = None) -> str:
    rank = len(b.shape(x))
    axes = range(rank) if dim is None else _axes(dim, rank)
    axes = [a for a in axes if b.shape(x)[a] == 1]
    return b.emit("Squeeze", [x, b.ints(axes)], out.shape, out.dtype) if axes else x


@_translation("expand", "expand_as")
def _expand(
    b: GraphBuilder, out: Out, x: str, size: object = None, implicit: bool = False, other: object = None
) -> str:
    return x if b.shape(x) == out.shape else b.emit("Expand", [x, b.ints(out.shape)], out.shape, out.dtype)


@_translation(
    "contiguous", "clone", "detach", "dropout", "alias", "lift_fresh_copy", "feature_dropout", "alpha_dropout"
)
def _identity(b: GraphBuilder, out: Out, x: str, **_: object) -> str:
    return x


@_translation("to", "_to_copy", "type_as")
def _cast(b: GraphBuilder, out: Out, x: str, **_: object) -> str:
    if b.values[x].dtype == out.dtype:
        return x
    import onnx

    to = onnx.helper.np_dtype_to_tensor_dtype(np.dtype(out.dtype))
    return b.emit("Cast", [x], out.shape, out.dtype, to=to)


@_translation("cat")
def _concat(b: GraphBuilder, out: Out, tensors: Sequence[str], dim: int) -> str:
    return b.emit("Concat", tensors, out.shape, out.dtype, axis=dim) if len(tensors) > 1 else tensors[0]


@_translation("stack")
def _stack(b: GraphBuilder, out: Out, tensors: Sequence[str], dim: int) -> str:
    axis = dim % len(out.shape)
    shape = (*out.shape[:axis], 1, *out.shape[axis + 1 :])
    parts = [b.emit("Unsqueeze", [x, b.ints([axis])], shape, out.dtype) for x in tensors]
    return b.emit("Concat", parts, out.shape, out.dtype, axis=axis)


@_translation("split", "split_with_sizes", "chunk")
def _split(
    b: GraphBuilder,
    out: Out,
    x: str,
    dim: int,
    split_size: object = None,
    split_sizes: object = None,
    chunks: object = None,
) -> tuple[str, ...]:
    axis = dim % len(out.shape)
    sizes = [part.shape[axis] for part in out.parts]
    if split_sizes is None and len(set(sizes)) == 1:
        return b.emit_parts("Split", [x], out.parts, axis=axis, num_outputs=len(sizes))
    return b.emit_parts("Split", [x, b.ints(sizes)], out.parts, axis=axis)


@_translation("unbind")
def _unbind(b: GraphBuilder, out: Out, x: str, dim: int) -> tuple[str, ...]:
    axis = dim % len(b.shape(x))
    shape = (*b.shape(x)[:axis], 1, *b.shape(x)[axis + 1 :])
    parts: list[str] = []
    for i, part in enumerate(out.parts):
        piece = b.emit("Slice", [x, *map(b.ints, ([i], [i + 1], [axis]))], shape, out.dtype)
        parts.append(b.emit("Squeeze", [piece, b.ints([axis])], part.shape, out.dtype))
    return tuple(parts)


@_translation("select")
def _select(b: GraphBuilder, out: Out, x: str, dim: int, index: int) -> str:
    axis = dim % len(b.shape(x))
    return b.emit(
        "Gather", [x, b.constant(np.array(index % b.shape(x)[axis], np.int64))], out.shape, out.dtype, axis=axis
    )


@_translation("slice")
def _slice(b: GraphBuilder, out: Out, x: str, dim: int, start: int | None, end: int | None, step: int) -> str:
    if b.shape(x) == out.shape:
        return x
    end = np.iinfo(np.int64).max if end is None else end
    return b.emit("Slice", [x, *map(b.ints, ([start or 0], [end], [dim], [step]))], out.shape, out.dtype)


@_translation("embedding")
def _embedding(b: GraphBuilder, out: Out, weight: str, indices: str, **_: object) -> str:
    return b.emit("Gather", [weight, indices], out.shape, out.dtype, axis=0)


@_translation("pad", "constant_pad_nd")
def _pad(
    b: GraphBuilder, out: Out, x: str, pad: Sequence[int], mode: str = "constant", value: float | None = None
) -> str:
    rank = len(out.shape)
    before, after = [0] * rank, [0] * rank
    for i in range(len(pad) // 2):
        before[rank - 1 - i], after[rank - 1 - i] = pad[2 * i], pad[2 * i + 1]
    if b.shape(x) == out.shape and not any(pad):
        return x
    mode = {"constant": "constant", "reflect": "reflect", "replicate": "edge", "circular": "wrap"}[mode]
    inputs = [x, b.ints(before + after)] + ([_scalar(b, value, out.dtype)] if value else [])
    return b.emit("Pad", inputs, out.shape, out.dtype, mode=mode)


@_translation("pixel_shuffle")
def _pixel_shuffle(b: GraphBuilder, out: Out, x: str, upscale_factor: int) -> str:
    return b.emit("DepthToSpace", [x], out.shape, out.dtype, blocksize=upscale_factor, mode="CRD")


@_translation("channel_shuffle")
def _channel_shuffle(b: GraphBuilder, out: Out, x: str, groups: int) -> str:
    batch, channels, *rest = out.shape
    grouped, shuffled = ((batch, i, j, *rest) for i, j in [(groups, channels // groups), (channels // groups, groups)])
    x = b.emit("Reshape", [x, b.ints(grouped)], grouped, out.dtype, allowzero=1)
    x = b.emit("Transpose", [x], shuffled, out.dtype, perm=(0, 2, 1, *range(3, len(grouped))))
    return b.emit("Reshape", [x, b.ints(out.shape)], out.shape, out.dtype, allowzero=1)
