"""The shipped rules, one module a family; importing this package registers them."""

from nas_proxy.rewriting.rules import affine, algebra, cleaning, layout, merging, pooling, selection, splitting

__all__ = ["affine", "algebra", "cleaning", "layout", "merging", "pooling", "selection", "splitting"]
