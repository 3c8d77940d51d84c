"""What a scheduler is."""

from __future__ import annotations

from typing import Protocol, runtime_checkable

from nas_proxy.scheduling._problem import PipelineProblem, Schedule

__all__ = ["Scheduler"]


@runtime_checkable
class Scheduler(Protocol):
    """Maps the units of a problem to stages. The same problem gives the same schedule.

    ``never_worse_than_dp`` says whether :meth:`schedule` is at least as good as cutting the execution order exactly,
    which every scheduler but a baseline can fall back on.
    """

    @property
    def name(self) -> str:
        """What the schedule calls its scheduler."""
        ...

    @property
    def never_worse_than_dp(self) -> bool:
        """Whether no schedule is worse than the best cut of the execution order (``dp``)."""
        ...

    def schedule(self, problem: PipelineProblem) -> Schedule:
        """A stage for every unit, with transfers forwards only."""
        ...
