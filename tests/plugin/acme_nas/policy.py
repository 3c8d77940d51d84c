"""A policy that can be made smaller."""

from __future__ import annotations

import numpy as np
import torch
from torch import nn

from nas_proxy.compression import Task


def task():
    """A small network that follows a line."""
    torch.manual_seed(0)
    observations = np.random.default_rng(0).standard_normal((300, 4)).astype(np.float32)
    policy = nn.Sequential(nn.Linear(4, 16), nn.Tanh(), nn.Linear(16, 1))
    with torch.no_grad():
        expected = policy(torch.from_numpy(observations)).numpy()

    def evaluate(actor, seed):
        rows = np.random.default_rng(seed).integers(300, size=30)
        return 1.0 - float(np.abs(actor(observations[rows]) - expected[rows]).mean())

    return Task(policy, evaluate, observations, seeds=range(4), fresh_seeds=range(10, 14))
