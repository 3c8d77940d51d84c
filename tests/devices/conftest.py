"""A small space and a quick protocol, so that this machine can be measured in a moment."""

from __future__ import annotations

import pytest
import yaml

from nas_proxy import get_device, get_space

QUICK = {"warm_up_runs": 0, "runs_per_turn": 1, "min_turns": 6, "max_turns": 6, "min_seconds": 0, "networks_in_turn": 2}


@pytest.fixture(scope="session")
def space():
    return get_space("nasbench201").with_parameters(channels=4, cells=1, image_size=8)


@pytest.fixture(scope="session")
def archs(space):
    return space.sample(4, seed=0)


@pytest.fixture
def host(tmp_path):
    """Makes a device of this machine from fields of its description."""

    def host(name: str = "mine", **fields):
        path = tmp_path / f"{name}.yaml"
        path.write_text(yaml.safe_dump({"kind": "host", "runtime": "torch", "protocol": QUICK, **fields}))
        return get_device(path)

    return host
