"""Spaces that need no network: one to be listed, one too large for that."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from nas_proxy.errors import InputError
from nas_proxy.spaces import SearchSpace
from nas_proxy.spaces._base import FeatureColumn


class Digits(SearchSpace[str]):
    """Texts of digits; more and larger digits take longer. A code whose digits are all the same is not valid."""

    name = "digits"

    def __init__(self, length: int, base: int) -> None:
        self.choices: Mapping[str, tuple[Any, ...]] = {f"digit_{i}": tuple(range(base)) for i in range(length)}
        self.feature_columns = (
            *(FeatureColumn(label, "a digit", "1") for label in self.choices),
            FeatureColumn("sum", "of the digits", "1"),
            FeatureColumn("twice", "the sum", "1"),
        )

    def encode(self, archs: Sequence[str]) -> NDArray[np.int64]:
        return np.array([[int(digit) for digit in self.from_str(arch)] for arch in archs], dtype=np.int64)

    def decode(self, codes: NDArray[np.integer]) -> list[str]:
        return ["".join(map(str, code)) for code in codes.tolist()]

    def to_str(self, arch: str) -> str:
        return self.from_str(arch)

    def from_str(self, text: str) -> str:
        if not isinstance(text, str) or len(text) != len(self.choices) or not text.isdigit():
            raise InputError(f"digits: expected {len(self.choices)} digits, found {text!r}.")
        return text

    def valid(self, codes: NDArray[np.integer]) -> NDArray[np.bool_]:
        return np.ptp(codes, axis=1) > 0

    def features(self, archs: Sequence[str]) -> NDArray[np.float64]:
        codes = self.encode(archs).astype(np.float64)
        return np.column_stack([codes, codes.sum(axis=1), 2 * codes.sum(axis=1)])

    def build(self, arch: str, **parameters: Any) -> Any:
        raise NotImplementedError

    def input_shape(self, arch: str) -> tuple[int, int, int]:
        raise NotImplementedError


class SumLatency:
    """Latency in ms: a constant plus a weighted sum of the digits."""

    def __init__(self, space: Digits, weights: float | Sequence[float] = 0.5) -> None:
        self.space = space
        self.weights = np.broadcast_to(weights, len(space.choices))

    def predict(self, archs: Sequence[str]) -> NDArray[np.float64]:
        return 1 + self.space.encode(archs) @ self.weights
