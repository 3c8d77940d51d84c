"""A made-up proxy and target over the shipped zoo."""

from __future__ import annotations

import numpy as np
import pytest

from nas_proxy import zoo
from nas_proxy.datasets import LatencyTable
from nas_proxy.spaces.timm_zoo import TimmZoo


@pytest.fixture(scope="session")
def some_of():
    """The rows of a table of one device."""

    def some(table, archs):
        return LatencyTable("timm", tuple(archs), table.devices, table.latency_ms(table.devices[0], archs)[:, None])

    return some


@pytest.fixture(scope="session")
def space():
    return TimmZoo()


@pytest.fixture(scope="session")
def tables(space):
    """A made-up proxy and a target that pays more for memory, both with noise and networks that are oddly slow."""
    archs, rng = space.sample(300, seed=0), np.random.default_rng(0)
    odd = np.exp(0.3 * rng.standard_normal(len(archs)))
    macs, moved = space.costs("macs", archs), space.costs("bytes", archs)
    proxy = (1e-9 * macs + 1e-8 * moved) * odd
    target = (3e-9 * macs + 9e-8 * moved) * odd * np.exp(0.03 * rng.standard_normal(len(archs)))
    return tuple(
        LatencyTable("timm", tuple(archs), (name,), ms[:, None]) for name, ms in (("gpu", proxy), ("phone", target))
    )


@pytest.fixture(scope="session")
def measured(tables, space, some_of):
    return some_of(tables[1], zoo.suggest_networks(tables[0], 20, space))
