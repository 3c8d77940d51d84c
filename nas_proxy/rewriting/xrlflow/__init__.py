"""X-RLflow (He, Parker and Yoneki, MLSys 2023): substitutions chosen by a graph neural network, trained with PPO."""

from nas_proxy.rewriting.xrlflow._episode import Episode
from nas_proxy.rewriting.xrlflow._features import Observation, observe
from nas_proxy.rewriting.xrlflow._policy import RewritingPolicy, load_policy, save_policy
from nas_proxy.rewriting.xrlflow._train import XRLflowTraining, train

__all__ = [
    "Episode",
    "Observation",
    "RewritingPolicy",
    "XRLflowTraining",
    "load_policy",
    "observe",
    "save_policy",
    "train",
]
