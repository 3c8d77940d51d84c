"""FBNet: 22 layers, each one of nine mobile blocks (Wu et al., CVPR 2019), as HW-NAS-Bench measures it.

A block is a 1x1 convolution that expands the channels, a depthwise convolution and a 1x1 convolution back; with
``g2`` the 1x1 convolutions are in two groups and the channels are shuffled between them. ``skip`` is nothing where
the shape stays, and a 1x1 convolution where it changes.
"""

# What a caller hands in is checked, whatever its annotation says.
# pyright: reportUnnecessaryIsInstance=false

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from nas_proxy.errors import InputError, from_extra
from nas_proxy.spaces._base import FeatureColumn, SearchSpace
from nas_proxy.spaces._cost import TALLY, LayerTally, conv, halve, inverted_residual, linear, pool, tally
from nas_proxy.spaces._fbnet_blocks import HEAD_CHANNELS, STEM_CHANNELS, Block, BlockPosition

if TYPE_CHECKING:
    import torch

__all__ = ["OPERATORS", "FBNet"]

OPERATORS = ("k3_e1", "k3_e1_g2", "k3_e3", "k3_e6", "k5_e1", "k5_e1_g2", "k5_e3", "k5_e6", "skip")
SKIP = OPERATORS.index("skip")
STAGES = ((16, 1, 1), (24, 4, 2), (32, 4, 2), (64, 4, 2), (112, 4, 1), (184, 4, 2), (352, 1, 1))
"""Channels, layers and stride of the first layer of each stage."""
_PER_STAGE = ("macs_pointwise", "macs_depthwise", "bytes_pointwise", "bytes_depthwise", "kernels")


