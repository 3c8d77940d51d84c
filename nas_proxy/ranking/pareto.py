"""Pareto fronts of accuracy and latency."""

# pymoo has no types.
# pyright: reportMissingTypeStubs=false, reportUnknownMemberType=false

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike, NDArray

from nas_proxy.errors import InputError
from nas_proxy.ties import SAME, first_largest, levels

__all__ = ["hypervolume", "non_dominated", "pareto_front", "recommended"]

_AS_ACCURATE = 0.01  # relative


def pareto_front(accuracy: ArrayLike, latency_ms: ArrayLike) -> NDArray[np.int64]:
    """Indices of the architectures that no other beats in accuracy and latency, by rising latency.

    Of several with the same accuracy and latency, the first is kept; values that differ by rounding only are the same
    (:mod:`nas_proxy.ties`). Takes O(n log n).

    Args:
        accuracy: the higher the better, ``(n,)``.
        latency_ms: the lower the better, ``(n,)``; measured or predicted.

    Raises:
        InputError: lengths differ or a value is not finite.
    """
    accuracy, latency_ms = _checked(accuracy, latency_ms)
    good, slow = levels(accuracy), levels(latency_ms)
    order = np.lexsort((np.arange(len(good)), -good, slow))
    best_so_far = np.maximum.accumulate(np.concatenate([[-1], good[order]]))
    return order[good[order] > best_so_far[:-1]]


def recommended(accuracy: ArrayLike, latency_ms: ArrayLike, limit_ms: float | None = None) -> int | None:
    """Which architecture to ship: the most accurate within the limit; without one, the fastest of those that reach 99 %
    of the best accuracy, since a point that costs twice the time is rarely wanted.

    Returns:
        Its index, or None where nothing keeps the limit.

    Raises:
        InputError: lengths differ or a value is not finite.
    """
    accuracy, latency_ms = _checked(accuracy, latency_ms)
    front = pareto_front(accuracy, latency_ms)  # by rising latency and accuracy
    if limit_ms is not None:
        front = front[latency_ms[front] <= limit_ms * (1 + SAME)]
        return int(front[-1]) if len(front) else None
    if not len(front):
        return None
    best = float(accuracy[front].max())
    return int(front[first_largest(accuracy[front], within=(_AS_ACCURATE + SAME) * abs(best))])


def non_dominated(costs: NDArray[np.float64]) -> NDArray[np.int64]:
    """Indices, rising, of the rows of ``costs`` ``(n, d)`` that no other row beats: lower is better. (By pymoo.)"""
    from pymoo.util.nds.non_dominated_sorting import NonDominatedSorting

    if len(costs) == 0:
        return np.zeros(0, dtype=np.int64)
    return np.sort(np.asarray(NonDominatedSorting().do(levels(costs), only_non_dominated_front=True), dtype=np.int64))


def hypervolume(
    accuracy: ArrayLike, latency_ms: ArrayLike, reference_accuracy: float, reference_latency_ms: float
) -> float:
    """Area between the Pareto front and a reference point that is worse in both, in accuracy units times ms.

    Points that are not better than the reference in both add nothing. (Zitzler & Thiele 1998; computed by pymoo.)

    Raises:
        InputError: lengths differ or a value is not finite.
    """
    from pymoo.indicators.hv import HV

    accuracy, latency_ms = _checked(accuracy, latency_ms)
    if not np.isfinite([reference_accuracy, reference_latency_ms]).all():
        raise InputError(f"the reference must be finite, found {reference_accuracy} and {reference_latency_ms} ms.")
    if len(accuracy) == 0:
        return 0.0
    front = pareto_front(accuracy, latency_ms)
    costs = np.column_stack([-accuracy[front], latency_ms[front]])
    return float(np.asarray(HV(ref_point=np.array([-reference_accuracy, reference_latency_ms]))(costs)))


def _checked(accuracy: ArrayLike, latency_ms: ArrayLike) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    accuracy, latency_ms = np.asarray(accuracy, dtype=np.float64), np.asarray(latency_ms, dtype=np.float64)
    if accuracy.ndim != 1 or accuracy.shape != latency_ms.shape:
        raise InputError(
            f"expected as many accuracies as latencies, found arrays of shape {accuracy.shape} and {latency_ms.shape}."
        )
    bad = np.flatnonzero(~(np.isfinite(accuracy) & np.isfinite(latency_ms)))
    if len(bad):
        raise InputError(
            f"a Pareto front needs finite values; number {bad[0]} has accuracy {accuracy[bad[0]]} and latency "
            f"{latency_ms[bad[0]]} ms. Leave out what is not measured."
        )
    return accuracy, latency_ms
