"""The project's CSV as formats of :func:`nas_proxy.load_latencies` and :func:`nas_proxy.load_accuracies`."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from nas_proxy.datasets.tables import AccuracyTable, LatencyTable

if TYPE_CHECKING:
    from nas_proxy.spaces import SearchSpace

__all__ = ["CsvAccuracies", "CsvLatencies"]


@dataclass(frozen=True)
class CsvLatencies:
    """The project's CSV of latencies, written by ``nas-proxy measure`` or by hand.

    Attributes:
        space: the search space or its text; by default the one that the file states.
    """

    space: str | SearchSpace | None = None

    def read(self, path: str | Path) -> LatencyTable:
        """See :meth:`LatencyTable.from_csv`."""
        return LatencyTable.from_csv(path, self.space)


@dataclass(frozen=True)
class CsvAccuracies:
    """The project's CSV of accuracies in percent.

    Attributes:
        space: the search space or its text; by default the one that the file states.
    """

    space: str | SearchSpace | None = None

    def read(self, path: str | Path) -> AccuracyTable:
        """See :meth:`AccuracyTable.from_csv`."""
        return AccuracyTable.from_csv(path, self.space)
