"""What networks of timm cost that the shipped table lacks: traced, and kept in a table of the user's."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from nas_proxy.datasets.timm import TimmLatencies, is_timm_benchmark, read_timm_weights
from nas_proxy.errors import InputError
from nas_proxy.spaces._timm_table import SHIPPED, extend_table, read_table
from nas_proxy.spaces.timm_zoo import split

__all__ = ["Traced", "networks_in", "trace_networks"]


def networks_in(sources: Sequence[str]) -> list[str]:
    """Architectures named by ``"resnet50@224"``, by ``"module:function@224"`` for a network of your own, or by the
    paths of timm's benchmark and results tables; each once.

    Raises:
        InputError: a source is neither, or a table names code to run.
    """
    found: list[str] = []
    for source in sources:
        if Path(source).suffix != ".csv":
            split(source)  # says what is wrong
            found.append(source)
            continue
        if Path(source).is_file() and is_timm_benchmark(source):
            named = list(TimmLatencies().read(source).archs)
        else:
            named = [weights.arch for weights in read_timm_weights(source)]
        if own := next((arch for arch in named if ":" in arch), None):
            raise InputError(
                f"{source} names {own!r}, code of your own. A file cannot have code run: name it yourself."
            )
        found += named
    return list(dict.fromkeys(found))


@dataclass(frozen=True)
class Traced:
    """How many networks were added to a table, were in it before, and ship with the package; and why each of the
    others could not be traced."""

    added: int
    there: int
    shipped: int
    failed: dict[str, str]


def trace_networks(
    sources: Sequence[str], path: Path, on_progress: Callable[[int, int], None] = lambda done, total: None
) -> Traced:
    """Add the costs of networks (see :func:`networks_in`) to the table at ``path``, those that ship excepted."""
    wanted = networks_in(sources)
    own = set(wanted) - set(read_table(SHIPPED).index)
    there = own & set(read_table(path).index) if path.exists() else set()
    failed = extend_table(path, [arch for arch in wanted if arch in own], on_progress) if own else {}
    return Traced(len(own) - len(there) - len(failed), len(there), len(wanted) - len(own), failed)
