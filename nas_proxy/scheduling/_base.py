"""What a scheduler is, and those that are known by name."""

from __future__ import annotations

from typing import Protocol

from nas_proxy.registry import Registry
from nas_proxy.scheduling._problem import PipelineProblem, Schedule

__all__ = ["Scheduler", "get_scheduler", "register_scheduler", "schedulers"]


class Scheduler(Protocol):
    """Maps the units of a problem to stages. The same problem gives the same schedule.

    ``never_worse_than_dp`` says whether :meth:`schedule` is at least as good as cutting the execution order exactly,
    which every scheduler but a baseline can fall back on.
    """

    @property
    def name(self) -> str: ...

    @property
    def never_worse_than_dp(self) -> bool: ...

    def schedule(self, problem: PipelineProblem) -> Schedule: ...


_known: Registry[type[Scheduler]] = Registry(
    "scheduler",
    {
        "compiler": "nas_proxy.scheduling._heuristics:CompilerScheduler",
        "dp": "nas_proxy.scheduling._heuristics:DPScheduler",
        "ideal_dp": "nas_proxy.scheduling._exact:IdealDPScheduler",
        "milp": "nas_proxy.scheduling._exact:MILPScheduler",
        "respect": "nas_proxy.scheduling.respect:RespectScheduler",
        "respect-small": "nas_proxy.scheduling.respect._scheduler:small",
        "respect-published": "nas_proxy.scheduling.respect:PublishedScheduler",
    },
)


def register_scheduler(name: str, entry: type[Scheduler] | str) -> None:
    """Make a scheduler known by name: a class, or ``"module:Class"``, that can be made without arguments."""
    _known.register(name, entry)


def get_scheduler(name: str, **options: object) -> Scheduler:
    """A scheduler by name, with its options.

    Raises:
        UnknownNameError: no scheduler has the name; the message names the closest.
    """
    return _known.get(name)(**options)


def schedulers() -> list[str]:
    """Names of all schedulers."""
    return list(_known)
