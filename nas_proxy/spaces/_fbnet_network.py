"""The network of FBNet, in PyTorch."""

from __future__ import annotations

from collections.abc import Sequence

from torch import Tensor, nn

from nas_proxy.spaces._fbnet_blocks import HEAD_CHANNELS, STEM_CHANNELS, Block, BlockPosition

__all__ = ["FBNetNetwork"]


class FBNetNetwork(nn.Module):
    """Stem, 22 layers, head and classifier.

    Args:
        operators: names of the 22 operators.
        positions: channels and stride of each.
        classes: outputs.
        input_channels: channels of the input.
    """

    def __init__(
        self, operators: Sequence[str], positions: Sequence[BlockPosition], classes: int, input_channels: int
    ) -> None:
        super().__init__()
        channels = positions[-1].channels_out
        self.features = nn.Sequential(
            conv_bn(input_channels, STEM_CHANNELS, 3, stride=2),
            nn.ReLU(inplace=True),
            *(_layer(operator, at) for operator, at in zip(operators, positions, strict=True)),
            conv_bn(channels, HEAD_CHANNELS, 1),
            nn.ReLU(inplace=True),
        )
        self.pool = nn.AdaptiveAvgPool2d(1)
        self.classifier = nn.Linear(HEAD_CHANNELS, classes)

    def forward(self, x: Tensor) -> Tensor:
        return self.classifier(self.pool(self.features(x)).flatten(1))


class InvertedResidual(nn.Module):
    """Expansion, depthwise convolution, projection; added to its input where the shape stays."""

    def __init__(self, block: Block, at: BlockPosition) -> None:
        super().__init__()
        inner = at.channels_in * block.expansion
        self.layers = nn.Sequential(
            conv_bn(at.channels_in, inner, 1, groups=block.groups),
            nn.ReLU(inplace=True),
            *([nn.ChannelShuffle(block.groups)] if block.groups > 1 else []),
            conv_bn(inner, inner, block.kernel, at.stride, groups=inner),
            nn.ReLU(inplace=True),
            conv_bn(inner, at.channels_out, 1, groups=block.groups),
        )
        self.residual = at.keeps_shape

    def forward(self, x: Tensor) -> Tensor:
        return x + self.layers(x) if self.residual else self.layers(x)


def conv_bn(channels_in: int, channels_out: int, kernel: int, stride: int = 1, groups: int = 1) -> nn.Sequential:
    return nn.Sequential(
        nn.Conv2d(channels_in, channels_out, kernel, stride, padding=kernel // 2, groups=groups, bias=False),
        nn.BatchNorm2d(channels_out),
    )


def _layer(operator: str, at: BlockPosition) -> nn.Module:
    if operator != "skip":
        return InvertedResidual(Block.named(operator), at)
    if at.keeps_shape:
        return nn.Identity()
    return nn.Sequential(conv_bn(at.channels_in, at.channels_out, 1, at.stride), nn.ReLU(inplace=True))
