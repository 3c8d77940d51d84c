"""Whole channels go, and all that depends on them."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch import nn

from nas_proxy.compression._pruning import prune
from nas_proxy.errors import InputError

from ._tasks import actor, observations

INPUTS = (observations(1),)


class Residual(nn.Module):
    """Channels that several layers share, and two heads."""

    def __init__(self) -> None:
        super().__init__()
        self.first, self.second = nn.Linear(4, 20), nn.Linear(20, 20)
        self.norm, self.mean, self.spread = nn.LayerNorm(20), nn.Linear(20, 3), nn.Linear(20, 3)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        h = torch.relu(self.first(x))
        h = self.norm(h + torch.relu(self.second(h)))
        return torch.cat([self.mean(h), self.spread(h)], dim=-1)


@pytest.mark.parametrize("norm", [1, 2])
def test_share_of_every_layer(norm: int) -> None:
    smaller = prune(actor(20), norm, 0.25, INPUTS)
    assert [(layer.in_features, layer.out_features) for layer in smaller[::2]] == [(4, 15), (15, 15), (15, 2)]


def test_a_ratio_that_removes_nothing_is_refused() -> None:
    with pytest.raises(InputError, match=r"L2 0\.95 removes no channel of Sequential: expected a ratio"):
        prune(actor(8), 2, 0.95, INPUTS)


def test_channels_of_least_norm_go() -> None:
    network = actor(20)
    with torch.no_grad():
        for layer in (network[0], network[2]):
            layer.weight[:5] = layer.bias[:5] = 0.0
        network[2].weight[:, :5] = network[4].weight[:, :5] = 0.0
    x = torch.from_numpy(observations(10))
    smaller = prune(network, 2, 0.25, INPUTS)
    torch.testing.assert_close(smaller(x), network(x))


def test_what_depends_on_a_channel_goes_with_it() -> None:
    torch.manual_seed(0)
    smaller = prune(Residual().eval(), 2, 0.5, INPUTS)
    assert smaller(torch.from_numpy(observations(7))).shape == (7, 6)
    assert smaller.first.out_features == smaller.second.in_features == smaller.norm.normalized_shape[0] == 10


def test_frozen_layers_stay() -> None:
    network = actor(20)
    network[2].requires_grad_(False)
    smaller = prune(network, 2, 0.5, INPUTS)
    assert smaller[0].out_features == 10
    assert smaller[2].out_features == 20
    assert not smaller[2].weight.requires_grad
    assert smaller[0].weight.requires_grad


def test_the_original_is_left_alone() -> None:
    network = actor()
    before = {name: value.clone() for name, value in network.state_dict().items()}
    prune(network, 1, 0.5, INPUTS)
    for name, value in network.state_dict().items():
        np.testing.assert_array_equal(value, before[name])
