"""Searches for the cheapest equivalent graph, known by name."""

from nas_proxy.rewriting.rewriters._base import (
    Budget,
    Rewriter,
    Rewritten,
    get_rewriter,
    register_rewriter,
    rewriters,
    search,
)

__all__ = ["Budget", "Rewriter", "Rewritten", "get_rewriter", "register_rewriter", "rewriters", "search"]
