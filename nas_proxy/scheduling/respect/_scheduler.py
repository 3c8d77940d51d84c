"""The learned scheduler: a policy orders the units, dynamic programming cuts the order, local search polishes."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import ClassVar

import numpy as np
import torch
from numpy.typing import NDArray

from nas_proxy import files
from nas_proxy.errors import InputError
from nas_proxy.scheduling._orders import best_cut, best_cuts, bottlenecks, random_orders
from nas_proxy.scheduling._problem import PipelineProblem, Schedule, evaluate
from nas_proxy.scheduling._refine import refine
from nas_proxy.scheduling.respect._draw import draw_orders
from nas_proxy.scheduling.respect._features import encode
from nas_proxy.scheduling.respect._policy import SchedulingPolicy

__all__ = [
    "SHIPPED",
    "SMALL",
    "RespectScheduler",
    "SmallRespectScheduler",
    "load_policy",
    "save_policy",
    "save_weights",
]

#: Made by ``nas-proxy train respect --reinforce-steps 5000``.
SHIPPED = Path(__file__).with_name("policy.safetensors")
#: Made from it by ``nas-proxy compress respect -m 'L2 0.75 + distil'``.
SMALL = Path(__file__).with_name("policy-small.safetensors")


@dataclass(frozen=True)
class RespectScheduler:
    """After RESPECT (Yin et al., DAC 2023, arXiv 2304.04716), with the true bottleneck as reward.

    The policy emits topological orders (only ready units can be chosen), so every schedule is feasible; the execution
    order competes too, so none is worse than cutting that.

    Attributes:
        samples: orders decoded in one batch, the first of them greedily; 1 is greedy only.
        polished: how many schedules are improved by local search (0: none), alternately the best of the policy's and,
            for variety, the best of as many random orders.
        seed: of the draws.
        weights: a safetensors file from ``nas-proxy train respect``; the shipped one where None.
    """

    samples: int = 32
    polished: int = 8
    seed: int = 0
    weights: Path | None = None
    name: ClassVar[str] = "respect"
    never_worse_than_dp: ClassVar[bool] = True

    def __post_init__(self) -> None:
        if self.samples < 1 or self.polished < 0:
            raise InputError(
                f"respect needs at least one sample and no negative number polished, found samples={self.samples}, "
                f"polished={self.polished}."
            )

    def schedule(self, problem: PipelineProblem) -> Schedule:
        """As :meth:`Scheduler.schedule`.

        Raises:
            InputError: ``weights`` is no file with weights of the policy.
        """
        policy = load_policy(self.weights or SHIPPED)
        instance = encode(problem)
        rng = np.random.default_rng(self.seed)
        drawn = draw_orders(problem, instance, policy.keys(instance), self.samples, rng)
        found = np.concatenate([[problem.order], drawn])
        if self.polished == 0:
            return best_cut(problem, found, self.name)
        best = [_best_first(problem, found)]
        if self.samples > 1:
            best.append(_best_first(problem, random_orders(problem, self.samples, rng)))
        chosen = [order for both in zip(*best, strict=False) for order in both][: self.polished]
        _, starts = best_cuts(problem, np.array(chosen))
        stages, bottleneck_ms = refine(problem, starts)
        return evaluate(problem, stages[int(bottleneck_ms.argmin())], self.name)


@dataclass(frozen=True)
class SmallRespectScheduler(RespectScheduler):
    """The same with a policy of a tenth of the size."""

    weights: Path | None = SMALL
    name: ClassVar[str] = "respect-small"


def _best_first(problem: PipelineProblem, orders: NDArray[np.int64]) -> NDArray[np.int64]:
    return orders[np.argsort(bottlenecks(problem, orders), kind="stable")]


def save_policy(policy: SchedulingPolicy, path: str | Path, *, made_by: str) -> Path:
    """Write a policy's weights as safetensors, with the command that made them."""
    shape = {"width": str(policy.embed.out_features), "rounds": str(len(policy.mix))}
    return save_weights(policy, path, made_by=made_by, **shape)


def save_weights(module: torch.nn.Module, path: str | Path, **metadata: str) -> Path:
    """Write a module's weights as safetensors, atomically."""
    from safetensors.torch import save

    weights = {name: tensor.contiguous() for name, tensor in module.state_dict().items()}
    return files.write_bytes(path, save(weights, metadata))


@lru_cache(maxsize=4)
def load_policy(path: str | Path) -> SchedulingPolicy:
    """A policy from its weights.

    Raises:
        InputError: the file is absent, not safetensors, or not a policy's weights.
    """
    from safetensors import SafetensorError, safe_open

    path = Path(path)
    if not path.is_file():
        raise InputError(f"{path}: no such file: expected weights from `nas-proxy train respect`.")
    try:
        with safe_open(path, "pt") as file:
            shape = file.metadata() or {}
            policy = SchedulingPolicy(int(shape["width"]), int(shape["rounds"]))
            policy.load_state_dict({name: file.get_tensor(name) for name in file.keys()})  # noqa: SIM118
    except (SafetensorError, KeyError, ValueError, RuntimeError) as error:
        raise InputError(f"{path}: not the weights of a scheduling policy: {error}") from None
    return policy.eval()
