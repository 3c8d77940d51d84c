"""Ranking by one measured proxy device, adapted to each target: arrays in, arrays out."""

from nas_proxy.ranking.monotonicity import Monotonicity
from nas_proxy.ranking.pareto import hypervolume, pareto_front
from nas_proxy.ranking.proxy import ProxyLatencyModel
from nas_proxy.ranking.selection import select_proxy
from nas_proxy.ranking.target import AdaptationMethod, TargetLatencyModel, register_method

__all__ = [
    "AdaptationMethod",
    "Monotonicity",
    "ProxyLatencyModel",
    "TargetLatencyModel",
    "hypervolume",
    "pareto_front",
    "register_method",
    "select_proxy",
]
