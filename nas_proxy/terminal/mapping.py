"""A mapping for people: loop nest, where the words go, and a picture of where the energy goes."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from nas_proxy.errors import from_extra
from nas_proxy.mapping.accelerator import LEVELS, Accelerator
from nas_proxy.mapping.cost_model import ENERGY_PARTS, OPERATIONS
from nas_proxy.mapping.layer import TENSORS, Layer
from nas_proxy.mapping.mappings import loop_nest
from nas_proxy.mapping.problem import SearchResult
from nas_proxy.terminal.tables import Column, Drawing, Page, Table

__all__ = ["mapping_page", "save_picture"]

_BAR = 40


def mapping_page(layer: Layer, accelerator: Accelerator, result: SearchResult) -> Page:
    """The mapping that was found as a loop nest, its cost, the words it moves and where the energy goes."""
    costs = result.costs
    cycles, energy = float(costs.cycles[0]), float(costs.energy_pj[0])
    limit = max(range(3), key=lambda level: costs.level_cycles[0, level])
    bound = "computing" if costs.level_cycles[0].max() <= costs.compute_cycles[0] else LEVELS[limit]
    milliseconds = cycles / accelerator.clock_mhz / 1e3
    summary = [
        f"{layer}: {layer.macs:,} MACs",
        f"{cycles:,.0f} cycles = {milliseconds:.4g} ms, limited by {bound}",
        f"{energy * 1e-6:,.4g} µJ = {energy / layer.macs:.3g} pJ per MAC; EDP {energy * cycles:.4g} pJ·cycles",
        f"utilization {costs.utilization[0]:.1%} of {accelerator.num_pes} PEs ({costs.active_pes[0]:.0f} in use); "
        f"RF {costs.occupancy[0, 0]:.1%}, GLB {costs.occupancy[0, 1]:.1%} full",
        f"{result.evaluations} evaluations{_known(result)}",
    ]
    if not result.limit_met:
        summary.append(f"limit of {result.max_cycles:,.0f} cycles not met: the best takes {cycles:,.0f}")
    facts = {"layer": str(layer), "macs": layer.macs, "cycles": cycles, "latency_ms": milliseconds, "bound": bound}
    facts |= {"energy_pj": energy, "utilization": float(costs.utilization[0]), "evaluations": result.evaluations}
    nest = loop_nest(result.mapping)
    facts |= {"limit_met": bool(result.limit_met), "proven": bool(result.proven), "mapping": nest.splitlines()}
    return Page([Drawing(f"mapping\n{nest}\n"), "\n".join(summary), _words(result), _energy(result)], facts)


def _words(result: SearchResult) -> Table:
    columns = [Column("tensor", ""), *(Column(level, level, ",.0f") for level in LEVELS)]
    rows = [
        [f"{tensor} {operation}", *map(float, result.costs.accesses[0, :, j, k])]
        for j, tensor in enumerate(TENSORS)
        for k, operation in enumerate(OPERATIONS if tensor == "O" else OPERATIONS[:2])
    ]
    return Table("words_moved", columns, rows, "words moved")


def _energy(result: SearchResult) -> Table:
    columns = [
        Column("part", ""),
        Column("energy_uj", "µJ", ",.4g"),
        Column("share", "share", ".1%"),
        Column("bar", "", lambda share: "█" * max(1, round(_BAR * share)), right=False),
    ]
    parts = zip(ENERGY_PARTS, map(float, result.costs.energy_parts_pj[0]), strict=True)
    total = float(result.costs.energy_pj[0])
    rows = [[part, energy * 1e-6, energy / total, energy / total] for part, energy in parts if energy]
    return Table("energy", columns, rows, "energy")


def _known(result: SearchResult) -> str:
    """What is known of better mappings, where anything is."""
    if result.proven:
        return "; proven: no mapping is better"
    if np.isfinite(result.log_bound):
        return f"; at most {np.expm1(result.value - result.log_bound):.1%} above the optimum"
    return ""


def save_picture(layer: Layer, accelerator: Accelerator, result: SearchResult, path: str | Path) -> None:
    """A stacked bar for each level: energy of W, I and O (and of MACs, network, leakage), in µJ.

    Raises:
        InputError: the file cannot be written as a picture (says why).
    """
    with from_extra("draw", "a picture"):
        from matplotlib.figure import Figure

    from nas_proxy.errors import InputError

    costs = result.costs
    figure = Figure(figsize=(7, 4), layout="constrained")
    axes = figure.add_subplot()
    places = np.arange(len(ENERGY_PARTS))
    bottom = np.zeros(len(places))
    rates = np.array(
        [
            [b.read_energy_pj, b.write_energy_pj, b.write_energy_pj]
            for b in (getattr(accelerator.levels, level) for level in LEVELS)
        ]
    )
    by_tensor = (costs.accesses[0] * rates[:, None]).sum(axis=2).T * 1e-6  # (tensor, level), µJ
    for tensor, energies in zip(TENSORS, by_tensor, strict=True):
        heights = np.concatenate([[0.0], energies, [0.0, 0.0]])
        axes.bar(places, heights, bottom=bottom, label=tensor)
        bottom += heights
    rest = costs.energy_parts_pj[0] * 1e-6
    rest[1:4] = 0.0
    axes.bar(places, rest, bottom=bottom, color="0.6", label="other")
    axes.set_xticks(places, ENERGY_PARTS)
    axes.set_ylabel("energy in µJ")
    axes.set_title(f"{layer}: {costs.energy_pj[0] * 1e-6:,.4g} µJ, {costs.cycles[0]:,.0f} cycles")
    axes.legend()
    try:
        figure.savefig(path)
    except (OSError, ValueError) as error:
        raise InputError(f"{path}: the picture cannot be written: {error}") from None
