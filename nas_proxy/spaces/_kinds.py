"""Kinds of kernels that a trace tells apart."""

from __future__ import annotations

__all__ = ["COMPUTE", "KINDS"]

COMPUTE = {
    "conv": "dense convolutions of a kernel larger than 1x1",
    "pointwise": "dense 1x1 convolutions",
    "grouped": "convolutions in groups",
    "depthwise": "depthwise convolutions",
    "linear": "fully connected layers",
    "matmul": "products of two activations",
    "attention": "fused attentions",
}
KINDS = COMPUTE | {
    "norm": "normalisations",
    "elementwise": "element-wise operations and activations",
    "softmax": "softmaxes",
    "reduction": "poolings and other reductions",
    "movement": "copies, concatenations, paddings, gathers and resizings",
}
