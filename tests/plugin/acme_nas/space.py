"""A search space: five layers in a row."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import numpy as np
from torch import nn

from nas_proxy.errors import InputError
from nas_proxy.spaces import FeatureColumn, SearchSpace

KERNEL = {"c1": 1, "c3": 3, "skip": 0}
LAYERS, PIXELS = 5, 8 * 8


@dataclass(frozen=True)
class Strips(SearchSpace[str]):
    """Five convolutions in a row, of 1x1 or 3x3, or none.

    Attributes:
        width: channels of each layer.
    """

    width: int = 8

    name: ClassVar[str] = "strips"
    choices: ClassVar = {f"layer_{i}": tuple(KERNEL) for i in range(LAYERS)}
    feature_columns = (
        FeatureColumn("c1", "1x1 convolutions", "layers"),
        FeatureColumn("c3", "3x3 convolutions", "layers"),
        FeatureColumn("macs", "multiply-accumulates of the layers", "MAC"),
    )

    def encode(self, archs):
        return np.array([self._codes(arch) for arch in archs], dtype=int).reshape(-1, LAYERS)

    def _codes(self, arch):
        layers = arch.split("-") if isinstance(arch, str) else []
        if len(layers) != LAYERS or not set(layers) <= set(KERNEL):
            raise InputError(f"strips: expected {LAYERS} of {', '.join(KERNEL)} with dashes between, found {arch!r}.")
        return [list(KERNEL).index(layer) for layer in layers]

    def decode(self, codes):
        return ["-".join(list(KERNEL)[i] for i in code) for code in codes]

    def to_str(self, arch):
        self._codes(arch)
        return arch

    from_str = to_str

    def features(self, archs):
        kernels = np.array(list(KERNEL.values()))[self.encode(archs)]
        macs = (kernels**2).sum(axis=1) * self.width**2 * PIXELS
        return np.stack([(kernels == 1).sum(1), (kernels == 3).sum(1), macs], axis=1).astype(float)

    def build(self, arch, **parameters):
        kernels = [list(KERNEL.values())[i] for i in self._codes(arch)]
        width = parameters.get("width", self.width)
        body = [nn.Conv2d(width, width, k, padding=k // 2) if k else nn.Identity() for k in kernels]
        return nn.Sequential(
            nn.Conv2d(3, width, 1), *body, nn.ReLU(), nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(width, 10)
        )

    def input_shape(self, arch):
        return 3, 8, 8
