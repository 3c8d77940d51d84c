"""The table of what timm's networks cost, which ships with the package, and how it is made.

One row per network and image size: sums over the kernels of a trace on the meta device, for one image. Only making
the table needs timm, and one to three seconds a network.
"""

from __future__ import annotations

import io
from collections.abc import Callable, Iterable
from pathlib import Path

import pandas as pd

from nas_proxy import files
from nas_proxy.errors import InputError, MissingDependencyError, from_extra
from nas_proxy.spaces._kinds import COMPUTE, KINDS

__all__ = ["COMPUTE", "INTENSITIES", "KINDS", "NARROW", "SHIPPED", "extend_table", "read_table"]

SHIPPED = Path(__file__).with_name("timm_zoo.csv")
NARROW = (16, 32, 64, 128, 256)
"""Widths below which multiply-accumulates are counted apart: small sums or few channels leave arithmetic units idle."""
INTENSITIES = (4, 16, 64, 256)
"""Multiply-accumulates per activation value below which they are counted apart: memory, not arithmetic, limits them."""
_SAVE_EVERY = 16


def read_table(path: Path = SHIPPED) -> pd.DataFrame:
    """Costs by architecture (the index, ``"resnet50@224"``).

    Raises:
        InputError: the file is missing or not such a table.
    """
    try:
        return pd.read_csv(path, index_col="arch").astype("float64")
    except (OSError, ValueError, pd.errors.ParserError) as error:
        raise InputError(f"{path}: expected a table of timm networks made by `nas-proxy zoo-trace`: {error}") from None


def extend_table(
    path: Path, archs: Iterable[str], on_progress: Callable[[int, int], None] = lambda done, total: None
) -> dict[str, str]:
    """Trace the architectures that the table at ``path`` lacks, and add them; it can be stopped and goes on.

    Args:
        path: the table; made if there is none.
        archs: ``"model@size"``, or ``"module:function@size"`` for a network that a function of your own makes.
        on_progress: called with the numbers of architectures done and in all.

    Returns:
        Why each architecture that could not be traced could not.
    """
    rows: dict[str, dict[str, float]] = {}
    if path.exists():
        found = read_table(path).to_dict("index").items()
        rows = {str(arch): {str(name): cost for name, cost in costs.items()} for arch, costs in found}
    wanted = list(dict.fromkeys(archs))
    missing = [arch for arch in wanted if arch not in rows]
    failed: dict[str, str] = {}
    on_progress(len(wanted) - len(missing), len(wanted))
    for left, arch in enumerate(missing, start=1 - len(missing)):
        try:
            rows[arch] = _costs(arch)
        except MissingDependencyError:
            raise
        except Exception as error:  # a network that does not run on shapes alone is reported and left out
            failed[arch] = f"{type(error).__name__}: {error}"
        if left % _SAVE_EVERY == 0 and rows:
            _write(path, rows)
        on_progress(len(wanted) + left, len(wanted))
    return failed


def _write(path: Path, rows: dict[str, dict[str, float]]) -> None:
    table = pd.DataFrame.from_dict(rows, orient="index").fillna(0).sort_index().astype("int64")
    table = table[
        [
            "parameters",
            "depth",
            "compute_depth",
            *sorted(set(table.columns.astype(str)) - {"parameters", "depth", "compute_depth"}),
        ]
    ]
    text = io.StringIO()
    table.to_csv(text, index_label="arch", lineterminator="\n")
    files.write_text(path, text.getvalue())


def _costs(arch: str) -> dict[str, float]:
    """Trace a network and add up its kernels."""
    with from_extra("timm", "tracing a network of timm"):
        import torch

    from nas_proxy.spaces._timm_networks import create_network, create_own_network, split
    from nas_proxy.spaces._trace import BYTES_PER_VALUE, built_on_meta, trace

    name, size = split(arch)
    with built_on_meta():
        network = create_own_network(arch) if ":" in name else create_network(arch)
        image = torch.empty(1, 3, size, size)
    found = trace(network, image)
    costs: dict[str, float] = {
        "parameters": found.parameters,
        "depth": found.depth,
        "compute_depth": found.compute_depth,
    }

    def count(name: str, amount: float) -> None:
        costs[name] = costs.get(name, 0) + amount

    for kernel in found.kernels:
        count(f"kernels_{kernel.kind}", 1)
        count(f"read_{kernel.kind}", kernel.bytes_read)
        count(f"written_{kernel.kind}", kernel.bytes_written)
        if kernel.kind in COMPUTE:
            count(f"macs_{kernel.kind}", kernel.macs)
            count(f"weights_{kernel.kind}", kernel.weights)
            values = (kernel.bytes_read + kernel.bytes_written) / BYTES_PER_VALUE
            for width in NARROW:
                if min(kernel.reduced, kernel.channels) < width:
                    count(f"macs_narrower_than_{width}", kernel.macs)
            for intensity in INTENSITIES:
                if kernel.macs < intensity * values:
                    count(f"macs_less_intense_than_{intensity}", kernel.macs)
    return costs
