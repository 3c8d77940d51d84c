"""What the examples share: a model space as one writes it for NNI, how to train its models, and what they take here.

The models classify scikit-learn's digits: 1,797 images of 8x8 pixels.
"""

from __future__ import annotations

from pathlib import Path

import nni
import torch
from nni.nas.nn.pytorch import LayerChoice, ModelSpace, MutableConv2d, MutableLinear
from sklearn.datasets import load_digits
from torch import nn
from torch.nn.functional import cross_entropy
from torch.utils.data import TensorDataset

from nas_proxy import ProxyLatencyModel, space_from_nni
from nas_proxy.devices import measure
from nas_proxy.ranking import TargetLatencyModel

INPUT_SHAPE = (1, 8, 8)


class DigitsSpace(ModelSpace):
    """432 small convolutional networks."""

    def __init__(self) -> None:
        super().__init__()
        width = nni.choice("width", [8, 16, 32, 64])
        kernel = nni.choice("kernel", [1, 3, 5])
        self.stem = MutableConv2d(1, width, kernel, padding=kernel // 2)
        self.first, self.second = self._layer("first", width), self._layer("second", width)
        self.head = MutableLinear(width, 10)

    @staticmethod
    def _layer(label: str, width: int) -> LayerChoice:
        layers = {
            "conv3x3": MutableConv2d(width, width, 3, padding=1),
            "conv5x5": MutableConv2d(width, width, 5, padding=2),
            "conv1x1": MutableConv2d(width, width, 1),
            "pool": nn.AvgPool2d(3, 1, 1),
            "max": nn.MaxPool2d(3, 1, 1),
            "skip": nn.Identity(),
        }
        return LayerChoice(layers, label=label)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        x = self.first(torch.relu(self.stem(x)))
        return self.head(torch.relu(self.second(torch.relu(x))).mean((2, 3)))


def data() -> tuple[TensorDataset, TensorDataset]:
    """1,200 images to train on and 597 to validate on."""
    pixels, labels = load_digits(return_X_y=True)
    images = torch.tensor(pixels, dtype=torch.float32).reshape(-1, *INPUT_SHAPE) / 16
    order = torch.randperm(len(labels), generator=torch.Generator().manual_seed(0))
    images, classes = images[order], torch.tensor(labels)[order]
    return TensorDataset(images[:1200], classes[:1200]), TensorDataset(images[1200:], classes[1200:])


def train(model: nn.Module, epochs: int = 5) -> None:
    """An evaluator: train, and report the accuracy in percent. Latency is not reported: it is known beforehand."""
    torch.set_num_threads(1)
    torch.manual_seed(0)
    training, validation = data()
    images, labels = training.tensors
    optimizer = torch.optim.Adam(model.parameters(), lr=3e-3)
    for _ in range(epochs):
        for batch in torch.randperm(len(images)).split(64):
            optimizer.zero_grad()
            cross_entropy(model(images[batch]), labels[batch]).backward()
            optimizer.step()
    images, labels = validation.tensors
    with torch.no_grad():
        nni.report_final_result((model(images).argmax(dim=1) == labels).float().mean().item() * 100)


def measured(model_space: ModelSpace, folder: Path, samples: int = 40, few: int = 15) -> dict[str, TargetLatencyModel]:
    """Latency on two targets: this machine's PyTorch is measured well, its onnxruntime on a few models only."""
    space = space_from_nni(model_space, INPUT_SHAPE)
    table = measure("host-torch", space, space.sample(samples, seed=0), folder / "torch.csv")
    proxy = ProxyLatencyModel(space).fit(table.archs, table.latency_ms("host-torch"))
    pool = space.enumerate()
    chosen = [pool[i] for i in proxy.suggest(pool, few, seed=0)]
    few_measured = measure("host-onnxruntime", space, chosen, folder / "onnxruntime.csv")
    return {
        "torch": proxy.adapt(table.archs, table.latency_ms("host-torch")),
        "onnxruntime": proxy.adapt(few_measured.archs, few_measured.latency_ms("host-onnxruntime")),
    }
