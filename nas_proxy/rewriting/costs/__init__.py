"""What a network costs on a target, node by node, so that a substitution is priced by what it changes."""

from nas_proxy.rewriting.costs._base import GraphCost, NodewiseCost, Priced
from nas_proxy.rewriting.costs._targets import cost_for
from nas_proxy.rewriting.costs.measured import MeasuredCost
from nas_proxy.rewriting.costs.plain import PlainCost
from nas_proxy.rewriting.costs.simulated import EdgeTPUCost, PipelineCost, SpatialCost

__all__ = [
    "EdgeTPUCost",
    "GraphCost",
    "MeasuredCost",
    "NodewiseCost",
    "PipelineCost",
    "PlainCost",
    "Priced",
    "SpatialCost",
    "cost_for",
]