@dataclass(frozen=True)
class FBNet(SearchSpace[tuple[int, ...]]):
    """FBNet: 22 layers, each one of nine mobile blocks.

    Architectures are 22 operator indices into ``OPERATORS``.

    Args:
        image_size: height and width of the input.
        classes: outputs of the classifier.
        input_channels: channels of the input.
    """

    image_size: int = 224
    classes: int = 1000
    input_channels: int = 3

    name: ClassVar[str] = "fbnet"
    choices = {f"layer_{i}": OPERATORS for i in range(sum(layers for _, layers, _ in STAGES))}  # noqa: RUF012

    @cached_property
    def positions(self) -> tuple[BlockPosition, ...]:
        """Channels, stride and size at each of the 22 layers."""
        found: list[BlockPosition] = []
        channels, size = STEM_CHANNELS, halve(self.image_size)
        for stage, (channels_out, layers, first_stride) in enumerate(STAGES):
            for layer in range(layers):
                found.append(BlockPosition(stage, channels, channels_out, first_stride if layer == 0 else 1, size))
                channels, size = channels_out, halve(size, found[-1].stride)
        return tuple(found)

    # -- encoding ----------------------------------------------------------------------------------------------------

    def encode(self, archs: Sequence[tuple[int, ...]]) -> NDArray[np.int64]:
        """As :meth:`SearchSpace.encode`."""
        try:
            codes = np.array(archs)
        except ValueError:
            codes = np.array([])  # of different lengths
        if len(archs) == 0:
            return np.zeros((0, len(self.choices)), dtype=np.int64)
        if (
            codes.shape != (len(archs), len(self.choices))
            or codes.dtype.kind not in "iu"
            or codes.min() < 0
            or codes.max() >= len(OPERATORS)
        ):
            for arch in archs:
                self._check(arch)
        return codes.astype(np.int64)

    def decode(self, codes: NDArray[np.integer]) -> list[tuple[int, ...]]:
        """As :meth:`SearchSpace.decode`."""
        return [tuple(code) for code in np.asarray(codes).tolist()]

    def to_str(self, arch: Sequence[int]) -> str:
        """Indices joined by commas."""
        self._check(arch)
        return ",".join(str(int(operator)) for operator in arch)

    def from_str(self, text: str) -> tuple[int, ...]:
        """As :meth:`SearchSpace.from_str`."""
        if not isinstance(text, str):
            raise InputError(f"fbnet: expected 22 operator indices joined by commas, found {text!r}.")
        parts = [part.strip() for part in text.strip().strip("()[]").split(",")]
        arch = tuple(
            int(part) if part.isdecimal() else OPERATORS.index(part) if part in OPERATORS else part for part in parts
        )
        self._check(arch)
        return tuple(int(operator) for operator in arch)

    def _check(self, arch: Any) -> None:
        if isinstance(arch, str) or not hasattr(arch, "__len__"):
            raise InputError(
                f"fbnet: expected a tuple of {len(self.choices)} operator indices, found {arch!r} "
                f"of type {type(arch).__name__}."
            )
        if len(arch) != len(self.choices):
            raise InputError(f"fbnet: expected {len(self.choices)} operator indices, found {len(arch)}: {arch!r}.")
        for position, operator in enumerate(arch):
            if not isinstance(operator, int | np.integer) or not 0 <= operator < len(OPERATORS):
                allowed = ", ".join(f"{i} ({name})" for i, name in enumerate(OPERATORS))
                raise InputError(f"fbnet: layer {position}: expected one of {allowed}, found {operator!r}.")

    # -- features ----------------------------------------------------------------------------------------------------

    @cached_property
    def feature_columns(self) -> tuple[FeatureColumn, ...]:  # pyright: ignore[reportIncompatibleVariableOverride]
        """Operators used, costs of the whole network, costs of each stage, depth."""
        units = {column.name: column for column in TALLY}
        stages = range(len(STAGES))
        return (
            *(FeatureColumn(f"count_{op}", f"{op} layers", "layers") for op in OPERATORS),
            *(TALLY[int(i)] for i in self._varying),
            *(
                FeatureColumn(f"stage{stage}_{name}", f"{units[name].meaning}, of stage {stage}", units[name].unit)
                for name in _PER_STAGE
                for stage in stages
            ),
            FeatureColumn("depth", "layers that are not skipped", "layers"),
        )

    @cached_property
    def _table(self) -> NDArray[np.float64]:
        """Cost of each operator at each layer, ``(22, 9, len(TALLY))``."""
        return np.array([[tally(layers(position, operator)) for operator in OPERATORS] for position in self.positions])

    @cached_property
    def _outside(self) -> NDArray[np.float64]:
        """Cost of stem, head and classifier, ``(len(TALLY),)``."""
        last = self.positions[-1]
        size = halve(last.size, last.stride)
        return tally(
            [
                conv(self.input_channels, STEM_CHANNELS, 3, self.image_size, stride=2),
                conv(last.channels_out, HEAD_CHANNELS, 1, size),
                pool(HEAD_CHANNELS, size, 1),
                linear(HEAD_CHANNELS, self.classes),
            ]
        )

    @cached_property
    def _varying(self) -> NDArray[np.int64]:
        """Which of ``TALLY`` differ between architectures."""
        return np.flatnonzero(np.ptp(self._table, axis=1).max(axis=0))

    def features(self, archs: Sequence[tuple[int, ...]]) -> NDArray[np.float64]:
        """As :meth:`SearchSpace.features`."""
        codes = self.encode(archs)
        cost = self._table[np.arange(codes.shape[1]), codes]  # (n, 22, len(TALLY))
        counts = (codes[:, :, None] == np.arange(len(OPERATORS))).sum(axis=1)
        first_layers = np.flatnonzero(np.diff([position.stage for position in self.positions], prepend=-1))
        per_stage = np.add.reduceat(cost, first_layers, axis=1)[:, :, [_TALLY_INDEX[name] for name in _PER_STAGE]]
        return np.column_stack(
            [
                counts,
                (self._outside + cost.sum(axis=1))[:, self._varying],
                per_stage.transpose(0, 2, 1).reshape(len(codes), len(_PER_STAGE) * len(STAGES)),
                (codes != SKIP).sum(axis=1),
            ]
        ).astype(np.float64)

    # -- network -----------------------------------------------------------------------------------------------------

    def input_shape(self, arch: Sequence[int]) -> tuple[int, int, int]:
        """As :meth:`SearchSpace.input_shape`."""
        return (self.input_channels, self.image_size, self.image_size)

    def build(self, arch: Sequence[int], **parameters: Any) -> torch.nn.Module:
        """The network of 22 operator indices; ``parameters`` override the space's own, e.g. ``classes=10``.

        Raises:
            MissingDependencyError: torch is not installed.
        """
        space = self.with_parameters(**parameters)
        space._check(arch)
        with from_extra("torch", "a network of fbnet"):
            from nas_proxy.spaces._fbnet_network import FBNetNetwork

        operators = [OPERATORS[operator] for operator in arch]
        return FBNetNetwork(operators, space.positions, space.classes, space.input_channels)


_TALLY_INDEX = {column.name: i for i, column in enumerate(TALLY)}


def layers(at: BlockPosition, operator: str) -> list[LayerTally]:
    """What is executed for an operator at a position."""
    if operator == "skip":
        return [] if at.keeps_shape else [conv(at.channels_in, at.channels_out, 1, at.size, at.stride)]
    block = Block.named(operator)
    inner = at.channels_in * block.expansion
    return inverted_residual(
        at.channels_in, inner, at.channels_out, block.kernel, at.size, at.stride, groups=block.groups
    )
