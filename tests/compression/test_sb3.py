"""Policies of stable-baselines3."""

from __future__ import annotations

from typing import Any

import gymnasium
import numpy as np
import pytest
import torch

from nas_proxy.compression import compress
from nas_proxy.compression.sb3 import actor_network, episode_return, rollout_observations, to_action
from nas_proxy.errors import InputError

sb3 = pytest.importorskip("stable_baselines3")


def algorithm(name: str, task: str, normalised: bool = False) -> Any:
    from stable_baselines3.common.vec_env import DummyVecEnv, VecNormalize

    env: Any = DummyVecEnv([lambda: gymnasium.make(task)])
    if normalised:
        env = VecNormalize(env)
        env.reset()
        for _ in range(20):
            env.step(np.zeros((1, 1), np.float32))
    return getattr(sb3, name)("MlpPolicy", env, seed=0, device="cpu", policy_kwargs={"net_arch": [16, 16]})


@pytest.mark.parametrize(
    ("name", "task", "normalised"),
    [
        ("PPO", "CartPole-v1", False),
        ("DQN", "CartPole-v1", False),
        ("PPO", "Pendulum-v1", True),
        ("SAC", "Pendulum-v1", False),
        ("TD3", "Pendulum-v1", False),
    ],
)
def test_the_network_acts_as_the_policy_does(name: str, task: str, normalised: bool) -> None:
    model = algorithm(name, task, normalised)
    network, space = actor_network(model), model.action_space
    rng = np.random.default_rng(0)
    for _ in range(20):
        seen = rng.normal(size=(1, *model.observation_space.shape)).astype(np.float32)
        with torch.no_grad():
            action = to_action(space, network(torch.from_numpy(seen)).numpy()[0], squashed=name in {"SAC", "TD3"})
        given = model.get_vec_normalize_env().normalize_obs(seen) if normalised else seen
        np.testing.assert_allclose(action, model.predict(given, deterministic=True)[0][0], atol=1e-4)


def test_a_policy_is_compressed_and_plays() -> None:
    model = algorithm("PPO", "CartPole-v1")

    def make() -> Any:
        return gymnasium.make("CartPole-v1")

    network = actor_network(model)
    with torch.no_grad():
        seen = rollout_observations(lambda x: network(torch.from_numpy(x)).numpy(), make, 200, seed=500)
    assert seen.shape == (200, 4)
    report = compress(model, "PTDQ", episode_return(make), seen, seeds=range(5)).report
    assert report.noise == 0
    assert report.returns_before.mean > 5
    assert report.times_smaller > 1


class Choices(gymnasium.Env):
    """Several choices at once."""

    observation_space = gymnasium.spaces.Box(-1, 1, (3,), np.float32)

    def __init__(self, space: gymnasium.Space) -> None:
        self.action_space = space

    def reset(self, **_: Any) -> Any:
        return np.zeros(3, np.float32), {}

    def step(self, action: Any) -> Any:
        return np.zeros(3, np.float32), float(np.sum(action)), True, False, {}


@pytest.mark.parametrize(
    "space", [gymnasium.spaces.MultiDiscrete([3, 4]), gymnasium.spaces.MultiBinary(5), gymnasium.spaces.Discrete(4)]
)
def test_several_choices_at_once(space: gymnasium.Space) -> None:
    model = sb3.PPO("MlpPolicy", Choices(space), seed=0, device="cpu")
    network, rng = actor_network(model), np.random.default_rng(0)
    for _ in range(20):
        seen = rng.uniform(-1, 1, (1, 3)).astype(np.float32)
        with torch.no_grad():
            action = to_action(space, network(torch.from_numpy(seen)).numpy()[0], squashed=False)
        np.testing.assert_array_equal(action, model.predict(seen, deterministic=True)[0][0])


def test_actions_of_several_parts_are_refused() -> None:
    space = gymnasium.spaces.Dict({"a": gymnasium.spaces.Discrete(2)})
    with pytest.raises(InputError, match="actions are of Dict: expected a Box, or Discrete"):
        episode_return(lambda: Choices(space))(lambda x: np.zeros((1, 2)), 0)


def test_a_masked_policy_is_taken() -> None:
    contrib = pytest.importorskip("sb3_contrib")
    model = contrib.MaskablePPO("MlpPolicy", Choices(gymnasium.spaces.Discrete(4)), seed=0, device="cpu")
    assert actor_network(model)(torch.zeros(2, 3)).shape == (2, 4)


def test_another_kind_of_policy() -> None:
    with pytest.raises(InputError, match="found a policy of type dict"):
        actor_network({})
