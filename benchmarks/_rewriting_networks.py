"""The networks of the rewriting benchmark, with random weights: from timm, torchvision, or written here."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor, nn

__all__ = ["NETWORKS", "Network"]


@dataclass(frozen=True)
class Network:
    """How to make a network, and the shape of its input."""

    build: Callable[[], nn.Module]
    shape: tuple[int, ...]


class Attention(nn.Module):
    """Scaled dot-product attention as BERT's reference implementation has it, scores scaled after the product."""

    def __init__(self, d: int, heads: int, causal: bool) -> None:
        super().__init__()
        self.heads, self.causal = heads, causal
        self.q, self.k, self.v, self.out = (nn.Linear(d, d) for _ in range(4))

    def forward(self, x: Tensor) -> Tensor:
        b, n, d = x.shape
        q, k, v = (f(x).view(b, n, self.heads, d // self.heads).transpose(1, 2) for f in (self.q, self.k, self.v))
        scores = q @ k.transpose(-1, -2) / math.sqrt(d // self.heads)
        if self.causal:
            scores = scores + torch.full((n, n), -1e9).triu(1)
        return self.out((scores.softmax(-1) @ v).transpose(1, 2).reshape(b, n, d))


class Block(nn.Module):
    """Attention and a perceptron with residual connections; normalised after (BERT) or before (GPT-2)."""

    def __init__(self, d: int, heads: int, *, causal: bool) -> None:
        super().__init__()
        self.attention, self.causal = Attention(d, heads, causal), causal
        self.norms = nn.ModuleList(nn.LayerNorm(d) for _ in range(2))
        self.up, self.down = nn.Linear(d, 4 * d), nn.Linear(4 * d, d)
        self.activation = nn.GELU(approximate="tanh" if causal else "none")

    def mlp(self, x: Tensor) -> Tensor:
        return self.down(self.activation(self.up(x)))

    def forward(self, x: Tensor) -> Tensor:
        if self.causal:
            x = x + self.attention(self.norms[0](x))
            return x + self.mlp(self.norms[1](x))
        x = self.norms[0](x + self.attention(x))
        return self.norms[1](x + self.mlp(x))


class Classifier(nn.Module):
    """BERT's pooler and a classifier on top of an encoder: they read the first token."""

    def __init__(self, encoder: nn.Module, d: int, classes: int) -> None:
        super().__init__()
        self.encoder, self.pooler, self.head = encoder, nn.Linear(d, d), nn.Linear(d, classes)

    def forward(self, x: Tensor) -> Tensor:
        return self.head(self.pooler(self.encoder(x)[:, 0]).tanh())


def _bert() -> nn.Module:
    return nn.Sequential(*(Block(768, 12, causal=False) for _ in range(12)))


def _timm(name: str) -> Callable[[], nn.Module]:
    def build() -> nn.Module:
        import timm

        return timm.create_model(name, pretrained=False)

    return build


def _squeezenet() -> nn.Module:
    from torchvision.models import squeezenet1_1

    return squeezenet1_1(weights=None)


def _nasbench201() -> nn.Module:
    from nas_proxy import get_space

    cell = "|avg_pool_3x3~0|+|nor_conv_1x1~0|avg_pool_3x3~1|+|avg_pool_3x3~0|nor_conv_3x3~1|avg_pool_3x3~2|"
    space = get_space("nasbench201")
    return space.build(space.from_str(cell))


NETWORKS: dict[str, Network] = {
    "inception_v3": Network(_timm("inception_v3"), (1, 3, 299, 299)),
    "squeezenet1_1": Network(_squeezenet, (1, 3, 224, 224)),
    "resnext50": Network(_timm("resnext50_32x4d"), (1, 3, 224, 224)),
    "resnet50": Network(_timm("resnet50"), (1, 3, 224, 224)),
    "mobilenetv2": Network(_timm("mobilenetv2_100"), (1, 3, 224, 224)),
    "efficientnet_b0": Network(_timm("efficientnet_b0"), (1, 3, 224, 224)),
    "vit_tiny": Network(_timm("vit_tiny_patch16_224"), (1, 3, 224, 224)),
    "vit_small": Network(_timm("vit_small_patch16_224"), (1, 3, 224, 224)),
    "bert_base_encoder": Network(_bert, (1, 128, 768)),
    "bert_base_classifier": Network(lambda: Classifier(_bert(), 768, 2), (1, 128, 768)),
    "nasbench201_avg_pool": Network(_nasbench201, (1, 3, 32, 32)),
    "gpt2_block": Network(lambda: Block(768, 12, causal=True), (1, 128, 768)),
}
