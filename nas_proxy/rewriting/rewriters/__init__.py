"""Searches for the cheapest equivalent graph."""

from nas_proxy.rewriting._budget import Budget
from nas_proxy.rewriting.rewriters._base import Rewriter, Rewritten, SearchRewriter

__all__ = ["Budget", "Rewriter", "Rewritten", "SearchRewriter"]
