"""Mappings of a layer to an accelerator, many at a time."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from nas_proxy.errors import InputError
from nas_proxy.mapping.accelerator import Accelerator
from nas_proxy.mapping.layer import DIMS, TENSORS, Layer

__all__ = ["SLOTS", "Mappings", "loop_nest"]

#: Where a loop can run, inner to outer: temporal in the register file, spatial on columns and rows, temporal between
#: buffer and array, temporal between DRAM and buffer.
SLOTS = ("RF", "X", "Y", "GLB", "DRAM")


@dataclass(frozen=True)
class Mappings:
    """A batch of mappings.

    Attributes:
        factors: ``(B, 5, 8)`` integers: loop bound of each dimension at each of :data:`SLOTS`. The product over the
            slots is the layer's bound, or more where it does not divide evenly (the edge then idles).
        order: ``(B, 2, 8)`` integers: dimension indices of the GLB (row 0) and DRAM (row 1) loops, outer to inner.
            Unit loops have no influence.
        keep: ``(B, 3)`` booleans: whether W, I and O are kept in the global buffer or bypass it.
        spatial_order: ``(B, 2, 8)`` integers: the same for columns (row 0) and rows (row 1); only neighbour links
            depend on it. None: the order of :data:`~nas_proxy.mapping.layer.DIMS`.
    """

    factors: NDArray[np.int64]
    order: NDArray[np.int64]
    keep: NDArray[np.bool_]
    spatial_order: NDArray[np.int64] | None = None

    def __post_init__(self) -> None:
        kinds = {"factors": np.int64, "order": np.int64, "keep": np.bool_, "spatial_order": np.int64}
        for what, kind in kinds.items():  # one layout: the counting is compiled for it alone
            if (value := getattr(self, what)) is not None:
                object.__setattr__(self, what, np.require(value, kind, ["C", "W"]))
        b = len(self.factors)
        shapes = {"factors": (b, 5, 8), "order": (b, 2, 8), "keep": (b, 3)}
        if self.spatial_order is not None:
            shapes["spatial_order"] = (b, 2, 8)
        for what, shape in shapes.items():
            found = getattr(self, what).shape
            if found != shape:
                raise InputError(f"mappings: expected {what} of shape {shape}, found {found}.")

    def __len__(self) -> int:
        return len(self.factors)

    def __getitem__(self, index: slice | NDArray) -> Mappings:
        """The mappings of an index array or slice, as a batch."""
        spatial = None if self.spatial_order is None else self.spatial_order[index]
        return Mappings(self.factors[index], self.order[index], self.keep[index], spatial)

    @staticmethod
    def concatenate(parts: list[Mappings]) -> Mappings:
        """All mappings of ``parts`` (without spatial orders), in order."""
        return Mappings(*(np.concatenate([getattr(p, what) for p in parts]) for what in ("factors", "order", "keep")))

    def check(self, layer: Layer, accelerator: Accelerator) -> None:
        """Refuse what is not a mapping of the layer at all; capacity is not looked at (it is a graded violation).

        Raises:
            InputError: a factor is not positive, the factors of a dimension do not cover its bound, an order is not a
                permutation, or spatial factors exceed the array. Says which, where.
        """
        if (self.factors < 1).any():
            i, slot, d = np.argwhere(self.factors < 1)[0]
            found = self.factors[i, slot, d]
            raise InputError(f"mapping {i}: factors must be positive, found {DIMS[d]}={found} at {SLOTS[slot]}.")
        covered = self.factors.prod(axis=1)
        if (covered < layer.bounds).any():
            i, d = np.argwhere(covered < layer.bounds)[0]
            raise InputError(
                f"mapping {i}: the factors of {DIMS[d]} must multiply to its bound {layer.bounds[d]} (or more), "
                f"found {covered[i, d]}."
            )
        for orders in (self.order, self.spatial_order):
            if orders is not None and (np.sort(orders, axis=-1) != np.arange(len(DIMS))).any():
                raise InputError("mappings: each loop order must name every dimension once, as indices 0 to 7.")
        for slot, size, axis in ((1, accelerator.pe_cols, "columns"), (2, accelerator.pe_rows, "rows")):
            used = self.factors[:, slot].prod(axis=-1)
            if (used > size).any():
                i = int(np.argmax(used > size))
                raise InputError(
                    f"mapping {i}: spatial factors on {SLOTS[slot]} multiply to {used[i]}, beyond the array's "
                    f"{size} {axis}."
                )


def loop_nest(mappings: Mappings, index: int = 0) -> str:
    """One mapping as the loop nest a person would write, outer to inner, with what each level keeps."""
    factors, order, keep = mappings.factors[index], mappings.order[index], mappings.keep[index]
    kept = " ".join(t for t, k in zip(TENSORS, keep, strict=True) if k) or "nothing"
    natural = range(len(DIMS))
    blocks = (
        ("DRAM keeps W I O", "for", factors[4], order[1]),
        (f"GLB keeps {kept}", "for", factors[3], order[0]),
        ("PE rows (Y)", "parallel", factors[2], natural),
        ("PE columns (X)", "parallel", factors[1], natural),
        ("RF keeps W I O", "for", factors[0], natural),
    )
    lines, depth = [], 0
    for title, word, bounds, dims in blocks:
        lines.append("  " * depth + f"[{title}]")
        for d in dims:
            if bounds[d] > 1:
                lines.append("  " * depth + f"{word} {DIMS[d].lower()} in 0..{bounds[d] - 1}")
                depth += 1
    return "\n".join([*lines, "  " * depth + "O += W * I"])
