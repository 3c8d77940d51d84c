"""Cycles, energy and accesses of mappings, counted analytically.

The loop nest is DRAM temporal, GLB temporal, rows, columns, RF temporal, MAC; the counts are those of Timeloop
(Parashar et al., ISPASS 2019) on three storage levels, in closed form. Two rules differ in how inputs slide:

- ``"physical"``: a tile's words are fetched anew except where the innermost relevant loop slides the window; PEs have
  no links to their neighbours.
- ``"timeloop"``: Timeloop's own walk (tile by tile, iterations 0 and 1 of each loop standing for all), with words
  passed between neighbouring PEs.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from nas_proxy.errors import UnknownNameError
from nas_proxy.mapping._counting import Counted, count, window_of
from nas_proxy.mapping.accelerator import LEVELS, Accelerator
from nas_proxy.mapping.layer import TENSORS, Layer
from nas_proxy.mapping.mappings import Mappings

__all__ = ["ENERGY_PARTS", "OPERATIONS", "CostModel", "Costs", "Counting"]

Counting = Literal["physical", "timeloop"]
OPERATIONS = ("reads", "fills", "updates")
ENERGY_PARTS = ("MAC", *LEVELS, "NoC", "leakage")


@dataclass(frozen=True)
class Costs:
    """What a batch of B mappings costs; all arrays are float64.

    Attributes:
        cycles, energy_pj: ``(B,)``.
        compute_cycles: ``(B,)``; the cycles if memory were infinitely fast.
        utilization: ``(B,)``; true MACs over ``cycles * PEs``.
        active_pes: ``(B,)``; PEs the mapping uses, edges included.
        level_cycles: ``(B, 3)``; cycles each of RF, GLB, DRAM needs for its words.
        accesses: ``(B, 3, 3, 3)``; words by level, tensor (W, I, O) and :data:`OPERATIONS`, over all instances.
            *Reads* go to the child (or the MAC), *fills* come from the parent, *updates* from the child.
        tile_words: ``(B, 3, 3)``; kept tile of one instance, by level and tensor (DRAM holds the tensors).
        link_words: ``(B,)``; input words passed between neighbouring PEs (``counting="timeloop"`` only).
        energy_parts_pj: ``(B, 6)``; by :data:`ENERGY_PARTS`.
        occupancy: ``(B, 2)``; fullest pool of RF and of GLB, as a share of its capacity (above 1: does not fit).
        violation: ``(B,)``; 0 where the mapping is valid, else by how much it is not: the sum of log2 of all excesses.
    """

    cycles: NDArray[np.float64]
    energy_pj: NDArray[np.float64]
    compute_cycles: NDArray[np.float64]
    utilization: NDArray[np.float64]
    active_pes: NDArray[np.float64]
    level_cycles: NDArray[np.float64]
    accesses: NDArray[np.float64]
    tile_words: NDArray[np.float64]
    link_words: NDArray[np.float64]
    energy_parts_pj: NDArray[np.float64]
    occupancy: NDArray[np.float64]
    violation: NDArray[np.float64]

    @property
    def edp(self) -> NDArray[np.float64]:
        """Energy-delay product, pJ times cycles, ``(B,)``."""
        return self.energy_pj * self.cycles

    @property
    def bound(self) -> tuple[str, ...]:
        """What decides the time of each mapping: ``compute``, or the level of memory that is slowest to serve it."""
        slowest = self.level_cycles.argmax(axis=1)
        waits = self.level_cycles.max(axis=1) > self.compute_cycles
        return tuple(LEVELS[level] if wait else "compute" for level, wait in zip(slowest, waits, strict=True))

    @property
    def valid(self) -> NDArray[np.bool_]:
        """Which mappings fit the accelerator, ``(B,)``."""
        return self.violation == 0


class CostModel:
    """Costs of mappings of one layer on one accelerator.

    Args:
        layer: what is run.
        accelerator: on what.
        counting: ``"physical"`` or ``"timeloop"``, see the module's docstring.

    Raises:
        InputError: the accelerator cannot run this kind of layer.
        UnknownNameError: no such counting rule.
    """

    def __init__(self, layer: Layer, accelerator: Accelerator, counting: Counting = "physical") -> None:
        if counting not in ("physical", "timeloop"):
            raise UnknownNameError("counting rule", counting, ("physical", "timeloop"))
        accelerator.check(layer)
        self.layer, self.accelerator, self.counting = layer, accelerator, counting
        buffers = [getattr(accelerator.levels, level) for level in LEVELS]
        self._totals = self._totals_of(buffers)
        self._pools = [
            (level, [TENSORS.index(t) for t in tensors], words / (2 if buffers[level].double_buffered else 1))
            for level in (0, 1)
            for tensors, words in buffers[level].pools
            if np.isfinite(words)
        ]
        self._buffers = buffers
        self._counted = Counted(
            bounds=layer.bounds,
            window=window_of(layer),
            rows=accelerator.pe_rows,
            cols=accelerator.pe_cols,
            spatial_reduction=accelerator.spatial_reduction,
            links=counting == "timeloop",
        )
        self._natural = np.tile(np.arange(8), (1, 2, 1))

    def evaluate(self, mappings: Mappings) -> Costs:
        """Costs of all mappings; those that do not fit get costs too, and a violation above 0."""
        accelerator, batch = self.accelerator, len(mappings)
        accesses = np.empty((batch, 3, 3, 3))
        tiles = np.empty((batch, 3, 3))
        tiles[:, 2] = self.layer.words
        compute_cycles, columns, rows, weight_tiles, passed = count(
            mappings.factors,
            mappings.order,
            self._natural if mappings.spatial_order is None else mappings.spatial_order,
            mappings.keep,
            self._counted,
            accesses,
            tiles,
        )
        pes = columns * rows
        reads, writes, level_energy = np.split(accesses.reshape(batch, 27) @ self._totals, 3, axis=1)
        level_cycles = np.empty((batch, 3))
        cycles = compute_cycles
        for level, buffer in enumerate(self._buffers):
            needed = self._level_cycles(buffer, reads[:, level], writes[:, level], pes if level == 0 else 1)
            level_cycles[:, level] = np.maximum(compute_cycles, needed)
            cycles = np.maximum(cycles, needed)
        if accelerator.systolic:
            load = 0 if accelerator.weights_preloaded else accelerator.pe_rows
            cycles = cycles + weight_tiles * (load + accelerator.pe_rows + accelerator.pe_cols - 2) - 1
        if accelerator.prologue:
            cycles = cycles + self._prologue(mappings, tiles)

        parts = np.empty((batch, len(ENERGY_PARTS)))
        parts[:, 0] = self.layer.macs * accelerator.mac_energy_pj
        parts[:, 1:4] = level_energy
        parts[:, 4] = 0.0
        if accelerator.noc_energy_pj:
            into_pes = accesses[:, 0, :, 1].sum(axis=1)
            parts[:, 4] = accelerator.noc_energy_pj * (into_pes + self._drained(mappings, accesses))
        parts[:, 5] = cycles * accelerator.leakage_pj_per_cycle
        occupancy, violation = self._fit(tiles, columns, rows)
        return Costs(
            cycles=cycles,
            energy_pj=parts @ np.ones(len(ENERGY_PARTS)),
            compute_cycles=compute_cycles,
            utilization=self.layer.macs / (cycles * accelerator.num_pes),
            active_pes=pes,
            level_cycles=level_cycles,
            accesses=accesses,
            tile_words=tiles,
            link_words=passed,
            energy_parts_pj=parts,
            occupancy=occupancy,
            violation=violation,
        )

    def least_cycles(self) -> dict[str, float]:
        """Cycles that no mapping can do without, by what needs them: ``"compute"`` (all PEs busy) and ``"DRAM"`` (each
        word of W, I and O that is used passes once)."""
        weights, inputs, outputs = self.layer.used_words
        return {
            "compute": float(np.ceil(self.layer.macs / self.accelerator.num_pes)),
            "DRAM": float(self._level_cycles(self._buffers[2], weights + inputs, outputs, 1)),
        }

    @staticmethod
    def _totals_of(buffers):
        """Matrix (27, 9) from accesses to reads, writes (fills and updates) and energy of each level."""
        totals = np.zeros((3, 3, 3, 3, 3))  # level, tensor, operation; quantity, level
        for level, buffer in enumerate(buffers):
            totals[level, :, 0, 0, level] = 1.0
            totals[level, :, 1:, 1, level] = 1.0
            totals[level, :, 0, 2, level] = buffer.read_energy_pj
            totals[level, :, 1:, 2, level] = buffer.write_energy_pj
        return totals.reshape(27, 9)

    @staticmethod
    def _level_cycles(buffer, reads, writes, instances):
        """Cycles a level needs for its words; perfect overlap, as in Timeloop."""
        if buffer.shared_port:
            reads, writes = reads + writes, 0.0
        needed = 0.0
        for words, bandwidth in ((reads, buffer.read_words_per_cycle), (writes, buffer.write_words_per_cycle)):
            if bandwidth is not None:
                needed = np.maximum(needed, np.ceil(words / (bandwidth * instances)))
        return needed

    def _prologue(self, mappings, tiles):
        """Cycles before the first MAC (first W and I tiles to the buffer and on to the array) and after the last."""
        dram, glb = self._buffers[2], self._buffers[1]
        array = np.where(mappings.keep, tiles[:, 1], tiles[:, 0])
        into = np.zeros(len(mappings))
        if dram.read_words_per_cycle:
            into += array[:, :2].sum(axis=1) / dram.read_words_per_cycle
        if glb.read_words_per_cycle:
            into += (tiles[:, 0, :2] * mappings.keep[:, :2]).sum(axis=1) / glb.read_words_per_cycle
        write = dram.read_words_per_cycle if dram.shared_port else dram.write_words_per_cycle
        return np.ceil(into) + (np.ceil(array[:, 2] / write) if write else 0.0)

    def _drained(self, mappings, accesses):
        """Partial sums that leave the PEs: one word of each reducing PE for each word that reaches the parent."""
        parent = np.where(mappings.keep[:, 2], accesses[:, 1, 2, 2], accesses[:, 2, 2, 2])
        if not self.accelerator.spatial_reduction:  # each PE's word is an update already
            return parent
        return parent * mappings.factors[:, 1:3][:, :, [3, 6, 7]].prod(axis=(1, 2))

    def _fit(self, tiles, columns, rows):
        """Occupancy (B, 2) and graded violation (B,)."""
        occupancy = np.zeros((len(tiles), 2))
        violation = np.zeros(len(tiles))
        for level, tensors, words in self._pools:
            used = sum(tiles[:, level, tensor] for tensor in tensors) / words
            np.maximum(occupancy[:, level], used, out=occupancy[:, level])
            violation += np.log2(np.maximum(used, 1.0))
        for used, size in ((columns, self.accelerator.pe_cols), (rows, self.accelerator.pe_rows)):
            violation += np.log2(np.maximum(used / size, 1.0))
        return occupancy, violation
