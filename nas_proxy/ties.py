"""What to take of values that are equal but for rounding.

Sums are rounded differently by every processor and in every order of their terms, so two values that are equal by right
may differ in their last bits. Whatever is decided by comparing computed values is decided here: values that differ by
no more than a tolerance are equal, and of equals the first is taken. Callers put what they compare into an order that
does not depend on how it was given (by the text of an architecture, by the name of a column or a device).
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

__all__ = ["SAME", "first_largest", "first_smallest", "largest", "levels", "order", "rounded", "settled"]

SAME = 1e-9
"""Relative difference up to which values are equal: far above rounding, far below what anybody can measure."""


def first_largest(values: ArrayLike, within: float | None = None) -> int:
    """Index of the first of ``values`` ``(n,)`` that is within a tolerance of the largest.

    Args:
        within: the absolute tolerance; by default ``SAME`` times the largest value's size.
    """
    values = np.asarray(values, dtype=np.float64)
    best = values.max()
    return int(np.argmax(values >= best - (SAME * abs(best) if within is None else within)))


def first_smallest(values: ArrayLike, within: float | None = None) -> int:
    """Index of the first of ``values`` ``(n,)`` that is within a tolerance of the smallest; see
    :func:`first_largest`."""
    return first_largest(-np.asarray(values, dtype=np.float64), within)


def largest(values: NDArray[np.float64], k: int, within: float | NDArray[np.float64]) -> NDArray[np.int64]:
    """Indices, rising, of the ``k`` largest of each row of ``values`` ``(..., n)``, shape ``(..., k)``.

    Of those within a tolerance of the k-th largest the first are taken; all where ``n`` is below ``k``.

    Args:
        within: the absolute tolerance, one number or one a row, ``(..., 1)``.
    """
    k = min(k, values.shape[-1])
    if k == 0:
        return np.zeros((*values.shape[:-1], 0), dtype=np.int64)
    last = -np.partition(-values, k - 1, axis=-1)[..., k - 1, None]
    sure = values > last + within
    tied = ~sure & (values >= last - within)
    taken = sure | (tied & (np.cumsum(tied, axis=-1, dtype=np.int32) <= k - sure.sum(axis=-1, keepdims=True)))
    return np.nonzero(taken)[-1].reshape(*values.shape[:-1], k)


def levels(values: ArrayLike, within: float = SAME) -> NDArray[np.int64]:
    """Ranks from 0 in each column of ``values`` ``(n,)`` or ``(n, columns)``; equal values have the same rank.

    Args:
        within: how far apart neighbouring values are equal, relative to the larger of the two.
    """
    values = np.asarray(values, dtype=np.float64)
    rising = np.argsort(values, axis=0, kind="stable")
    ordered = np.take_along_axis(values, rising, axis=0)
    low, high = ordered[:-1], ordered[1:]
    finite = np.isfinite(low) & np.isfinite(high)  # an infinity is equal to itself alone
    low_size, high_size = np.where(finite, low, 0.0), np.where(finite, high, 0.0)
    apart = high_size - low_size > within * np.maximum(np.abs(low_size), np.abs(high_size))
    ranks = np.zeros(values.shape, dtype=np.int64)
    ranks[1:] = np.cumsum(np.where(finite, apart, low < high), axis=0)
    found = np.empty_like(ranks)
    np.put_along_axis(found, rising, ranks, axis=0)
    return found


def order(values: ArrayLike) -> NDArray[np.int64]:
    """Indices ``(n,)`` that sort ``values`` ``(n,)`` by rising value, equal values as they were given."""
    return np.argsort(levels(values), kind="stable")


def settled(values: ArrayLike, seen: ArrayLike, within: float = SAME) -> NDArray[np.float64]:
    """``values`` ``(n,)``, those that are equal to one of ``seen`` or to each other made so in every bit: for libraries
    that compare by themselves."""
    both = np.concatenate([np.asarray(seen, dtype=np.float64), np.asarray(values, dtype=np.float64)])
    _, first, level = np.unique(levels(both, within), return_index=True, return_inverse=True)
    return both[first][level.ravel()][len(both) - len(np.asarray(values)) :]


def rounded(values: NDArray[Any], digits: int) -> NDArray[np.float64]:
    """``values`` to so many significant digits: for what is shown and stored."""
    size = np.abs(values)
    unit = 10.0 ** (np.floor(np.log10(np.where(size > 0, size, 1.0))) - (digits - 1))
    return np.round(values / unit) * unit
