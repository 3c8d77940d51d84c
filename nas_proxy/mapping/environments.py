"""The mapping space as reinforcement-learning environments: PettingZoo for many agents, gymnasium for one.

One episode is one evaluation (or, for many agents, a few in a row); the reward is that of
:meth:`nas_proxy.mapping.problem.Problem.reward`, 0 for the worst sensible mapping, 1 for an ideal that memory would
never delay. Nothing is delayed or uncertain: discounting has nothing to do here. When the problem's budget is spent,
``step`` raises :class:`~nas_proxy.mapping.problem.BudgetSpentError`.

- :class:`AgentsEnv`: each agent names a choice; the joint choice is repaired to a valid one. Observation: who holds
  what, ``8 n`` zeros and ones.
- :class:`StepwiseEnv`: one decision after the other under ``action_masks()``, so that all episodes end valid.
  Observation: which decision is at hand and what has been decided, ``9 n``.
- :class:`OneShotEnv`: all decisions at once, no mask; mappings that do not fit score below 0. Observation: a constant.
"""

from __future__ import annotations

from typing import Any, ClassVar

import gymnasium
import numpy as np
from gymnasium import spaces
from numpy.typing import NDArray
from pettingzoo import ParallelEnv

from nas_proxy.mapping.problem import Problem
from nas_proxy.mapping.space import CHOICES

__all__ = ["AgentsEnv", "OneShotEnv", "StepwiseEnv"]


def _one_hot(choices: NDArray[np.int64], known: int) -> NDArray[np.float32]:
    """The first ``known`` choices as ``8 n`` zeros and ones."""
    held = np.zeros((len(choices), CHOICES), dtype=np.float32)
    held[np.arange(known), choices[:known]] = 1.0
    return held.ravel()


class AgentsEnv(ParallelEnv):
    """One agent per decision, one shared reward.

    Each step, every agent names its choice; where the joint choice does not fit, those whose turn comes later (in
    random order) take what is left. An episode starts from a random valid mapping and lasts ``turns`` steps.
    """

    metadata: ClassVar[dict[str, Any]] = {"name": "nas_proxy_mapping_v0", "render_modes": []}

    def __init__(self, problem: Problem, turns: int = 1) -> None:
        self.problem, self.turns = problem, turns
        n = len(problem.space)
        self.possible_agents = [f"{i}: {d.label}" for i, d in enumerate(problem.space.decisions)]
        self.agents: list[str] = []
        self.observation_spaces = {
            agent: spaces.Box(0.0, 1.0, (n * CHOICES,), np.float32) for agent in self.possible_agents
        }
        self.action_spaces = {
            agent: spaces.Discrete(decision.choices)
            for agent, decision in zip(self.possible_agents, problem.space.decisions, strict=True)
        }
        self._rng = np.random.default_rng()

    def observation_space(self, agent: str) -> spaces.Space:
        """What an agent observes, as PettingZoo asks for it."""
        return self.observation_spaces[agent]

    def action_space(self, agent: str) -> spaces.Space:
        """The choices of an agent, as PettingZoo asks for them."""
        return self.action_spaces[agent]

    def reset(self, seed: int | None = None, options: dict | None = None) -> tuple[dict, dict]:
        """Start an episode from a random mapping; returns observations and infos by agent."""
        if seed is not None:
            self._rng = np.random.default_rng(seed)
        self.agents, self._turn = list(self.possible_agents), 0
        self._held = self.problem.space.sample(self._rng, 1)[0]
        return self._observe(), {agent: {} for agent in self.agents}

    def step(self, actions: dict[str, int]) -> tuple[dict, dict, dict, dict, dict]:
        """Take the agents' choices, repaired to a mapping that fits, and evaluate it.

        Returns observations, rewards, terminations, truncations and infos by agent.
        """
        wanted = self._held.copy()
        for i, agent in enumerate(self.possible_agents):
            wanted[i] = actions.get(agent, wanted[i])
        self._held = self.problem.space.repair(wanted[None], self._rng)[0]
        reward = float(self.problem.reward(self.problem.evaluate(self._held[None])[0])[0])
        self._turn += 1
        agents, over = self.agents, self._turn >= self.turns
        result = (
            self._observe(),
            dict.fromkeys(agents, reward),
            dict.fromkeys(agents, False),
            dict.fromkeys(agents, over),
            {agent: {} for agent in agents},
        )
        if over:
            self.agents = []
        return result

    def _observe(self) -> dict[str, NDArray[np.float32]]:
        seen = _one_hot(self._held, len(self._held))
        return {agent: seen.copy() for agent in self.agents}


class StepwiseEnv(gymnasium.Env):
    """One agent takes all decisions of a mapping one after the other; the reward comes with the last.

    A choice that the mask forbids is replaced by the lowest allowed one.
    """

    def __init__(self, problem: Problem) -> None:
        n = len(problem.space)
        self.problem = problem
        self.action_space = spaces.Discrete(CHOICES)
        self.observation_space = spaces.Box(0.0, 1.0, (n * (CHOICES + 1),), np.float32)

    def reset(self, *, seed: int | None = None, options: dict | None = None) -> tuple[NDArray[np.float32], dict]:
        """Start an episode: no decision is taken yet."""
        super().reset(seed=seed)
        self._choices, self._at = np.zeros(len(self.problem.space), dtype=np.int64), 0
        return self._observe(), {}

    def action_masks(self) -> NDArray[np.bool_]:
        """Allowed choices of the decision at hand, ``(8,)``."""
        return self.problem.space.mask(self._choices, self._at)

    def step(self, action: int) -> tuple[NDArray[np.float32], float, bool, bool, dict]:
        """Take one decision; the first allowed choice where ``action`` is none. The last one is rewarded."""
        allowed = self.action_masks()
        self._choices[self._at] = action if allowed[action] else int(np.argmax(allowed))
        self._at += 1
        if self._at < len(self._choices):
            return self._observe(), 0.0, False, False, {}
        values, _ = self.problem.evaluate(self.problem.space.canonical(self._choices[None].copy()))
        return self._observe(), float(self.problem.reward(values)[0]), True, False, {}

    def _observe(self) -> NDArray[np.float32]:
        n = len(self._choices)
        at = np.zeros(n, dtype=np.float32)
        at[min(self._at, n - 1)] = 1.0
        return np.concatenate([at, _one_hot(self._choices, self._at)])


class OneShotEnv(gymnasium.Env):
    """One agent takes all decisions at once, without masks (the form of ArchGym, Krishnan et al., ISCA 2023)."""

    def __init__(self, problem: Problem) -> None:
        self.problem = problem
        self.action_space = spaces.MultiDiscrete([decision.choices for decision in problem.space.decisions])
        self.observation_space = spaces.Box(0.0, 1.0, (1,), np.float32)

    def reset(self, *, seed: int | None = None, options: dict | None = None) -> tuple[NDArray[np.float32], dict]:
        """Start an episode. The observation, of shape ``(1,)``, says nothing."""
        super().reset(seed=seed)
        return np.zeros(1, dtype=np.float32), {}

    def step(self, action: NDArray[np.int64]) -> tuple[NDArray[np.float32], float, bool, bool, dict]:
        """Evaluate the mapping that ``action``, of one choice per decision, stands for; an episode is one step."""
        choices = self.problem.space.canonical(np.array(action, dtype=np.int64)[None])
        values, _ = self.problem.evaluate(choices)
        return np.zeros(1, dtype=np.float32), float(self.problem.reward(values)[0]), True, False, {}
