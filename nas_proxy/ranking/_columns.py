"""Architectures as the standardised columns that the latency models are linear in."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from nas_proxy.spaces import SearchSpace

__all__ = ["ColumnMap"]

_CHOICES_SHARE = 0.3
"""Prior variance of all indicators together, that of all features being 1: features come first."""
_RARE = 3
"""An option that fewer architectures have, or lack, gets no indicator: its weight could not be learnt."""


@dataclass(frozen=True)
class ColumnMap:
    """The space's features and the indicators of its choices, of mean 0 and variance 1 over reference architectures.

    Features (totals of work, traffic, layers) are what devices have in common; the indicators let a model tell apart
    what the features leave together. Columns that the reference architectures do not vary are left out: nothing can be
    learnt of them.

    Attributes:
        n_features: the first so many columns are features, the others indicators.
        share: prior variance of each column's weight, ``(d,)``; they sum to 1, so that a model's prior does not
            depend on how many columns a space has.
    """

    space: SearchSpace
    kept_features: NDArray[np.int64]
    kept_indicators: NDArray[np.int64]
    mean: NDArray[np.float64]
    scale: NDArray[np.float64]

    @classmethod
    def of(cls, space: SearchSpace, archs: Sequence[Any]) -> ColumnMap:
        """The columns that vary over ``archs``."""
        features, indicators = space.features(archs), space.one_hot(archs)
        spread = np.ptp(features, axis=0) > 1e-9 * np.abs(features).max(axis=0, initial=0.0)
        with_option = indicators.sum(axis=0)
        told_apart = np.minimum(with_option, len(archs) - with_option) >= _RARE
        kept = np.column_stack([features[:, spread], indicators[:, told_apart]])
        return cls(space, np.flatnonzero(spread), np.flatnonzero(told_apart), kept.mean(axis=0), kept.std(axis=0))

    def __call__(self, archs: Sequence[Any]) -> NDArray[np.float64]:
        """Standardised columns of shape ``(n, d)``."""
        features = self.space.features(archs)[:, self.kept_features]
        indicators = self.space.one_hot(archs)[:, self.kept_indicators]
        return (np.column_stack([features, indicators]) - self.mean) / self.scale

    @property
    def n_features(self) -> int:
        return len(self.kept_features)

    @property
    def share(self) -> NDArray[np.float64]:
        share = np.ones(len(self.mean))
        share[: self.n_features] /= max(self.n_features, 1)
        share[self.n_features :] *= _CHOICES_SHARE / max(len(self.kept_indicators), 1)
        return share / max(share.sum(), 1e-300)
