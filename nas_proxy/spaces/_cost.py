"""What the layers of a convolutional network cost: multiply-accumulates, parameters, activation traffic, kernels.

Batch normalisation and activations are taken as fused into the convolution before them, as every inference runtime
does; their parameters count. Activations are 4 bytes (float32), one image.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from nas_proxy.spaces._base import FeatureColumn

__all__ = [
    "TALLY",
    "LayerTally",
    "add",
    "conv",
    "halve",
    "inverted_residual",
    "linear",
    "pool",
    "scale",
    "shuffle",
    "tally",
]

_WITH_MACS = {
    "conv": "dense convolutions of a kernel larger than 1x1",
    "pointwise": "dense 1x1 convolutions",
    "grouped": "1x1 convolutions in groups",
    "depthwise": "depthwise convolutions",
    "linear": "fully connected layers",
}
KINDS = _WITH_MACS | {
    "pool": "poolings",
    "add": "element-wise additions",
    "shuffle": "channel shuffles",
    "scale": "multiplications of each channel by a value",
}
BYTES_PER_VALUE = 4
TALLY = (
    FeatureColumn("macs", "multiply-accumulates of all layers", "MAC"),
    FeatureColumn("parameters", "weights, biases and batch-normalisation scales and shifts", "parameters"),
    FeatureColumn("bytes", "activations read and written by all layers", "bytes"),
    FeatureColumn("kernels", "layers executed", "layers"),
    *(FeatureColumn(f"macs_{kind}", f"multiply-accumulates of {what}", "MAC") for kind, what in _WITH_MACS.items()),
    *(
        FeatureColumn(f"bytes_{kind}", f"activations read and written by {what}", "bytes")
        for kind, what in KINDS.items()
    ),
    *(FeatureColumn(f"kernels_{kind}", f"number of {what}", "layers") for kind, what in KINDS.items()),
)
_POSITION = {column.name: i for i, column in enumerate(TALLY)}


@dataclass(frozen=True)
class LayerTally:
    """One layer as a device executes it. ``bytes_read`` and ``bytes_written`` are activations only."""

    kind: str
    macs: int
    parameters: int
    bytes_read: int
    bytes_written: int


def halve(size: int, stride: int = 2) -> int:
    """Image size after a padded convolution of a stride."""
    return -(-size // stride)


def conv(
    c_in: int, c_out: int, kernel: int, size: int, stride: int = 1, groups: int = 1, batch_norm: bool = True
) -> LayerTally:
    """A padded square convolution without bias on ``size`` x ``size`` inputs, and its batch normalisation."""
    size_out = halve(size, stride)
    kind = ("pointwise" if kernel == 1 else "conv") if groups == 1 else "depthwise" if groups == c_in else "grouped"
    weights = c_out * (c_in // groups) * kernel**2
    return LayerTally(
        kind=kind,
        macs=weights * size_out**2,
        parameters=weights + (2 * c_out if batch_norm else 0),
        bytes_read=BYTES_PER_VALUE * c_in * size**2,
        bytes_written=BYTES_PER_VALUE * c_out * size_out**2,
    )


def inverted_residual(
    c_in: int, c_inner: int, c_out: int, kernel: int, size: int, stride: int = 1, groups: int = 1, c_squeezed: int = 0
) -> list[LayerTally]:
    """A mobile block: 1x1 convolution to ``c_inner`` channels, depthwise convolution, squeeze-and-excitation where
    ``c_squeezed`` is given, 1x1 convolution to ``c_out``, added to the input where the shape stays.

    With ``groups`` the 1x1 convolutions are in groups and the inner channels are shuffled.
    """
    size_out = halve(size, stride)
    layers = [
        conv(c_in, c_inner, 1, size, groups=groups),
        conv(c_inner, c_inner, kernel, size, stride, groups=c_inner),
        conv(c_inner, c_out, 1, size_out, groups=groups),
    ]
    if groups > 1:
        layers.append(shuffle(c_inner, size))
    if c_squeezed:
        layers += [pool(c_inner, size_out, 1), linear(c_inner, c_squeezed), linear(c_squeezed, c_inner)]
        layers.append(scale(c_inner, size_out))
    if stride == 1 and c_in == c_out:
        layers.append(add(c_out, size_out))
    return layers


def linear(c_in: int, c_out: int) -> LayerTally:
    """A fully connected layer with bias."""
    return LayerTally("linear", c_in * c_out, c_in * c_out + c_out, BYTES_PER_VALUE * c_in, BYTES_PER_VALUE * c_out)


def pool(channels: int, size: int, size_out: int) -> LayerTally:
    """A pooling from ``size`` x ``size`` to ``size_out`` x ``size_out``."""
    return LayerTally("pool", 0, 0, BYTES_PER_VALUE * channels * size**2, BYTES_PER_VALUE * channels * size_out**2)


def add(channels: int, size: int) -> LayerTally:
    """The sum of two tensors."""
    values = BYTES_PER_VALUE * channels * size**2
    return LayerTally("add", 0, 0, 2 * values, values)


def shuffle(channels: int, size: int) -> LayerTally:
    """A channel shuffle: a transposition of the whole tensor."""
    values = BYTES_PER_VALUE * channels * size**2
    return LayerTally("shuffle", 0, 0, values, values)


def scale(channels: int, size: int) -> LayerTally:
    """Each channel multiplied by a value of its own."""
    values = BYTES_PER_VALUE * channels * size**2
    return LayerTally("scale", 0, 0, values, values)


def tally(layers: Iterable[LayerTally]) -> NDArray[np.float64]:
    """Sums over layers, one value for each of ``TALLY``."""
    total = np.zeros(len(TALLY))
    for layer in layers:
        for name, amount in [
            ("macs", layer.macs),
            ("parameters", layer.parameters),
            ("bytes", layer.bytes_read + layer.bytes_written),
            ("kernels", 1),
            (f"macs_{layer.kind}", layer.macs),
            (f"bytes_{layer.kind}", layer.bytes_read + layer.bytes_written),
            (f"kernels_{layer.kind}", 1),
        ]:
            if name in _POSITION:
                total[_POSITION[name]] += amount
    return total
