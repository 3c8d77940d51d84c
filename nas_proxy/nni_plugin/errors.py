"""What can go wrong with an experiment that was started in good order."""

from __future__ import annotations

from nas_proxy.errors import NasProxyError

__all__ = ["ExperimentError", "InterruptedExperimentError"]


class ExperimentError(NasProxyError):
    """The experiment failed: the search could not go on, or every trial failed."""

    exit_code = 1


class InterruptedExperimentError(ExperimentError):
    """NNI's manager or tuner died or was stopped; nothing finished is lost and the run can be resumed."""
