"""The counting itself: how many words cross each level, compiled (Numba), one mapping after the other.

Notation of the golden records: f0 is the tile of one PE, fA of the whole array, fG of the buffer; L12 are the temporal
loops of DRAM and buffer, L2 those of DRAM alone. Indices: dimensions N G K C P Q R S, tensors W I O, levels RF GLB
DRAM, operations reads fills updates.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numba import njit
from numpy.typing import NDArray

from nas_proxy.mapping.layer import RELEVANT, Layer

__all__ = ["Counted", "Window", "count", "footprint", "loops_of", "visits_of", "window_of"]

_N, _G, _K, _C, _P, _Q, _R, _S = range(8)
_W, _I, _O = range(3)
_RF, _GLB, _DRAM = range(3)
_READS, _FILLS, _UPDATES = range(3)
_RELEVANT = RELEVANT
_MAX_LOOPS = 16
_compiled = njit(cache=True, error_model="numpy")


class Window(NamedTuple):
    """How the window of a layer moves over its inputs: rows, columns, each ``(2,)``."""

    stride: NDArray[np.int64]
    dilation: NDArray[np.int64]


class Counted(NamedTuple):
    """What is the same for all mappings that are counted: the layer, and the array it runs on.

    ``links`` says whether words may pass between PEs, as in the counting rule ``"timeloop"``.
    """

    bounds: NDArray[np.int64]
    window: Window
    rows: int
    cols: int
    spatial_reduction: bool
    links: bool


def window_of(layer: Layer) -> Window:
    """The window of a layer."""
    return Window(np.array(layer.stride), np.array(layer.dilation))


@_compiled
def _gcd(a, b):
    while b:
        a, b = b, a % b
    return a


@_compiled
def footprint(tensor, tile, window):
    """Words of a tensor's tile; of I the bounding box."""
    if tensor == _W:
        return float(tile[_G] * tile[_K] * tile[_C] * tile[_R] * tile[_S])
    if tensor == _O:
        return float(tile[_N] * tile[_G] * tile[_K] * tile[_P] * tile[_Q])
    rows = (tile[_P] - 1) * window.stride[0] + (tile[_R] - 1) * window.dilation[0] + 1
    columns = (tile[_Q] - 1) * window.stride[1] + (tile[_S] - 1) * window.dilation[1] + 1
    return float(tile[_N] * tile[_G] * tile[_C] * rows * columns)


@_compiled
def loops_of(factors, order, loops, trips):
    """Write the temporal loops of a mapping that are no unit loops, outermost first: their dimensions into ``loops``,
    their trip counts into ``trips``. Returns how many there are, and how many of them are DRAM's."""
    count, outer = 0, 0
    for level in range(1, -1, -1):
        for i in range(8):
            d = order[level, i]
            if factors[3 + level, d] > 1:
                loops[count] = d
                trips[count] = factors[3 + level, d]
                count += 1
        if level == 1:
            outer = count
    return count, outer


@_compiled
def visits_of(tensor, loops, trips, count):
    """(tiles fetched, distinct tiles, index of the innermost relevant loop or -1) over the first ``count`` loops."""
    product, visits, distinct, last = 1.0, 1.0, 1.0, -1
    for i in range(count):
        product *= trips[i]
        if _RELEVANT[tensor, loops[i]]:
            visits, last = product, i
            distinct *= trips[i]
    return visits, distinct, last


@_compiled
def _moved_inputs(loops, trips, count, tile, step, window):
    """Words of I that one instance fetches: the innermost relevant loop slides its window, all others refetch.

    ``tile`` is what one instance holds, ``step`` what all instances hold together, the advance of one iteration.
    """
    full = footprint(_I, tile, window)
    visits, _, last = visits_of(_I, loops, trips, count)
    if last < 0:
        return full
    d = loops[last]
    if d < _P:
        return visits * full
    axis = (d - _P) % 2
    extent = (tile[_P + axis] - 1) * window.stride[axis] + (tile[_R + axis] - 1) * window.dilation[axis] + 1
    advance = step[d] * (window.stride[axis] if d < _R else window.dilation[axis])
    if advance >= extent:
        return visits * full
    delta = full / extent * advance
    return visits / trips[last] * (full + (trips[last] - 1) * delta)


