"""Single-agent baselines: PPO of stable-baselines3, masked and not, tuned and with ArchGym's settings."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any, Literal, get_args

import numpy as np

from nas_proxy.errors import from_extra
from nas_proxy.mapping.mappers._settings import check_name, check_settings
from nas_proxy.mapping.problem import Problem
from nas_proxy.threads import one_thread

__all__ = ["PpoMapper", "archgym", "masked", "unmasked"]

Form = Literal["one-shot", "stepwise"]


@dataclass(frozen=True)
class PpoMapper:
    """One agent learns all decisions by PPO (Schulman et al., 2017), at once (one-shot) or one by one (stepwise).

    Attributes:
        form: ``"one-shot"``: all decisions are one action, no mask; ``"stepwise"``: one decision a step, masked.
        episodes: between two updates.
        rate, epochs, minibatch, entropy, layers: PPO's settings and the hidden layers of policy and value.
    """

    form: Form = "one-shot"
    episodes: int = 32
    rate: float = 3e-3
    epochs: int = 10
    minibatch: int = 32
    entropy: float = 0.01
    layers: tuple[int, ...] = (64, 64)
    initial: int = 1

    def __post_init__(self) -> None:
        check_settings(self, "episodes epochs minibatch initial", rate=0, entropy=0)
        check_name(self, "form", get_args(Form))

    @one_thread()
    def search(self, problem: Problem, rng: np.random.Generator) -> None:
        """See :class:`nas_proxy.mapping.mappers.Mapper`."""
        with from_extra("rl", "PPO"):
            from sb3_contrib import MaskablePPO
            from stable_baselines3 import PPO

        settings: dict[str, Any] = {
            "learning_rate": self.rate,
            "n_epochs": self.epochs,
            "ent_coef": self.entropy,
            "gamma": 1.0,
            "gae_lambda": 1.0,
            "policy_kwargs": {"net_arch": list(self.layers)},
            "seed": int(rng.integers(2**31)),
            "device": "cpu",
        }
        if self.form == "stepwise":
            env = _lockstep(problem, self.episodes)
            steps = len(problem.space)
            model = MaskablePPO("MlpPolicy", env, n_steps=steps, batch_size=self.minibatch * steps // 4, **settings)
        else:
            env = _one_shot(problem, self.episodes)
            model = PPO("MlpPolicy", env, n_steps=2, batch_size=self.minibatch, **settings)
        model.learn(total_timesteps=10**12)  # until BudgetSpentError


def _one_shot(problem: Problem, episodes: int):
    """Half as many environments as episodes between updates (PPO wants at least two steps of each)."""
    from stable_baselines3.common.vec_env import DummyVecEnv

    from nas_proxy.mapping.environments import OneShotEnv

    return DummyVecEnv([partial(OneShotEnv, problem)] * max(1, episodes // 2))


def _lockstep(problem: Problem, episodes: int):
    """Several :class:`~nas_proxy.mapping.environments.StepwiseEnv` that finish, and are evaluated, together."""
    from stable_baselines3.common.vec_env import VecEnv

    from nas_proxy.mapping.environments import StepwiseEnv

    class Lockstep(VecEnv):
        def __init__(self) -> None:
            self.envs = [StepwiseEnv(problem) for _ in range(episodes)]
            super().__init__(episodes, self.envs[0].observation_space, self.envs[0].action_space)

        def reset(self):
            return np.stack([env.reset()[0] for env in self.envs])

        def step_async(self, actions: np.ndarray) -> None:
            self._actions = actions

        def step_wait(self):
            results = [env.step(int(action)) for env, action in zip(self.envs, self._actions, strict=True)]
            observations, rewards, over = (list(part) for part in list(zip(*results, strict=True))[:3])
            infos: list[dict] = [{} for _ in self.envs]
            for i in np.flatnonzero(over):
                infos[i]["terminal_observation"] = observations[i]
                observations[i] = self.envs[i].reset()[0]
            return np.stack(observations), np.array(rewards, dtype=np.float32), np.array(over), infos

        def close(self) -> None:
            pass

        def get_attr(self, attr_name: str, indices: Any = None) -> list[Any]:
            return [getattr(env, attr_name) for env in self.envs]

        def set_attr(self, attr_name: str, value: Any, indices: Any = None) -> None:
            for env in self.envs:
                setattr(env, attr_name, value)

        def env_method(self, method_name: str, *method_args, indices: Any = None, **method_kwargs) -> list[Any]:
            return [getattr(env, method_name)(*method_args, **method_kwargs) for env in self.envs]

        def env_is_wrapped(self, wrapper_class: Any, indices: Any = None) -> Sequence[bool]:
            return [False] * episodes

    return Lockstep()


masked = partial(PpoMapper, form="stepwise", rate=1e-3, episodes=16)
unmasked = partial(PpoMapper, form="one-shot")
#: ArchGym's literal hyper-parameters (learning rate 2e-5, entropy 0.1, three layers of 32); the rest as SB3 has it.
archgym = partial(PpoMapper, form="one-shot", rate=2e-5, entropy=0.1, layers=(32, 32, 32), episodes=64, minibatch=64)
