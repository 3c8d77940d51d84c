"""Ranking by one measured proxy device, adapted to each target: arrays in, arrays out.

Measurements are refused, with a message that says which and what to do, if a latency is not a positive number, there
are fewer than three, all are the same (nothing can be ranked), an architecture is there twice or is not of the space,
or there are not as many latencies as architectures.
"""

from nas_proxy.ranking._posterior import Inputs, Posterior, ProxyKnowledge
from nas_proxy.ranking.monotonicity import Monotonicity
from nas_proxy.ranking.pareto import hypervolume, pareto_front
from nas_proxy.ranking.proxy import ProxyLatencyModel
from nas_proxy.ranking.selection import select_proxy
from nas_proxy.ranking.target import AdaptationMethod, TargetLatencyModel

__all__ = [
    "AdaptationMethod",
    "Inputs",
    "Monotonicity",
    "Posterior",
    "ProxyKnowledge",
    "ProxyLatencyModel",
    "TargetLatencyModel",
    "hypervolume",
    "pareto_front",
    "select_proxy",
]