@_compiled
def _positions(window, kernel, a, b):
    """Distinct values of a*i + b*j for i < window, j < kernel."""
    if window == 1 or kernel == 1:
        return window * kernel
    g = _gcd(a, b)
    return window * kernel - max(0, window - b // g) * max(0, kernel - a // g)


@_compiled
def _distinct_inputs(spatial, tile, window):
    """PEs whose I tiles differ (a tile that several PEs share is read once)."""
    rows = _positions(spatial[_P], spatial[_R], window.stride[0] * tile[_P], window.dilation[0] * tile[_R])
    columns = _positions(spatial[_Q], spatial[_S], window.stride[1] * tile[_Q], window.dilation[1] * tile[_S])
    return float(spatial[_N] * spatial[_G] * spatial[_C] * rows * columns)


# -- the walk: I step by step, with links between PEs and extrapolation ----------------------------------------------


@_compiled
def _offset(d, step, weights, window):
    """Change of a tile's corner, as one number, when dimension d advances by ``step`` (0: no change)."""
    if d <= _G:
        return step * weights[d]
    if d == _C:
        return step * weights[2]
    if d == _K:
        return 0
    axis = (d - _P) % 2
    return step * weights[3 + axis] * (window.stride[axis] if d < _R else window.dilation[axis])


@_compiled
def _pe_offsets(spatial, spatial_order, tile, weights, window):
    """Corner of each PE's I tile as one number; PEs in linear order, columns innermost."""
    offsets = np.zeros(1, np.int64)
    step = tile.copy()
    for axis in range(2):  # columns first: they are innermost
        for i in range(7, -1, -1):
            d = spatial_order[axis, i]
            bound = spatial[axis, d]
            if bound > 1:
                each = _offset(d, step[d], weights, window)
                grown = np.empty(len(offsets) * bound, np.int64)
                for j in range(bound):
                    for k in range(len(offsets)):
                        grown[j * len(offsets) + k] = offsets[k] + j * each
                offsets = grown
                step[d] *= bound
    return offsets


@_compiled
def _linked(offsets, shift, rows, cols):
    """(PEs served by a neighbour, distinct tiles of all others): a PE's new words are those that a direct neighbour
    got one step before, when the neighbour's corner is ``shift`` further."""
    pes = len(offsets)
    rest = np.empty(pes, np.int64)
    others = 0
    for i in range(pes):
        found = False
        for d in range(4):
            if d == 0:
                j, ok = i - cols, i >= cols
            elif d == 1:
                j, ok = i + cols, i // cols + 1 < rows
            elif d == 2:
                j, ok = i - 1, i % cols > 0
            else:
                j, ok = i + 1, i % cols < cols - 1
            if ok and 0 <= j < pes and offsets[j] - offsets[i] == shift:
                found = True
        if not found:
            rest[others] = offsets[i]
            others += 1
    return pes - others, len(np.unique(rest[:others]))


@_compiled
def _walk_inputs(loops, trips, count, tile, spatial, spatial_order, counted):
    """(words one instance fetches, words read at the parent, words passed between PEs) of I.

    Iterations 0 and 1 of each loop are simulated, iteration 1 stands for all later ones. A tile keeps what it shares
    with the one before while successive tiles move by the same vector; when that changes, one is fetched whole.
    """
    window = counted.window
    sizes = np.empty(5, np.int64)
    sizes[0], sizes[1], sizes[2] = tile[_N], tile[_G], tile[_C]
    sizes[3] = (tile[_P] - 1) * window.stride[0] + (tile[_R] - 1) * window.dilation[0] + 1
    sizes[4] = (tile[_Q] - 1) * window.stride[1] + (tile[_S] - 1) * window.dilation[1] + 1

    # Corners as single numbers: each axis has room for every difference that can occur.
    total = tile.copy()
    for axis in range(2):
        total *= spatial[axis]
    steps = np.empty(max(count, 1), np.int64)
    for i in range(count - 1, -1, -1):
        steps[i] = total[loops[i]]
        total[loops[i]] *= trips[i]
    weights = np.ones(5, np.int64)
    reach = np.empty(5, np.int64)
    reach[0], reach[1], reach[2] = total[_N], total[_G], total[_C]
    reach[3] = total[_P] * window.stride[0] + total[_R] * window.dilation[0]
    reach[4] = total[_Q] * window.stride[1] + total[_S] * window.dilation[1]
    for i in range(1, 5):
        weights[i] = weights[i - 1] * (4 * reach[i - 1] + 1)

    offsets = _pe_offsets(spatial, spatial_order, tile, weights, window)
    distinct = len(np.unique(offsets))

    moved, served, linked = 0.0, 0.0, 0.0
    last, before = np.zeros(5, np.int64), np.zeros(5, np.int64)  # corner of the last tile; corner of the last words
    now, corner, heading = np.zeros(5, np.int64), np.zeros(5, np.int64), np.zeros(5, np.int64)
    delta, delta_before = np.zeros(5, np.int64), np.zeros(5, np.int64)
    headed = False
    known_shift, known_links, known_rest = np.int64(0), -1, 0
    had_words = False
    for step in range(1 << count):
        epochs = 1.0
        now[:] = 0
        for i in range(count):
            if step >> (count - 1 - i) & 1:
                epochs *= trips[i] - 1
                d = loops[i]
                if d <= _G:
                    now[d] += steps[i]
                elif d == _C:
                    now[2] += steps[i]
                elif d >= _P:
                    axis = (d - _P) % 2
                    now[3 + axis] += steps[i] * (window.stride[axis] if d < _R else window.dilation[axis])

        # What is new of this tile, as a box: its corner (in now's coordinates) and sizes.
        corner[:] = now
        delta[:] = sizes
        changed, apart, same, axis = 0, False, True, 0
        for a in range(5):
            moves = now[a] - last[a]
            same &= moves == heading[a]
            if moves != 0:
                changed += 1
                axis = a
                apart |= abs(moves) >= sizes[a]
        if step > 0:
            if changed == 0:
                delta[:] = 0
            elif headed and not same:
                headed = False
            else:
                headed = True
                heading[:] = now - last
                if changed == 1 and not apart:
                    delta[axis] = abs(heading[axis])
                    if heading[axis] > 0:
                        corner[axis] = last[axis] + sizes[axis]
        last[:] = now

        words = float(delta[0] * delta[1] * delta[2] * delta[3] * delta[4])
        if words > 0:
            moved += words * epochs
            from_parent = distinct
            if had_words and len(offsets) > 1 and (delta == delta_before).all():
                shift = np.int64(0)
                for a in range(5):
                    shift += (corner[a] - before[a]) * weights[a]
                if known_links < 0 or shift != known_shift:
                    known_links, known_rest = _linked(offsets, shift, counted.rows, counted.cols)
                    known_shift = shift
                if known_rest < distinct:
                    from_parent = known_rest
                    linked += known_links * words * epochs
            served += from_parent * words * epochs
        had_words = words > 0
        before[:] = corner
        delta_before[:] = delta
    return moved, served, linked


# -- one mapping ------------------------------------------------------------------------------------------------------


@_compiled
def _count_one(factors, order, spatial_order, keep, counted, accesses, tiles, scratch, inside):
    """Fill ``accesses`` (level, tensor, operation) and ``tiles`` (level, tensor) of one mapping.

    ``scratch`` (5, 16) and ``inside`` (8,) are working space. Returns (cycles of computing, columns and rows
    in use, tiles of W fetched by the array, words passed between PEs).
    """
    macs, columns, rows_used, steps, covered_steps = 1.0, 1.0, 1.0, 1.0, 1.0
    bounds, window, t0 = counted.bounds, counted.window, factors[0]
    spatial, array_tile, buffer_tile, loops, trips = scratch[0], scratch[1], scratch[2], scratch[3], scratch[4]
    for d in range(8):  # inside: share of the covered range that exists (1 where the factors divide evenly)
        spatial[d] = factors[1, d] * factors[2, d]
        array_tile[d] = t0[d] * spatial[d]
        buffer_tile[d] = array_tile[d] * factors[3, d]
        covered = buffer_tile[d] * factors[4, d]
        inside[d] = bounds[d] / covered
        macs *= bounds[d]
        columns *= factors[1, d]
        rows_used *= factors[2, d]
        steps *= t0[d] * factors[3, d] * factors[4, d]
        covered_steps *= covered

    pes = columns * rows_used
    count, outer = loops_of(factors, order, loops, trips)

    accesses[:] = 0.0
    weight_tiles, passed = 1.0, 0.0
    for tensor in range(3):
        exists = 1.0
        for d in range(8):
            if _RELEVANT[tensor, d]:
                exists *= inside[d]
        f0 = footprint(tensor, t0, window)
        array = footprint(tensor, array_tile, window)
        buffer = footprint(tensor, buffer_tile, window)
        tiles[_RF, tensor] = f0
        tiles[_GLB, tensor] = buffer if keep[tensor] else 0.0
        visits, distinct, _ = visits_of(tensor, loops, trips, count)
        visits_outer, distinct_outer, _ = visits_of(tensor, loops, trips, outer)
        parent = _GLB if keep[tensor] else _DRAM
        accesses[_RF, tensor, _READS] = macs
        if tensor == _O:
            reducers = 1.0
            if not counted.spatial_reduction:
                reducers = float(spatial[_C] * spatial[_R] * spatial[_S])
            accesses[_RF, _O, _UPDATES] = macs
            accesses[_RF, _O, _READS] = macs - distinct * f0 * pes * (macs / covered_steps)
            accesses[_RF, _O, _FILLS] = (visits - distinct) * f0 * pes * exists
            accesses[parent, _O, _UPDATES] = visits * array * reducers * exists
            accesses[parent, _O, _READS] = (visits * reducers - distinct) * array * exists
            if keep[_O]:
                refilled = (visits_outer - distinct_outer) * buffer * exists
                accesses[_GLB, _O, _FILLS] = refilled
                accesses[_DRAM, _O, _READS] = refilled
                accesses[_DRAM, _O, _UPDATES] = visits_outer * buffer * exists
            continue
        if tensor == _W:
            weight_tiles = visits
            moved, served, moved_outer = visits * f0, visits * array, visits_outer * buffer
        elif counted.links:
            axes = factors[1:3]
            moved, served, passed = _walk_inputs(loops, trips, count, t0, axes, spatial_order, counted)
            alone = np.ones((2, 8), np.int64)
            moved_outer, _, _ = _walk_inputs(loops, trips, outer, buffer_tile, alone, spatial_order, counted)
            accesses[_RF, _I, _READS] += round(passed / pes) * pes  # whole words for each PE, as Timeloop
        else:
            moved = _moved_inputs(loops, trips, count, t0, array_tile, window)
            served = moved * _distinct_inputs(spatial, t0, window)
            moved_outer = _moved_inputs(loops, trips, outer, buffer_tile, buffer_tile, window)
        accesses[_RF, tensor, _FILLS] = moved * pes * exists
        accesses[parent, tensor, _READS] = served * exists
        if keep[tensor]:
            accesses[_GLB, tensor, _FILLS] = moved_outer * exists
            accesses[_DRAM, tensor, _READS] = moved_outer * exists
    return steps, columns, rows_used, weight_tiles, passed


@_compiled
def count(factors, order, spatial_order, keep, counted: Counted, accesses, tiles):
    """Count each mapping of a batch; see :meth:`nas_proxy.mapping.cost_model.CostModel.evaluate` for the arrays.

    ``spatial_order`` may be of one mapping, for all. Returns an array of shape (5, B): cycles of computing, columns
    and rows in use, tiles of W fetched by the array, words passed between PEs.
    """
    batch = len(factors)
    out = np.empty((5, batch))
    scratch, inside = np.empty((5, _MAX_LOOPS), np.int64), np.empty(8)
    for i in range(batch):
        pe_order = spatial_order[min(i, len(spatial_order) - 1)]
        out[0, i], out[1, i], out[2, i], out[3, i], out[4, i] = _count_one(
            factors[i], order[i], pe_order, keep[i], counted, accesses[i], tiles[i], scratch, inside
        )
    return out
