"""What is mapped: one layer as a nest of eight loops over three tensors."""

from __future__ import annotations

import math
import re
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from nas_proxy.errors import InputError, UnknownNameError

__all__ = ["DIMS", "RELEVANT", "TENSORS", "Layer", "parse_layer"]

#: Loop dimensions: batch, groups, output channels and input channels *of one group*, output rows and columns, kernel
#: rows and columns. A depthwise convolution has groups=channels and k=c=1, a batched GEMM has groups=batch.
DIMS = ("N", "G", "K", "C", "P", "Q", "R", "S")
TENSORS = ("W", "I", "O")
#: Which dimensions move which tensor (rows: W, I, O).
RELEVANT: NDArray[np.bool_] = np.array([[d in dims for d in DIMS] for dims in ("GKCRS", "NGCPQRS", "NGKPQ")])

_FORMS = {
    "conv": "KxCxPxQxRxS",
    "dwconv": "CxPxQxRxS",
    "gemm": "MxNxK",
    "fc": "CxK",
}
_OPTIONS = ("batch", "dilation", "groups", "stride")


@dataclass(frozen=True)
class Layer:
    """A convolution, GEMM or fully connected layer, without padding: the input is as large as the output needs.

    Attributes:
        kind: ``"conv"``, ``"dwconv"``, ``"gemm"`` or ``"fc"``; accelerators may refuse some kinds.
        n, g, k, c, p, q, r, s: loop bounds, see :data:`DIMS`. P and Q are *output* rows and columns.
        stride, dilation: rows, columns.
        name: for tables; layers that differ in nothing else are equal.

    Raises:
        InputError: a bound, stride or dilation is not a positive integer.
    """

    kind: str = "conv"
    n: int = 1
    g: int = 1
    k: int = 1
    c: int = 1
    p: int = 1
    q: int = 1
    r: int = 1
    s: int = 1
    stride: tuple[int, int] = (1, 1)
    dilation: tuple[int, int] = (1, 1)
    name: str = field(default="", compare=False)

    def __post_init__(self) -> None:
        if self.kind not in _FORMS:
            raise UnknownNameError("layer kind", self.kind, _FORMS)
        numbers = dict(zip(DIMS, self._bounds, strict=True))
        for axes in ("stride", "dilation"):
            pair = getattr(self, axes)
            if not isinstance(pair, tuple) or len(pair) != 2:
                raise InputError(f"layer {self}: {axes} must be a pair (rows, columns), found {pair!r}.")
            numbers |= {f"{axes} of rows": pair[0], f"{axes} of columns": pair[1]}
        for what, value in numbers.items():
            if isinstance(value, bool) or not isinstance(value, (int, np.integer)) or value < 1:
                raise InputError(f"layer {self}: {what} must be a positive integer, found {value!r}.")

    @property
    def _bounds(self) -> tuple[int, ...]:
        return (self.n, self.g, self.k, self.c, self.p, self.q, self.r, self.s)

    @property
    def bounds(self) -> NDArray[np.int64]:
        """Loop bounds in the order of :data:`DIMS`, of shape ``(8,)``."""
        return np.array(self._bounds, dtype=np.int64)

    @property
    def macs(self) -> int:
        """Multiply-accumulates: the product of the bounds."""
        return math.prod(self._bounds)

    @property
    def words(self) -> tuple[int, int, int]:
        """Elements of W, I (the bounding box of what is read) and O."""
        rows = (self.p - 1) * self.stride[0] + (self.r - 1) * self.dilation[0] + 1
        columns = (self.q - 1) * self.stride[1] + (self.s - 1) * self.dilation[1] + 1
        return (
            self.g * self.k * self.c * self.r * self.s,
            self.n * self.g * self.c * rows * columns,
            self.n * self.g * self.k * self.p * self.q,
        )

    @property
    def used_words(self) -> tuple[int, int, int]:
        """Elements of W, I and O that every mapping has to move: a stride may skip some of :attr:`words`."""
        kernels = zip((self.p, self.q), (self.r, self.s), self.stride, self.dilation, strict=True)
        rows, columns = (
            len(np.unique(np.add.outer(np.arange(size) * stride, np.arange(taps) * dilation)))
            for size, taps, stride, dilation in kernels
        )
        weights, _, outputs = self.words
        return weights, self.n * self.g * self.c * rows * columns, outputs

    def __str__(self) -> str:
        if self.name:
            return self.name
        loops = " ".join(f"{d}={b}" for d, b in zip(DIMS, self._bounds, strict=True) if b != 1)
        return f"{self.kind} {loops or 'N=1'}" + (f" stride={self.stride}" if self.stride != (1, 1) else "")


def parse_layer(text: str) -> Layer:
    """A layer from text: ``conv:64x64x56x56x3x3`` (K, C, P, Q, R, S), ``dwconv:144x56x56x3x3`` (C, P, Q, R, S),
    ``gemm:128x3072x768`` (M, N, K), ``fc:4096x1000`` (inputs, outputs); then ``,stride=2``, ``,batch=4``,
    ``,groups=8``, ``,dilation=2``. In a grouped convolution K and C count the channels of *all* groups.

    Raises:
        UnknownNameError: the kind or an option is unknown; the message names the closest.
        InputError: the text has another form (the message shows the right one), or a bound is not positive.
    """
    head, *rest = text.strip().split(",")
    kind, colon, sizes = head.partition(":")
    if not colon:
        raise InputError(f"layer {text!r}: expected KIND:SIZES such as conv:64x64x56x56x3x3 (KxCxPxQxRxS).")
    if kind not in _FORMS:
        raise UnknownNameError("layer kind", kind, _FORMS)
    form = _FORMS[kind]
    parts = sizes.split("x")
    if len(parts) != form.count("x") + 1 or not all(re.fullmatch(r"[+-]?\d+", part) for part in parts):
        raise InputError(f"layer {text!r}: {kind} expects {form}, whole numbers, found {sizes!r}.")
    options = {"batch": 1, "dilation": 1, "groups": 1, "stride": 1}
    for item in rest:
        key, _, value = item.partition("=")
        if key not in options:
            raise UnknownNameError("layer option", key, _OPTIONS)
        if not re.fullmatch(r"[+-]?\d+", value):
            raise InputError(f"layer {text!r}: {key} must be a whole number, found {value!r}.")
        options[key] = int(value)
    for what, value in [*options.items(), *zip(form.split("x"), map(int, parts), strict=True)]:
        if value < 1:
            raise InputError(f"layer {text!r}: {what} must be a positive integer, found {value}.")
    size = dict(zip(form.split("x"), map(int, parts), strict=True))
    n, groups = options["batch"], options["groups"]
    if kind == "gemm":
        return Layer("gemm", n=n, g=groups, p=size["M"], k=size["N"], c=size["K"])
    if kind == "fc":
        return Layer("fc", n=n, k=size["K"], c=size["C"])
    if kind == "dwconv":
        groups, k, c = size["C"], 1, 1
    else:
        k, c = size["K"], size["C"]
        if k % groups or c % groups:
            raise InputError(f"layer {text!r}: groups={groups} must divide K={k} and C={c}.")
        k, c = k // groups, c // groups
    return Layer(
        kind,
        n=n,
        g=groups,
        k=k,
        c=c,
        p=size["P"],
        q=size["Q"],
        r=size["R"],
        s=size["S"],
        stride=(options["stride"], options["stride"]),
        dilation=(options["dilation"], options["dilation"]),
    )
