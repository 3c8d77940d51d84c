"""Policies of stable-baselines3: their actor as a plain network, and the return of an episode with it."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn
from torch.nn import functional

from nas_proxy.errors import InputError, MissingDependencyError

__all__ = ["actor_network", "episode_return", "rollout_observations"]

_SHARPNESS = 0.3  # temperature of distilled values, over their differences' standard deviation


class _ActorNetwork(nn.Module):
    """Observations ``(b, ...)`` to means of actions, logits or values of actions ``(b, a)``; normalised before."""

    shift: torch.Tensor
    scale: torch.Tensor

    def __init__(
        self, features: nn.Module, body: Sequence[nn.Module], image: bool, normaliser: Any, values: bool
    ) -> None:
        super().__init__()
        self.features, self.body, self.image, self.values = features, nn.Sequential(*body), image, values
        shift, scale, bound = 0.0, 1.0, float("inf")
        if normaliser is not None:
            shift = normaliser.obs_rms.mean
            scale, bound = 1 / np.sqrt(normaliser.obs_rms.var + normaliser.epsilon), normaliser.clip_obs
        self.normalised, self.bound = normaliser is not None, bound
        self.register_buffer("shift", torch.as_tensor(shift, dtype=torch.float32))
        self.register_buffer("scale", torch.as_tensor(scale, dtype=torch.float32))

    def forward(self, observation: torch.Tensor) -> torch.Tensor:
        x = observation.float()
        if self.image:
            x = x / 255.0
        if self.normalised:
            x = ((x - self.shift) * self.scale).clamp(-self.bound, self.bound)
        return self.body(self.features(x))

    def distance(self, student: torch.Tensor, teacher: torch.Tensor) -> torch.Tensor:
        """Mean square; of values of actions, what is lost on which action is best.

        All values of a state may be a hundred times what they differ by, and only that decides: Rusu et al., "Policy
        Distillation" (ICLR 2016), whose sharpened softmax this is, with a temperature in units of these differences.
        """
        if not self.values:
            return functional.mse_loss(student, teacher)
        temperature = _SHARPNESS * (teacher - teacher.mean(dim=1, keepdim=True)).std() + 1e-12
        p, q = ((x / temperature).log_softmax(dim=1) for x in (teacher, student))
        return functional.kl_div(q, p, reduction="batchmean", log_target=True)


def actor_network(policy: Any) -> nn.Module:
    """The network that acts in a policy of stable-baselines3, or in an algorithm's (with its ``VecNormalize``).

    PPO, A2C, TRPO and MaskablePPO (whose masks an ``evaluate`` has to apply) give means of actions or logits, SAC, TD3
    and DDPG actions in -1..1, DQN values of actions.

    Raises:
        InputError: it is none of these.
        MissingDependencyError: stable-baselines3 is not installed.
    """
    try:
        from stable_baselines3.common.preprocessing import is_image_space
        from stable_baselines3.dqn.policies import DQNPolicy
        from stable_baselines3.sac.policies import SACPolicy
        from stable_baselines3.td3.policies import TD3Policy
    except ImportError:
        raise MissingDependencyError(
            f"found a policy of type {type(policy).__name__}: expected a torch.nn.Module, or one of stable-baselines3, "
            "which is not installed: pip install 'nas-proxy[rl]'."
        ) from None
    normaliser = policy.get_vec_normalize_env() if hasattr(policy, "get_vec_normalize_env") else None
    policy = getattr(policy, "policy", policy)
    if hasattr(policy, "mlp_extractor") and hasattr(policy, "action_net"):  # those of sb3-contrib, too
        body = [policy.mlp_extractor.policy_net, policy.action_net]
        features = policy.pi_features_extractor
    elif isinstance(policy, SACPolicy):
        features, body = policy.actor.features_extractor, [policy.actor.latent_pi, policy.actor.mu, nn.Tanh()]
    elif isinstance(policy, TD3Policy):
        features, body = policy.actor.features_extractor, [policy.actor.mu]
    elif isinstance(policy, DQNPolicy):
        features, body = policy.q_net.features_extractor, [policy.q_net.q_net]
    else:
        raise InputError(
            f"found a policy of type {type(policy).__name__}: expected a torch.nn.Module, or a policy of "
            "stable-baselines3's PPO, A2C, TRPO, MaskablePPO, SAC, TD3, DDPG or DQN with one array of observations."
        )
    image = policy.normalize_images and is_image_space(policy.observation_space)
    return _ActorNetwork(features, body, image, normaliser, isinstance(policy, DQNPolicy)).eval()


def episode_return(make: Callable[[], Any], *, squashed: bool = False) -> Callable[[Any, int], float]:
    """An ``evaluate`` for a Gymnasium task: the undiscounted return of one episode, whose reset has the seed.

    Args:
        make: gives the environment; one is made, on first use.
        squashed: the actor's outputs are in -1..1 and stand for the whole range of actions, as SAC, TD3 and DDPG have.
    """
    made: list[Any] = []

    def evaluate(actor: Any, seed: int) -> float:
        if not made:
            made.append(make())
        env = made[0]
        observation, _ = env.reset(seed=seed)
        total, over = 0.0, False
        while not over:
            action = to_action(env.action_space, actor(_row(observation))[0], squashed)
            observation, reward, terminated, truncated, _ = env.step(action)
            total, over = total + float(reward), terminated or truncated
        return total

    return evaluate


def rollout_observations(
    actor: Any, make: Callable[[], Any], n: int, *, seed: int, squashed: bool = False, noise: float = 0.0
) -> NDArray[np.float32]:
    """``n`` observations of episodes with the actor, with Gaussian noise on continuous actions where asked.

    Seeds of the episodes start at ``seed``: keep them apart from those of an evaluation.
    """
    env, rng = make(), np.random.default_rng(seed)
    seen: list[NDArray] = []
    observation, _ = env.reset(seed=seed)
    while len(seen) < n:
        seen.append(np.asarray(observation, np.float32))
        action = to_action(env.action_space, actor(_row(observation))[0], squashed)
        if noise and hasattr(env.action_space, "low"):
            action = np.clip(
                action + noise * rng.standard_normal(action.shape), env.action_space.low, env.action_space.high
            )
        observation, _, terminated, truncated, _ = env.step(action)
        if terminated or truncated:
            seed += 1
            observation, _ = env.reset(seed=seed)
    env.close()
    return np.stack(seen)


def to_action(space: Any, output: NDArray, squashed: bool) -> Any:
    """What an actor's output row means in an action space: largest entries, signs, or numbers within the bounds.

    Raises:
        InputError: the space has several parts.
    """
    from gymnasium import spaces

    match space:
        case spaces.Discrete():
            return int(output.argmax() + space.start)
        case spaces.MultiDiscrete():
            parts = np.split(output, np.cumsum(space.nvec)[:-1])
            return np.array([part.argmax() for part in parts]) + space.start
        case spaces.MultiBinary():
            return (output > 0).astype(np.int8)
        case spaces.Box():
            scaled = space.low + 0.5 * (output + 1.0) * (space.high - space.low) if squashed else output
            return np.clip(scaled, space.low, space.high)
    raise InputError(
        f"actions are of {type(space).__name__}: expected a Box, or Discrete, MultiDiscrete or MultiBinary ones. Write "
        "an evaluate of your own for others."
    )


def _row(observation: Any) -> NDArray[np.float32]:
    return np.asarray(observation, np.float32)[None]
