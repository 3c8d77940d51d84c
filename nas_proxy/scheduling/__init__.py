"""A network on a pipeline of devices: exact, learned and commercial ways to cut it into stages."""

from nas_proxy.scheduling._base import Scheduler
from nas_proxy.scheduling._problem import HOST, DoesNotFitError, PipelineProblem, Schedule, Tensor, evaluate
from nas_proxy.scheduling.synthetic import synthetic_problem

__all__ = [
    "HOST",
    "DoesNotFitError",
    "PipelineProblem",
    "Schedule",
    "Scheduler",
    "Tensor",
    "evaluate",
    "register_environments",
    "synthetic_problem",
]


def register_environments() -> None:
    """Make ``nas_proxy/PipelineSchedule-v0`` known to Gymnasium.

    Importing ``nas_proxy.scheduling`` does it; ``gymnasium.make("nas_proxy.scheduling:nas_proxy/PipelineSchedule-v0")``
    imports it first. (Gymnasium 1 no longer looks for environments in installed packages.)
    """
    try:
        import gymnasium
    except ImportError:  # Gymnasium is an extra
        return
    if "nas_proxy/PipelineSchedule-v0" not in gymnasium.registry:
        gymnasium.register(
            "nas_proxy/PipelineSchedule-v0", entry_point="nas_proxy.scheduling.environment:PipelineScheduleEnv"
        )


register_environments()
