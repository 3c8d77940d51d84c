"""timm's zoo of pretrained networks: which of them to use, not how to build one.

Costs of all networks come from a table that ships with the package, so that ranking traces nothing and needs no timm.
Networks of one zoo differ by a factor of ten thousand in size, so features are logarithms of totals, for size, and
shares of the totals, for kind: the logarithm of a latency that adds up over kinds of work is close to linear in them.
"""

# What a caller hands in is checked, whatever its annotation says.
# pyright: reportUnnecessaryIsInstance=false

from __future__ import annotations

from collections.abc import Sequence
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from nas_proxy.errors import InputError, UnknownNameError
from nas_proxy.spaces._base import FeatureColumn, SearchSpace
from nas_proxy.spaces._timm_networks import create_network, create_own_network, split
from nas_proxy.spaces._timm_table import COMPUTE, INTENSITIES, KINDS, NARROW, SHIPPED, read_table

if TYPE_CHECKING:
    import torch

__all__ = ["TimmZoo", "create_network", "create_own_network", "split"]


class TimmZoo(SearchSpace[str]):
    """timm's zoo of pretrained networks.

    Architectures are names with an image size, ``"resnet50@224"``.

    Args:
        tables: costs of the networks; by default the table that ships with the package. Of a network in several, the
            last counts.

    Raises:
        InputError: a table is missing or not one that ``nas-proxy zoo-trace`` has made.
    """

    name: ClassVar[str] = "timm"

    def __init__(self, *tables: Path) -> None:
        table = pd.concat([read_table(table) for table in tables or (SHIPPED,)]).fillna(0)
        self._table = pd.DataFrame(table[~table.index.duplicated(keep="last")])
        self.choices = {"network": tuple(self._table.index)}
        self._row = {arch: i for i, arch in enumerate(self._table.index)}

    # -- encoding ----------------------------------------------------------------------------------------------------

    def encode(self, archs: Sequence[str]) -> NDArray[np.int64]:
        """As :meth:`SearchSpace.encode`."""
        try:
            rows = [self._row[arch] for arch in archs]
        except (KeyError, TypeError):
            for arch in archs:
                self.from_str(arch)  # says what is wrong
            raise
        return np.array(rows, dtype=np.int64).reshape(len(archs), 1)

    def decode(self, codes: NDArray[np.integer]) -> list[str]:
        """As :meth:`SearchSpace.decode`."""
        return [self.choices["network"][i] for i in np.asarray(codes)[:, 0]]

    def to_str(self, arch: str) -> str:
        """As :meth:`SearchSpace.to_str`."""
        return self.from_str(arch)

    def from_str(self, text: str) -> str:
        """As :meth:`SearchSpace.from_str`."""
        if isinstance(text, str) and text in self._row:
            return text
        name, _ = split(text)
        sizes = [arch for arch in self._row if arch.startswith(f"{name}@")]
        if sizes:
            raise InputError(f"timm: {text!r} is not in the table; the sizes of {name} in it: {', '.join(sizes)}.")
        hint = "`nas-proxy zoo-trace` adds networks to a table."
        raise UnknownNameError("timm network", text, self._row, hint)

    # -- features ----------------------------------------------------------------------------------------------------

    @cached_property
    def feature_columns(self) -> tuple[FeatureColumn, ...]:  # pyright: ignore[reportIncompatibleVariableOverride]
        """Logarithms of totals, then shares of kinds of work in them."""
        return tuple(column for column, _ in self._columns)

    def features(self, archs: Sequence[str]) -> NDArray[np.float64]:
        """As :meth:`SearchSpace.features`."""
        return self._features[self.encode(archs)[:, 0]]

    @cached_property
    def _features(self) -> NDArray[np.float64]:
        return np.column_stack([values for _, values in self._columns])

    def costs(self, name: str, archs: Sequence[str]) -> NDArray[np.float64]:
        """A total of architectures: ``"macs"``, ``"activations"`` (values that layers write), ``"parameters"``..."""
        return self._totals[name][self.encode(archs)[:, 0]]

    @cached_property
    def _totals(self) -> dict[str, NDArray[np.float64]]:
        def total(prefix: str, kinds: Sequence[str]) -> NDArray[np.float64]:
            return np.sum([self._column(f"{prefix}_{kind}") for kind in kinds], axis=0)

        return {
            "macs": total("macs", list(COMPUTE)),
            "bytes": total("read", list(KINDS)) + total("written", list(KINDS)),
            "activations": total("written", list(COMPUTE)) / 4,
            "kernels": total("kernels", list(KINDS)),
            "weights": total("weights", list(COMPUTE)),
            "parameters": self._column("parameters"),
            "depth": self._column("depth"),
            "compute_depth": self._column("compute_depth"),
        }

    def _column(self, name: str) -> NDArray[np.float64]:
        return np.asarray(self._table[name]) if name in self._table else np.zeros(len(self._table))

    @cached_property
    def _columns(self) -> list[tuple[FeatureColumn, NDArray[np.float64]]]:
        totals = self._totals
        found: list[tuple[FeatureColumn, NDArray[np.float64]]] = []
        for name, (meaning, unit) in _TOTALS.items():
            column = FeatureColumn(f"log_{name}", f"logarithm of the {meaning}", f"log {unit}")
            found.append((column, np.log(np.maximum(totals[name], 1))))

        def share(name: str, meaning: str, part: NDArray[np.float64], whole: str) -> None:
            values = part / np.maximum(totals[whole], 1)
            if np.ptp(values):
                found.append((FeatureColumn(name, f"share of {meaning}", f"of all {whole}"), values))

        for kind, what in COMPUTE.items():
            share(f"macs_{kind}", f"{what} in multiply-accumulates", self._column(f"macs_{kind}"), "macs")
        for kind, what in KINDS.items():
            moved = self._column(f"read_{kind}") + self._column(f"written_{kind}")
            share(f"bytes_{kind}", f"{what} in activation traffic", moved, "bytes")
            share(f"kernels_{kind}", f"{what} in the number of kernels", self._column(f"kernels_{kind}"), "kernels")
        for width in NARROW:
            part = self._column(f"macs_narrower_than_{width}")
            share(
                f"macs_narrower_than_{width}", f"kernels whose sums or outputs are narrower than {width}", part, "macs"
            )
        for intensity in INTENSITIES:
            part = self._column(f"macs_less_intense_than_{intensity}")
            share(
                f"macs_less_intense_than_{intensity}",
                f"kernels of fewer than {intensity} multiply-accumulates per activation moved",
                part,
                "macs",
            )
        return found

    # -- network -----------------------------------------------------------------------------------------------------

    def input_shape(self, arch: str) -> tuple[int, int, int]:
        """As :meth:`SearchSpace.input_shape`."""
        _, size = split(self.from_str(arch))
        return (3, size, size)

    def build(self, arch: str, *, pretrained: bool = False, **parameters: Any) -> torch.nn.Module:
        """timm's network.

        Args:
            arch: name and image size.
            pretrained: with timm's default weights, which are downloaded.
            parameters: passed to ``timm.create_model``, e.g. ``num_classes=10``.

        Raises:
            MissingDependencyError: timm is not installed.
        """
        return create_network(self.from_str(arch), pretrained=pretrained, **parameters)


_TOTALS = {
    "macs": ("multiply-accumulates", "MAC"),
    "bytes": ("activations read and written", "bytes"),
    "activations": ("values that multiplying kernels write", "values"),
    "kernels": ("number of kernels", "kernels"),
    "weights": ("weights used", "values"),
    "parameters": ("parameters", "parameters"),
    "depth": ("kernels on the longest path", "kernels"),
    "compute_depth": ("multiplying kernels on the longest path", "kernels"),
}
