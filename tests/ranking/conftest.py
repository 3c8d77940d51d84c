"""Synthetic devices whose latency is linear in features of NAS-Bench-201; a made-up proxy and a target of timm."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import pytest
from numpy.typing import NDArray

from nas_proxy.datasets import LatencyTable
from nas_proxy.ranking.zoo import suggest_networks
from nas_proxy.spaces import get_space
from nas_proxy.spaces.timm_zoo import TimmZoo


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


@pytest.fixture(scope="session")
def some_of():
    """The rows of a table of one device."""

    def some(table, archs):
        return LatencyTable("timm", tuple(archs), table.devices, table.latency_ms(table.devices[0], archs)[:, None])

    return some


@pytest.fixture(scope="session")
def zoo():
    return TimmZoo()


@pytest.fixture(scope="session")
def zoo_tables(zoo):
    """A made-up proxy and a target that pays more for memory, both with noise and networks that are oddly slow."""
    archs, rng = zoo.sample(300, seed=0), np.random.default_rng(0)
    odd = np.exp(0.3 * rng.standard_normal(len(archs)))
    macs, moved = zoo.costs("macs", archs), zoo.costs("bytes", archs)
    proxy = (1e-9 * macs + 1e-8 * moved) * odd
    target = (3e-9 * macs + 9e-8 * moved) * odd * np.exp(0.03 * rng.standard_normal(len(archs)))
    return tuple(
        LatencyTable("timm", tuple(archs), (name,), ms[:, None]) for name, ms in (("gpu", proxy), ("phone", target))
    )


@pytest.fixture(scope="session")
def zoo_measured(zoo_tables, zoo, some_of):
    return some_of(zoo_tables[1], suggest_networks(zoo_tables[0], 20, zoo))
