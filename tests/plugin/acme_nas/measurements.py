"""An adaptation method, and a format of latencies and of accuracies: lines of an architecture and a number."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np

from nas_proxy import extensions
from nas_proxy.datasets import AccuracyTable, LatencyTable
from nas_proxy.errors import InputError
from nas_proxy.spaces import get_space


@dataclass(frozen=True)
class FewSlabs:
    """The Bayesian adaptation with few features that may matter.

    Attributes:
        features: how many.
    """

    features: int = 8

    def fit(self, inputs, y, known):
        return extensions.get("methods", "bayes", features=self.features).fit(inputs, y, known)


@dataclass(frozen=True)
class LatencyLines:
    """Lines ``ARCH MILLISECONDS``; the device is called as the file.

    Attributes:
        space: of the architectures.
    """

    space: str = "strips"

    def read(self, path):
        archs, values = _lines(path, self.space)
        return LatencyTable(self.space, archs, (Path(path).stem,), values[:, None])


@dataclass(frozen=True)
class AccuracyLines:
    """Lines ``ARCH PERCENT``.

    Attributes:
        space: of the architectures.
    """

    space: str = "strips"

    def read(self, path):
        return AccuracyTable(self.space, *_lines(path, self.space))


def _lines(path, space):
    try:
        rows = [line.split() for line in Path(path).read_text("utf-8").splitlines()]
        values = np.array([float(value) for _, value in rows])
        archs = tuple(get_space(space).from_str(arch) for arch, _ in rows)
    except (OSError, ValueError) as error:
        raise InputError(f"{path}: expected lines ARCH NUMBER: {error}") from None
    if not rows:
        raise InputError(f"{path}: expected lines ARCH NUMBER, found none.")
    return archs, values
