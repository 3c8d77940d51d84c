"""A model space as a user writes one, its latency models, and evaluators; scripts that tests start import it too."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Any

import nni
import numpy as np
from nni.nas.evaluator import FunctionalEvaluator
from nni.nas.nn.pytorch import LayerChoice, ModelSpace, MutableConv2d, MutableLinear
from torch import nn

from nas_proxy import ProxyLatencyModel, space_from_nni


class ToySpace(ModelSpace):
    def __init__(self) -> None:
        super().__init__()
        width = nni.choice("width", [4, 8, 12, 16])
        kernel = nni.choice("kernel", [1, 3, 5])
        self.stem = MutableConv2d(3, width, kernel, padding=kernel // 2)
        options = {
            "conv": MutableConv2d(width, width, 3, padding=1),
            "skip": nn.Identity(),
            "pool": nn.AvgPool2d(3, 1, 1),
        }
        self.first = LayerChoice(options, label="first")
        self.second = LayerChoice(
            {"conv": MutableConv2d(width, width, 3, padding=1), "skip": nn.Identity()}, label="second"
        )
        self.head = MutableLinear(width, 10)

    def forward(self, x: Any) -> Any:
        return self.head(self.second(self.first(self.stem(x))).mean((2, 3)))


def accuracy_of(sample: dict[str, Any]) -> float:
    return (
        50 + sample["width"] + 3 * sample["kernel"] + 5 * (sample["first"] == "conv") + 2 * (sample["second"] == "conv")
    )


def evaluate(model: Any, trained: str) -> None:
    """Notes what it is called with; what it reports depends on nothing else. See ``Toy.let_finish``."""
    sample = {str(label): option for label, option in nni.get_current_parameter().sample.items()}
    with Path(trained).open("a") as file:
        file.write(f"{sample['width']},{sample['kernel']},{sample['first']},{sample['second']}\n")
    which, leave = len(set(Path(trained).read_text().split())), Path(trained).with_name("leave.txt")
    while leave.exists() and int(leave.read_text() or 0) < which:
        time.sleep(0.02)
    nni.report_final_result(accuracy_of(sample))


def fail_often(model: Any, trained: str) -> None:
    """All the ways in which an evaluator can fail, by width; it succeeds for the widest."""
    match nni.get_current_parameter().sample["width"]:
        case 4:
            raise RuntimeError("no such luck")
        case 8:
            nni.report_final_result(float("nan"))
        case 16:
            evaluate(model, trained)


def fail_always(model: Any, trained: str) -> None:
    raise RuntimeError("no such luck")


def evaluator(trained: Path) -> FunctionalEvaluator:
    return FunctionalEvaluator(evaluate, trained=str(trained))


def latency_models(model_space: ModelSpace) -> dict[str, Any]:
    """A phone, known by ten samples through a board that was measured in full."""
    space = space_from_nni(model_space, (3, 8, 8))
    archs = space.enumerate()
    macs = space.features(archs)[:, list(space.feature_names).index("macs")]
    board_ms = 1 + macs / macs.mean()
    rng = np.random.default_rng(0)
    proxy = ProxyLatencyModel(space).fit(archs, board_ms * np.exp(0.02 * rng.standard_normal(len(archs))))
    chosen = proxy.suggest(archs, 10)
    phone_ms = (0.5 + 2 * macs / macs.mean())[chosen] * np.exp(0.02 * rng.standard_normal(10))
    return {"phone": proxy.adapt([archs[i] for i in chosen], phone_ms)}
