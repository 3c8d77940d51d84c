"""What a critic sees of a mapping: its geometry, nothing of what the accelerator makes of it."""

from __future__ import annotations

import numpy as np
from numba import njit
from numpy.typing import NDArray

from nas_proxy.mapping._counting import footprint, loops_of, visits_of, window_of
from nas_proxy.mapping.layer import Layer
from nas_proxy.mapping.mappings import Mappings

__all__ = ["features"]

_compiled = njit(cache=True, error_model="numpy")
_COLUMNS = 35


def features(layer: Layer, mappings: Mappings) -> NDArray[np.float64]:
    """Features ``(B, 35)``, binary logarithms: footprints and visits (reuse) by tensor and level, words that these two
    say cross each boundary, spatial and temporal sizes; and the bypass bits."""
    out = np.empty((len(mappings), _COLUMNS))
    _features(mappings.factors, mappings.order, mappings.keep, window_of(layer), out)
    return out


@_compiled
def _features(factors, order, keep, window, out):
    tiles = np.empty((3, 8), np.int64)
    loops, trips = np.empty(16, np.int64), np.empty(16, np.int64)
    for b in range(len(factors)):
        steps, columns, rows = 1.0, 1.0, 1.0
        for d in range(8):
            tiles[0, d] = factors[b, 0, d]
            tiles[1, d] = tiles[0, d] * factors[b, 1, d] * factors[b, 2, d]
            tiles[2, d] = tiles[1, d] * factors[b, 3, d]
            columns *= factors[b, 1, d]
            rows *= factors[b, 2, d]
            steps *= factors[b, 0, d] * factors[b, 3, d] * factors[b, 4, d]
        count, outer = loops_of(factors[b], order[b], loops, trips)
        from_dram, from_buffer, into_pes, kept = 0.0, 0.0, 0.0, 0.0
        column = 0
        for tensor in range(3):
            inner, _, _ = visits_of(tensor, loops, trips, count)
            far, _, _ = visits_of(tensor, loops, trips, outer)
            one = footprint(tensor, tiles[0], window)
            array = footprint(tensor, tiles[1], window)
            buffer = footprint(tensor, tiles[2], window)
            dram = far * buffer if keep[b, tensor] else inner * array
            local = inner * array if keep[b, tensor] else 1.0
            from_dram += dram
            from_buffer += local
            into_pes += inner * one * columns * rows
            kept += buffer if keep[b, tensor] else 0.0
            for value in (one, array, buffer, inner, far, dram, local, inner * one * columns * rows):
                out[b, column] = np.log2(value)
                column += 1
            out[b, column] = keep[b, tensor]
            column += 1
        for value in (from_dram, from_buffer, into_pes, kept + 1.0, steps, columns, rows, columns * rows):
            out[b, column] = np.log2(value)
            column += 1
