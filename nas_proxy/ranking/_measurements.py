"""Measurements that a model can be fitted to: checked before any work is done."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from nas_proxy.errors import InputError
from nas_proxy.spaces import SearchSpace

__all__ = ["FEWEST", "checked"]

FEWEST = 3
"""Measurements: with fewer, nothing can be held out and a rank correlation says nothing."""


def checked(space: SearchSpace, archs: Sequence[Any], latency_ms: ArrayLike, what: str) -> NDArray[np.float64]:
    """Latencies as an array ``(n,)``; ``what`` names them in messages (``"the proxy's latencies"``).

    Raises:
        InputError: lengths differ, there are fewer than three, a latency is not a positive number, all are the same, an
            architecture is not of the space or is there twice. The message says which and what to do.
    """
    try:
        values = np.asarray(latency_ms, dtype=np.float64)
    except (TypeError, ValueError) as error:
        raise InputError(f"{what}: expected one number (a latency in ms) for each architecture: {error}.") from None
    if values.ndim != 1 or len(values) != len(archs):
        raise InputError(
            f"{what}: expected one latency in ms for each of the {len(archs)} architectures, found an array of shape "
            f"{values.shape}."
        )
    if len(values) < FEWEST:
        raise InputError(f"{what}: expected at least {FEWEST} measurements, found {len(values)}: measure more.")
    bad = np.flatnonzero(~(np.isfinite(values) & (values > 0)))
    if len(bad):
        raise InputError(
            f"{what}: expected positive latencies in ms; the one of architecture {bad[0]} ({archs[bad[0]]!r}) is "
            f"{values[bad[0]]}"
            + (f", and {len(bad) - 1} others are not positive numbers" if len(bad) > 1 else "")
            + ". Leave out what is not measured (LatencyTable.measured_on does)."
        )
    if np.ptp(values) <= 1e-12 * values[0]:
        raise InputError(
            f"{what}: all {len(values)} latencies are {values[0]} ms, so architectures have no rank. Measure with a "
            "finer clock or architectures that differ more."
        )
    codes = space.encode(archs)
    _, first, inverse = np.unique(codes, axis=0, return_index=True, return_inverse=True)
    repeated = np.flatnonzero(first[inverse.ravel()] != np.arange(len(codes)))
    if len(repeated):
        again = int(repeated[0])
        raise InputError(
            f"{what}: architecture {again} ({space.to_str(archs[again])}) was already given as architecture "
            f"{first[inverse.ravel()[again]]}. Keep one of them, or their median."
        )
    return values
