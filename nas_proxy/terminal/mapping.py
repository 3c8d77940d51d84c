"""A mapping for people: loop nest, where the words go, and a picture of where the energy goes."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from rich.console import Console, Group, RenderableType
from rich.panel import Panel
from rich.table import Table

from nas_proxy.errors import from_extra
from nas_proxy.mapping.accelerator import LEVELS, Accelerator
from nas_proxy.mapping.cost_model import ENERGY_PARTS, OPERATIONS
from nas_proxy.mapping.layer import TENSORS, Layer
from nas_proxy.mapping.mappings import loop_nest
from nas_proxy.mapping.problem import SearchResult

__all__ = ["render", "save_picture", "show"]

_BAR = 40


def render(layer: Layer, accelerator: Accelerator, result: SearchResult) -> RenderableType:
    """Everything about the mapping found, for ``rich``."""
    costs = result.costs
    cycles, energy = costs.cycles[0], costs.energy_pj[0]
    limit = max(range(3), key=lambda level: costs.level_cycles[0, level])
    bound = "computing" if costs.level_cycles[0].max() <= costs.compute_cycles[0] else LEVELS[limit]
    summary = (
        f"{layer}: {layer.macs:,} MACs\n"
        f"{cycles:,.0f} cycles = {cycles / accelerator.clock_mhz / 1e3:.4g} ms, limited by {bound}\n"
        f"{energy * 1e-6:,.4g} µJ = {energy / layer.macs:.3g} pJ per MAC; EDP {energy * cycles:.4g} pJ·cycles\n"
        f"utilization {costs.utilization[0]:.1%} of {accelerator.num_pes} PEs ({costs.active_pes[0]:.0f} in use); "
        f"RF {costs.occupancy[0, 0]:.1%}, GLB {costs.occupancy[0, 1]:.1%} full\n"
        f"{result.evaluations} evaluations{_known(result)}"
    )
    if not result.limit_met:
        summary += f"\n[bold red]limit of {result.max_cycles:,.0f} cycles not met: {cycles:,.0f}[/]"
    words = Table(title="words moved", title_justify="left")
    for column in ("", *LEVELS):
        words.add_column(column, justify="right" if column else "left")
    for j, tensor in enumerate(TENSORS):
        for k, operation in enumerate(OPERATIONS if tensor == "O" else OPERATIONS[:2]):
            words.add_row(f"{tensor} {operation}", *(f"{n:,.0f}" for n in costs.accesses[0, :, j, k]))
    bars = Table(title="energy", title_justify="left", show_header=False, box=None)
    for part, energy_part in zip(ENERGY_PARTS, costs.energy_parts_pj[0], strict=True):
        if energy_part:
            share = energy_part / energy
            bars.add_row(part, f"{energy_part * 1e-6:,.4g} µJ", f"{share:.1%}", "█" * max(1, round(_BAR * share)))
    return Group(Panel(loop_nest(result.mapping), title="mapping", expand=False), summary, words, bars)


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


def show(layer: Layer, accelerator: Accelerator, result: SearchResult, picture: Path | None = None) -> None:
    """Print the mapping; save the picture where one is wanted."""
    Console().print(render(layer, accelerator, result))
    if picture is not None:
        save_picture(layer, accelerator, result, picture)
