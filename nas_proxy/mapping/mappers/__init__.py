"""Searches for mappings: the multi-agent mapper, and what it is compared with."""

from nas_proxy.mapping.mappers._base import Mapper, map_problem

__all__ = ["Mapper", "map_problem"]
