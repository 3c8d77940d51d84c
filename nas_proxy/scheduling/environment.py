"""Scheduling as a Gymnasium environment: place one ready unit a step, be paid for the pipeline's bottleneck."""

from __future__ import annotations

from typing import Any, ClassVar

import gymnasium
import numpy as np
from gymnasium import spaces

from nas_proxy.scheduling._orders import best_cut
from nas_proxy.scheduling._problem import PipelineProblem
from nas_proxy.scheduling.respect._features import CONTEXT_FEATURES, MOVE_FEATURES, UNIT_FEATURES, encode
from nas_proxy.scheduling.respect._state import DecodingState
from nas_proxy.scheduling.synthetic import synthetic_problem

__all__ = ["PipelineScheduleEnv"]

_LARGE = 1e6  # features are of the order of 1


class PipelineScheduleEnv(gymnasium.Env):
    """``gymnasium.make("nas_proxy.scheduling:nas_proxy/PipelineSchedule-v0")``.

    | | | |
    |---|---|---|
    | action | ``Discrete(units)`` | the unit to place next; one that is not ready is replaced by the first ready one |
    | ``units`` | ``(units, 17)`` | features of units, fixed during an episode |
    | ``ready`` | ``(units,)`` of 0 or 1 | which can be placed: the action mask, also in ``info["action_mask"]`` |
    | ``moves`` | ``(units, 6)`` | of ready units: what placing them now would do; 0 for others |
    | ``context`` | ``(5,)`` | progress, in all and within the current stage |

    The reward is 0 until the last unit is placed, then ``-log(bottleneck / lower bound)`` of the best cut of the order,
    at most 0. An episode is one problem: the one given, or a synthetic one of ``units`` units drawn at each reset.
    ``info`` holds ``bottleneck_ms`` and ``stage_of`` at the end.
    """

    metadata: ClassVar[dict[str, Any]] = {"render_modes": []}

    def __init__(self, units: int = 30, problem: PipelineProblem | None = None) -> None:
        self._given = problem
        self._n = n = problem.n if problem is not None else units
        self.action_space = spaces.Discrete(n)
        self.observation_space = spaces.Dict(
            {
                "units": spaces.Box(-_LARGE, _LARGE, (n, UNIT_FEATURES), np.float32),
                "ready": spaces.MultiBinary(n),
                "moves": spaces.Box(-_LARGE, _LARGE, (n, MOVE_FEATURES), np.float32),
                "context": spaces.Box(-_LARGE, _LARGE, (CONTEXT_FEATURES,), np.float32),
            }
        )

    def reset(self, *, seed: int | None = None, options: dict[str, Any] | None = None) -> tuple[dict, dict]:
        """Start an episode: nothing is placed yet."""
        super().reset(seed=seed)
        self._problem = self._given or synthetic_problem(self._n, self.np_random)
        self._instance = encode(self._problem)
        self._state = DecodingState([self._instance], 1)
        self._order: list[int] = []
        return self._observation(), {"action_mask": self._mask()}

    def step(self, action: int) -> tuple[dict, float, bool, bool, dict]:
        """Place the unit ``action``, or the first ready one where it is not ready. The last one is rewarded."""
        unit = int(action) if self._state.ready[0, int(action)] else int(self._state.ready[0].argmax())
        self._state.place(np.array([unit]), len(self._order))
        self._order.append(unit)
        done = len(self._order) == self._n
        info: dict[str, Any] = {"action_mask": self._mask()}
        reward = 0.0
        if done:
            schedule = best_cut(self._problem, np.array(self._order))
            reward = -float(np.log(schedule.bottleneck_ms / self._problem.lower_bound_ms))
            info |= {"bottleneck_ms": schedule.bottleneck_ms, "stage_of": schedule.stage_of}
        return self._observation(), reward, done, False, info

    def _mask(self) -> np.ndarray:
        return self._state.ready[0].astype(np.int8)

    def _observation(self) -> dict[str, np.ndarray]:
        row, unit = np.nonzero(self._state.ready)
        moves = np.zeros((self._n, MOVE_FEATURES), np.float32)
        move, context = self._state.features(row, unit, len(self._order))
        moves[unit] = move
        return {"units": self._instance.units.copy(), "ready": self._mask(), "moves": moves, "context": context[0]}
