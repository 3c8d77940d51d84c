"""Searches for mappings: the multi-agent mapper, and what it is compared with."""

from nas_proxy.mapping.mappers._base import Mapper, get_mapper, map_problem, mappers, register_mapper

__all__ = ["Mapper", "get_mapper", "map_problem", "mappers", "register_mapper"]
