"""The stages of MobileNetV3, and where a layer stands in them."""

from __future__ import annotations

from dataclasses import dataclass

__all__ = [
    "EXPANDED_CHANNELS",
    "HEAD_CHANNELS",
    "STAGES",
    "STEM_CHANNELS",
    "LayerPosition",
    "Stage",
    "inner_channels",
]


@dataclass(frozen=True)
class Stage:
    """What all layers of a stage have in common; ``stride`` is the first one's."""

    channels: int
    stride: int
    squeeze: bool
    activation: str


@dataclass(frozen=True)
class LayerPosition:
    """Where a layer is: its stage, channels in and out, stride, and by how much the image has been halved before."""

    stage: int
    channels_in: int
    channels_out: int
    stride: int
    halvings: int


STEM_CHANNELS, EXPANDED_CHANNELS, HEAD_CHANNELS = 16, 960, 1280
STAGES = (
    Stage(24, 2, False, "relu"),
    Stage(40, 2, True, "relu"),
    Stage(80, 2, False, "hard_swish"),
    Stage(112, 1, True, "hard_swish"),
    Stage(160, 2, True, "hard_swish"),
)


def inner_channels(channels: int, factor: float) -> int:
    """Channels times a factor, rounded to a multiple of 8 (never down by more than a tenth)."""
    rounded = max(8, int(channels * factor + 4) // 8 * 8)
    return rounded + 8 if rounded < 0.9 * channels * factor else rounded
