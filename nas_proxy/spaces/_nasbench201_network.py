"""The network of NAS-Bench-201, in PyTorch."""

from __future__ import annotations

from collections.abc import Sequence

from torch import Tensor, nn

__all__ = ["NasBench201Network"]


class NasBench201Network(nn.Module):
    """Stem, three stages of cells with residual reductions between them, classifier.

    Args:
        edges: ``(source, target, operator)`` of the cell, in the order in which they are executed; what is not listed
            is not executed.
        channels: channels of the first stage.
        cells: cells in each stage.
        classes: outputs.
        input_channels: channels of the input.
    """

    def __init__(
        self,
        edges: Sequence[tuple[int, int, str]],
        channels: int,
        cells: int,
        classes: int,
        input_channels: int,
    ) -> None:
        super().__init__()
        layers: list[nn.Module] = [
            nn.Sequential(nn.Conv2d(input_channels, channels, 3, padding=1, bias=False), nn.BatchNorm2d(channels))
        ]
        for stage in range(3):
            if stage:
                layers.append(Reduction(channels, 2 * channels))
                channels *= 2
            layers += [Cell(edges, channels) for _ in range(cells)]
        self.features = nn.Sequential(*layers, nn.BatchNorm2d(channels), nn.ReLU(inplace=True))
        self.pool = nn.AdaptiveAvgPool2d(1)
        self.classifier = nn.Linear(channels, classes)

    def forward(self, x: Tensor) -> Tensor:
        return self.classifier(self.pool(self.features(x)).flatten(1))


class Cell(nn.Module):
    """Four nodes; each is the sum of its incoming edges, and the last one is the output."""

    def __init__(self, edges: Sequence[tuple[int, int, str]], channels: int) -> None:
        super().__init__()
        self.ends = [(source, target) for source, target, _ in edges]
        self.operators = nn.ModuleList(_operator(name, channels) for _, _, name in edges)

    def forward(self, x: Tensor) -> Tensor:
        nodes: dict[int, Tensor] = {0: x}
        for (source, target), operator in zip(self.ends, self.operators, strict=True):
            value = operator(nodes[source])
            nodes[target] = nodes[target] + value if target in nodes else value
        return nodes[3] if 3 in nodes else x * 0.0


class Zero(nn.Module):
    """The operator ``none``: it is executed, as the reference does."""

    def forward(self, x: Tensor) -> Tensor:
        return x * 0.0


class Reduction(nn.Module):
    """Residual block that halves the image and changes the channels."""

    def __init__(self, channels_in: int, channels_out: int) -> None:
        super().__init__()
        self.block = nn.Sequential(
            relu_conv_bn(channels_in, channels_out, 3, stride=2), relu_conv_bn(channels_out, channels_out, 3)
        )
        self.shortcut = nn.Sequential(nn.AvgPool2d(2), nn.Conv2d(channels_in, channels_out, 1, bias=False))

    def forward(self, x: Tensor) -> Tensor:
        return self.shortcut(x) + self.block(x)


def relu_conv_bn(channels_in: int, channels_out: int, kernel: int, stride: int = 1) -> nn.Sequential:
    return nn.Sequential(
        nn.ReLU(),
        nn.Conv2d(channels_in, channels_out, kernel, stride, padding=kernel // 2, bias=False),
        nn.BatchNorm2d(channels_out),
    )


def _operator(name: str, channels: int) -> nn.Module:
    match name:
        case "none":
            return Zero()
        case "skip_connect":
            return nn.Identity()
        case "nor_conv_1x1":
            return relu_conv_bn(channels, channels, 1)
        case "nor_conv_3x3":
            return relu_conv_bn(channels, channels, 3)
        case "avg_pool_3x3":
            return nn.AvgPool2d(3, stride=1, padding=1, count_include_pad=False)
        case _:
            raise AssertionError(name)
