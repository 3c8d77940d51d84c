"""Layers onto spatial accelerators: cost model, mapping space, mappers."""

from nas_proxy.mapping.accelerator import Accelerator
from nas_proxy.mapping.cost_model import CostModel, Costs
from nas_proxy.mapping.layer import Layer, parse_layer
from nas_proxy.mapping.mappers import map_problem
from nas_proxy.mapping.mappings import Mappings, loop_nest
from nas_proxy.mapping.problem import Problem, SearchResult

__all__ = [
    "Accelerator",
    "CostModel",
    "Costs",
    "Layer",
    "Mappings",
    "Problem",
    "SearchResult",
    "loop_nest",
    "map_problem",
    "parse_layer",
]
