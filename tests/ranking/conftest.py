"""A family of synthetic devices: latencies that are linear in features of NAS-Bench-201, with noise."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import pytest
from numpy.typing import NDArray

from nas_proxy.spaces import get_space


@dataclass(frozen=True)
class Population:
    """Architectures, and ``device(...)``: their latencies in ms on a device that is described by what work costs it."""

    space: object
    archs: list[str]
    device: Callable[..., NDArray[np.float64]]


@pytest.fixture(scope="session")
def population() -> Population:
    space = get_space("nasbench201")
    archs = space.sample(600, seed=0)
    features = dict(zip(space.feature_names, space.features(archs).T, strict=True))

    def device(
        macs: float = 1.0, kernels: float = 0.0, live: float = 0.0, noise: float = 0.0, seed: int = 0
    ) -> NDArray[np.float64]:
        parts = [("executed_macs", macs), ("executed_kernels", kernels), ("live_macs", live)]
        latency = 1 + sum(weight * features[name] / features[name].mean() for name, weight in parts)
        return latency * np.exp(noise * np.random.default_rng(seed).standard_normal(len(archs)))

    return Population(space, archs, device)
