"""Fit the simulated Edge TPU to published latencies: ``make fit-edge-tpu`` (``--write`` updates ``devices/``).

Latencies in ms of one Edge TPU on USB 3 beside a desktop, from coral.ai/docs/edgetpu/benchmarks; the networks are built
at the size they were measured at, with random weights. What is reported is leave-one-network-out.
"""

from __future__ import annotations

import argparse
import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, cast

import numpy as np
from rich.console import Console
from rich.table import Table

from nas_proxy import files, resources
from nas_proxy.devices import get_device
from nas_proxy.graph import annotate, from_torch
from nas_proxy.ranking.kendall import kendall_tau
from nas_proxy.scheduling.chip_fit import PublishedLatency, fit, leave_one_out, predict
from nas_proxy.scheduling.device import EdgeTPUDevice


@dataclass(frozen=True)
class Published:
    """A network of the public table: how it is built here, its input's size, its latency."""

    name: str
    build: Callable[[], Any]
    size: int
    latency_ms: float


def published() -> list[Published]:
    """The networks that the simulator is fitted to."""
    import timm
    from torchvision import models

    return [
        Published("MobileNet v1", lambda: timm.create_model("mobilenetv1_100"), 224, 2.4),
        Published("MobileNet v2", lambda: timm.create_model("mobilenetv2_100"), 224, 2.6),
        Published("Inception v1", lambda: models.googlenet(aux_logits=False, init_weights=False), 224, 3.4),
        Published("SqueezeNet 1.0", models.squeezenet1_0, 224, 2.1),
        Published("DenseNet-121", lambda: timm.create_model("densenet121"), 224, 20.0),
        Published("EfficientNet-EdgeTPU-S", lambda: timm.create_model("efficientnet_es"), 224, 5.1),
        Published("ResNet-50 v1", lambda: timm.create_model("resnet50"), 299, 49.0),
        Published("Inception v4", lambda: timm.create_model("inception_v4"), 299, 85.0),
        Published("VGG16", lambda: models.vgg16(init_weights=False), 224, 296.0),
    ]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--write", action="store_true", help="write the fitted parameters into devices/edge-tpu*.yaml")
    arguments = parser.parse_args()
    device = cast(EdgeTPUDevice, get_device("edge-tpu"))
    observations = [
        PublishedLatency(p.name, annotate(from_torch(p.build(), (1, 3, p.size, p.size)), "int8"), p.latency_ms)
        for p in published()
    ]
    fitted = fit(device.chip, observations)
    held_out = leave_one_out(device.chip, observations)
    measured = np.array([o.latency_ms for o in observations])
    errors = np.abs(held_out / measured - 1)
    tau = kendall_tau(held_out, measured)
    table = Table(title="Edge TPU, one device: published and simulated latency (ms)")
    for heading in ("network", "published", "fitted to all", "left out", "error left out"):
        table.add_column(heading, justify="right" if heading != "network" else "left")
    rows = []
    for observation, left_out, error in zip(observations, held_out, errors, strict=True):
        row = [observation.latency_ms, predict(fitted, observation.annotation), float(left_out), float(error)]
        rows.append({"network": observation.name, "published_ms": row[0], "fitted_ms": row[1], "left_out_ms": row[2]})
        table.add_row(observation.name, *(f"{value:.1f}" for value in row[:3]), f"{error:.0%}")
    console = Console()
    console.print(table)
    console.print(f"leave-one-network-out: mean absolute error {errors.mean():.1%}, Kendall tau {tau:.2f}")
    changed = {k: v for k, v in fitted.model_dump().items() if v != getattr(device.chip, k)}
    console.print("fitted:", {k: float(f"{v:.3g}") for k, v in changed.items()})
    result = {"mape": float(errors.mean()), "kendall_tau": tau, "networks": rows, "fitted": fitted.model_dump()}
    files.write_json("benchmarks/results/fit_edge_tpu.json", result)
    if arguments.write:
        for name in [name for name in resources.names("devices") if re.fullmatch(r"edge-tpu(-x\d+)?", name)]:
            path = resources.find("devices", name)
            text = path.read_text()
            for key, value in changed.items():
                text = re.sub(rf"(?m)^(  {key}): [\d.e+-]+$", rf"\1: {value:.3g}", text)
            files.write_text(path, text)
        console.print("written to devices/edge-tpu*.yaml")


if __name__ == "__main__":
    main()
