"""Layers onto spatial accelerators: cost model, mapping space, mappers."""

from __future__ import annotations

from pathlib import Path

from nas_proxy.errors import InputError
from nas_proxy.mapping.accelerator import Accelerator
from nas_proxy.mapping.cost_model import CostModel, Costs
from nas_proxy.mapping.layer import Layer, parse_layer
from nas_proxy.mapping.mappers import get_mapper, map_problem, register_mapper
from nas_proxy.mapping.mappings import Mappings, loop_nest
from nas_proxy.mapping.problem import Objective, Problem, SearchResult
from nas_proxy.mapping.show import show

__all__ = [
    "Accelerator",
    "CostModel",
    "Costs",
    "Layer",
    "Mappings",
    "Problem",
    "SearchResult",
    "get_mapper",
    "loop_nest",
    "map_problem",
    "map_to_device",
    "parse_layer",
    "register_mapper",
    "show",
]


def map_to_device(
    layer: str | Layer,
    device: str | Path,
    objective: Objective = "edp",
    *,
    budget: int = 1000,
    max_cycles: float | None = None,
    mapper: str = "marl",
    seed: int = 0,
) -> tuple[Layer, Accelerator, SearchResult]:
    """Map one layer to a device by name or path: the layer, the accelerator and what was found.

    Raises:
        UnknownNameError: no such device, mapper, objective or kind of layer; the message names the closest.
        InputError: the device is not a spatial accelerator, or layer, budget or limit cannot be (says why).
    """
    from nas_proxy.devices import get_device
    from nas_proxy.devices.spatial import SpatialDevice

    layer = parse_layer(layer) if isinstance(layer, str) else layer
    found = get_device(device)
    if not isinstance(found, SpatialDevice):
        raise InputError(f"{device} is not a spatial accelerator: layers are mapped to devices of kind 'spatial' only.")
    problem = Problem(layer, found.accelerator, objective, budget=budget, max_cycles=max_cycles, pad=True)
    return layer, found.accelerator, map_problem(problem, mapper, seed)
