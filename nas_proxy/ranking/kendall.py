"""Kendall's tau: how well two rankings agree. The one place where it is computed of two rankings; what a fleet is
expected to have, without drawing any, is in :mod:`nas_proxy.ranking._fleet_monotonicity`.

Tau-b (Kendall 1945) is the number of pairs in the same order less those in opposite orders, over the geometric mean of
the numbers of pairs that each side tells apart: 1 where all pairs are in the same order, -1 where all are reversed.
Values that differ by rounding only are equal (:mod:`nas_proxy.ties`).
"""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy import stats

from nas_proxy.errors import InputError
from nas_proxy.ties import levels

__all__ = ["kendall_tau", "kendall_taus"]


def kendall_tau(a: ArrayLike, b: ArrayLike) -> float:
    """Kendall's tau-b of two sequences of ``n`` numbers, such as predicted and measured latencies.

    0 where one of the two has no order to agree with: fewer than two values, or all of them the same.

    Raises:
        InputError: the lengths differ, or a value is not a number: leave out what is not measured.
    """
    a, b = np.asarray(a, dtype=np.float64), np.asarray(b, dtype=np.float64)
    if a.ndim != 1 or a.shape != b.shape:
        raise InputError(f"Kendall's tau is of two sequences of the same length, found shapes {a.shape} and {b.shape}.")
    return float(kendall_taus(a[:, None], b[:, None])[0])


def kendall_taus(a: NDArray[np.float64], b: NDArray[np.float64]) -> NDArray[np.float64]:
    """:func:`kendall_tau` of each column of ``a`` and ``b`` ``(n, columns)``; ``a`` may be one column for all.

    Raises:
        InputError: a value is not a number.
    """
    if np.isnan(a).any() or np.isnan(b).any():
        raise InputError("Kendall's tau is of numbers, found NaN: leave out what is not measured.")
    if len(b) < 2:
        return np.zeros(int(b.shape[1]))
    pairs = zip(np.broadcast_to(levels(a), b.shape).T, levels(b).T, strict=True)
    taus = [stats.kendalltau(x, y, method="asymptotic")[0] for x, y in pairs]
    return np.nan_to_num(np.array(taus, dtype=np.float64))  # scipy says NaN where there is no order
