"""Rewriting as a Gymnasium environment."""

from __future__ import annotations

from typing import Any, ClassVar

import gymnasium
import numpy as np
from gymnasium import spaces

from nas_proxy import extensions
from nas_proxy.devices.costs import GraphCost
from nas_proxy.graph import TensorGraph
from nas_proxy.rewriting._budget import Budget
from nas_proxy.rewriting._state import start
from nas_proxy.rewriting.planted import training_graph
from nas_proxy.rewriting.xrlflow._episode import Episode
from nas_proxy.rewriting.xrlflow._features import CANDIDATE_FEATURES, NODE_FEATURES, observe
from nas_proxy.rewriting.xrlflow._train import random_device

__all__ = ["GraphRewriteEnv"]

_LARGE = 1e6


class GraphRewriteEnv(gymnasium.Env):
    """Substitutions in a network, one a step, until it is stopped or none is left.

    | Action | |
    |---|---|
    | ``i`` below the number of candidates | take candidate ``i`` |
    | anything else | stop |

    | Observation | | |
    |---|---|---|
    | ``graph`` | ``spaces.Graph`` | nodes: index of the operator, features; edges: size |
    | ``candidates`` | ``(most, CANDIDATE_FEATURES + 2)`` | rule (by name), node where it starts, features; 0 for none |
    | ``progress`` | ``(2,)`` | steps taken, saved so far |

    The reward is what a substitution saves, as a share of the first graph's cost; below 0 where it costs. A
    substitution that leads to a graph of the same episode, recognised by its structural hash, is not taken. Candidates
    are found anew only around what changed. ``info`` holds ``action_mask``, ``cost``, and ``rules``, the candidates'
    rules by name.

    Args:
        graph: the network; a random one at each reset where it is left out.
        cost: what it costs; a random device at each reset where it is left out.
        length: steps at most.
        most: candidates shown at most.
    """

    metadata: ClassVar[dict[str, Any]] = {"render_modes": []}

    def __init__(
        self, graph: TensorGraph | None = None, cost: GraphCost | None = None, length: int = 40, most: int = 128
    ) -> None:
        self._graph, self._cost, self._length, self._most = graph, cost, length, most
        self._rules = {name: i for i, name in enumerate(extensions.names("rules"))}
        self.action_space = spaces.Discrete(most + 1)
        node = spaces.Box(-_LARGE, _LARGE, (NODE_FEATURES + 1,), np.float32)
        self.observation_space = spaces.Dict(
            {
                "graph": spaces.Graph(node_space=node, edge_space=spaces.Box(-_LARGE, _LARGE, (1,), np.float32)),
                "candidates": spaces.Box(-_LARGE, _LARGE, (most, CANDIDATE_FEATURES + 2), np.float32),
                "progress": spaces.Box(-_LARGE, _LARGE, (2,), np.float32),
            }
        )

    def reset(self, *, seed: int | None = None, options: dict[str, Any] | None = None) -> tuple[dict, dict]:
        """Start an episode, on a graph in which at least one substitution is possible."""
        super().reset(seed=seed)
        while True:
            graph = self._graph or training_graph(self.np_random)
            cost = self._cost or random_device(self.np_random)
            self._episode = Episode(start(graph, cost), Budget(10**9), self._length, self._most)
            if self._graph is not None or not self._episode.done:
                return self._observation(), self._info()

    def step(self, action: int) -> tuple[dict, float, bool, bool, dict]:
        """Take a candidate, or stop."""
        reward = self._episode.step(int(action))
        return self._observation(), float(reward), self._episode.done, False, self._info()

    def _info(self) -> dict[str, Any]:
        mask = np.zeros(self._most + 1, np.int8)
        mask[: len(self._episode.candidates)] = mask[-1] = 1
        rules = tuple(edit.rule for edit in self._episode.candidates)
        return {"action_mask": mask, "cost": self._episode.state.total, "rules": rules}

    def _observation(self) -> dict[str, Any]:
        seen = observe(self._episode)
        operator = seen.operator[:, None].astype(np.float32)
        candidates = np.zeros((self._most, CANDIDATE_FEATURES + 2), np.float32)
        count = len(seen.rule)
        candidates[:count, 0] = [self._rules.get(name, len(self._rules)) for name in seen.rule]
        candidates[:count, 1] = seen.anchor
        candidates[:count, 2:] = seen.candidates
        nodes = np.concatenate([operator, seen.nodes], axis=1)
        return {
            "graph": spaces.GraphInstance(nodes, seen.nodes[seen.edges[:, 0], :1], seen.edges),
            "candidates": candidates,
            "progress": seen.progress,
        }
