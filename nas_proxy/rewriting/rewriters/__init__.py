"""Searches for the cheapest equivalent graph."""

from nas_proxy.rewriting.rewriters._base import Budget, Rewriter, Rewritten, SearchRewriter

__all__ = ["Budget", "Rewriter", "Rewritten", "SearchRewriter"]
