"""The networks of the Once-for-All MobileNetV3 family, of timm's blocks."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from typing import Any

from timm.models._efficientnet_blocks import ConvBnAct, DepthwiseSeparableConv, InvertedResidual, SqueezeExcite
from torch import Tensor, nn

from nas_proxy.spaces._mobilenetv3_stages import (
    EXPANDED_CHANNELS,
    HEAD_CHANNELS,
    STAGES,
    STEM_CHANNELS,
    LayerPosition,
    inner_channels,
)

__all__ = ["MobileNetV3Network"]

_ACTIVATIONS = {"relu": nn.ReLU, "hard_swish": nn.Hardswish}
_squeeze_excite: Any = partial(
    SqueezeExcite,
    gate_layer="hard_sigmoid",
    force_act_layer=nn.ReLU,
    rd_round_fn=partial(inner_channels, factor=1),
)


class MobileNetV3Network(nn.Module):
    """Stem, first block, the given layers, head and classifier.

    Args:
        layers: position, kernel size and expansion of each layer that exists.
        classes: outputs.
        input_channels: channels of the input.
    """

    def __init__(self, layers: Sequence[tuple[LayerPosition, int, int]], classes: int, input_channels: int) -> None:
        super().__init__()
        self.features = nn.Sequential(
            ConvBnAct(input_channels, STEM_CHANNELS, 3, stride=2, act_layer=nn.Hardswish),
            DepthwiseSeparableConv(STEM_CHANNELS, STEM_CHANNELS, act_layer=nn.ReLU),
            *(_layer(at, kernel, expansion) for at, kernel, expansion in layers),
            ConvBnAct(STAGES[-1].channels, EXPANDED_CHANNELS, 1, act_layer=nn.Hardswish),
        )
        self.head = nn.Sequential(
            nn.AdaptiveAvgPool2d(1), nn.Conv2d(EXPANDED_CHANNELS, HEAD_CHANNELS, 1, bias=False), nn.Hardswish()
        )
        self.classifier = nn.Linear(HEAD_CHANNELS, classes)

    def forward(self, x: Tensor) -> Tensor:
        return self.classifier(self.head(self.features(x)).flatten(1))


def _layer(at: LayerPosition, kernel: int, expansion: int) -> nn.Module:
    stage = STAGES[at.stage]
    return InvertedResidual(
        at.channels_in,
        at.channels_out,
        kernel,
        at.stride,
        exp_ratio=expansion,
        act_layer=_ACTIVATIONS[stage.activation],
        se_layer=_squeeze_excite if stage.squeeze else None,
    )
