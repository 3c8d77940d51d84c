"""How many candidates a second are scored, in the package's spaces and in NNI's.

Scoring a candidate is all that a search does with it: encode it, compute its features, predict its latency on a target
(a model adapted from 20 measurements; the latencies are made up, which changes nothing of the work). One thread, CPU
time, architectures that were not seen before.

For an NNI model space also: how many candidates were built to learn its costs, how long that took, and how far the
learnt multiply-accumulates are from those of candidates drawn anew, built and traced. Run:
``python -m benchmarks.scoring``.
"""

from __future__ import annotations

import os

os.environ["OMP_NUM_THREADS"] = "1"  # before numpy and torch are imported

import time
import warnings
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from rich.console import Console
from rich.table import Table

from nas_proxy import ProxyLatencyModel, get_space
from nas_proxy.files import write_json
from nas_proxy.nni_plugin.model_space import NniSpace, space_from_nni
from nas_proxy.spaces import SearchSpace
from nas_proxy.spaces._trace import trace

with warnings.catch_warnings():  # NNI and Lightning warn while they are imported
    warnings.simplefilter("ignore")
    import nni
    from nni.nas.hub import pytorch as hub
    from nni.nas.nn.pytorch import LayerChoice, ModelSpace, MutableConv2d, MutableLinear, Repeat
    from torch import nn


class UserSpace(ModelSpace):
    """Widths, kernels, operators and depth, as a user would write them."""

    def __init__(self) -> None:
        super().__init__()
        widths = [nni.choice(f"width{i}", [8, 16, 24, 32]) for i in range(3)]
        kernels = [nni.choice(f"kernel{i}", [1, 3, 5]) for i in range(3)]
        layers: list[nn.Module] = []
        channels = 3
        for i, (width, kernel) in enumerate(zip(widths, kernels, strict=True)):
            layers.append(MutableConv2d(channels, width, kernel, padding=kernel // 2))
            depthwise = MutableConv2d(width, width, 3, padding=1, groups=width)
            layers.append(LayerChoice({"depthwise": depthwise, "skip": nn.Identity()}, label=f"block{i}"))
            layers.append(Repeat(lambda _, width=width: MutableConv2d(width, width, 1), (1, 4), label=f"depth{i}"))
            channels = width
        self.layers, self.head = nn.Sequential(*layers), MutableLinear(channels, 10)

    def forward(self, x):
        return self.head(self.layers(x).mean((2, 3)))


NNI_SPACES: dict[str, tuple[Any, int]] = {  # the class and the size of its images
    "NasBench201": (hub.NasBench201, 32),
    "MobileNetV3Space": (hub.MobileNetV3Space, 224),
    "ProxylessNAS": (hub.ProxylessNAS, 224),
    "ShuffleNetSpace": (hub.ShuffleNetSpace, 224),
    "user-written": (UserSpace, 32),
}
CANDIDATES, REPEATS, MEASURED, HELD_OUT = 10_000, 3, 100, 24


@dataclass(frozen=True)
class Speed:
    """Candidates scored a second: median, lowest and highest of the repeats."""

    space: str
    per_second: float
    lowest: float
    highest: float


@dataclass(frozen=True)
class Learning:
    """What learning an NNI space took, and the relative error of its multiply-accumulates on other candidates."""

    space: str
    built: int
    seconds: float
    median_error: float
    largest_error: float


def speed(space: SearchSpace, name: str) -> Speed:
    archs = space.enumerate() if space.size <= CANDIDATES else space.sample(CANDIDATES, seed=1)
    rng = np.random.default_rng(0)
    measured = space.sample(MEASURED, seed=0)
    features = space.features(measured)
    latency_ms = 1 + features @ (rng.random(features.shape[1]) / np.maximum(np.abs(features).max(axis=0), 1e-9))
    rates = []
    for _ in range(REPEATS):  # anew each time, for a model remembers what it was last asked
        model = ProxyLatencyModel(space).fit(measured, latency_ms)
        target = model.adapt(measured[:20], latency_ms[:20] ** 1.1)
        start = time.process_time()
        target.predict(archs)
        rates.append(len(archs) / (time.process_time() - start))
    return Speed(name, *(round(float(q)) for q in np.quantile(rates, [0.5, 0, 1])))


def traced_macs(space: NniSpace, arch: dict[str, Any]) -> int:
    network, image = space.build(arch).to("meta"), torch.empty(1, *space.input_shape(arch), device="meta")
    return sum(kernel.macs for kernel in trace(network, image).kernels)


def learning(name: str) -> tuple[NniSpace, Learning]:
    model_space, size = NNI_SPACES[name]
    start = time.process_time()
    space = space_from_nni(model_space(), (3, size, size))
    seconds = time.process_time() - start
    others = space.sample(HELD_OUT, seed=99)
    predicted = space.features(others)[:, space.feature_names.index("macs")]
    error = np.abs(predicted / [traced_macs(space, arch) for arch in others] - 1)
    figures = round(seconds, 1), float(f"{np.median(error):.2g}"), float(f"{error.max():.2g}")
    return space, Learning(f"NNI {name}", space.n_built, *figures)


def main() -> None:
    speeds, learnt = [speed(get_space(name), name) for name in ("nasbench201", "fbnet", "mobilenetv3", "timm")], []
    for name in NNI_SPACES:
        space, took = learning(name)
        learnt.append(took)
        speeds.append(speed(space, f"NNI {name}"))
    console = Console()
    shown = Table(title="candidates scored a second, one thread")
    for heading in ("space", "median", "lowest", "highest"):
        shown.add_column(heading, justify="left" if heading == "space" else "right")
    for row in speeds:
        shown.add_row(row.space, *(f"{rate:,.0f}" for rate in (row.per_second, row.lowest, row.highest)))
    console.print(shown)
    shown = Table(title="NNI model spaces, learnt from a few candidates")
    for heading in ("space", "built", "CPU seconds", "error of MACs, median", "largest"):
        shown.add_column(heading, justify="left" if heading == "space" else "right")
    for row in learnt:
        shown.add_row(
            row.space, str(row.built), f"{row.seconds:.1f}", f"{row.median_error:.2%}", f"{row.largest_error:.2%}"
        )
    console.print(shown)
    path = Path(__file__).parent / "results" / "scoring.json"
    write_json(path, {"speed": list(map(asdict, speeds)), "learning": list(map(asdict, learnt))})


if __name__ == "__main__":
    main()
