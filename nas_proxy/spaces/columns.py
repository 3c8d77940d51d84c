"""Architectures as the standardised columns that all models of latency and accuracy see."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from nas_proxy.spaces._base import SearchSpace

__all__ = ["Columns"]

_CHOICES_SHARE = 0.3
"""Prior variance of all indicators together, that of all features being 1: features come first."""
_RARE = 3
"""An option that fewer architectures have, or lack, gets no indicator: its weight could not be learnt."""
_TWINS = 1 - 1e-4
"""Correlation from which two features say the same: models could not choose between them but by rounding."""


@dataclass(frozen=True)
class Columns:
    """The space's features and the indicators of its choices, of mean 0 and variance 1 over reference architectures.

    Features (totals of work, traffic, layers) are what devices have in common; the indicators let a model tell apart
    what the features leave together. Columns that the reference architectures do not vary are left out: nothing can be
    learnt of them. So are all but the first of features that say the same.

    The features are in the order of their names, whatever order the space has them in.

    Attributes:
        features: which of the space's features are kept, ``(n_features,)``; they are the first of the columns.
        indicators: which of the space's indicators are kept; they are the other columns.
        mean, scale: of the columns before they are standardised, ``(d,)``.
    """

    space: SearchSpace
    features: NDArray[np.int64]
    indicators: NDArray[np.int64]
    mean: NDArray[np.float64]
    scale: NDArray[np.float64]

    @classmethod
    def of(cls, space: SearchSpace, archs: Sequence[Any]) -> Columns:
        """The columns that vary over ``archs`` and are no twins."""
        values, indicators = space.features(archs), space.one_hot(archs)
        by_name = np.array(sorted(range(values.shape[1]), key=space.feature_names.__getitem__), dtype=np.int64)
        varies = np.ptp(values, axis=0) > 1e-9 * np.abs(values).max(axis=0, initial=0.0)
        features = by_name[varies[by_name]]
        standard = (values[:, features] - values[:, features].mean(axis=0)) / values[:, features].std(axis=0)
        alike = np.abs(standard.T @ standard) > _TWINS * len(archs)
        features = features[~np.tril(alike, -1).any(axis=1)]
        with_option = indicators.sum(axis=0)
        told_apart = np.flatnonzero(np.minimum(with_option, len(archs) - with_option) >= _RARE)
        kept = np.column_stack([values[:, features], indicators[:, told_apart]])
        return cls(space, features, told_apart, kept.mean(axis=0), kept.std(axis=0))

    def __call__(self, archs: Sequence[Any]) -> NDArray[np.float64]:
        """Standardised columns of shape ``(n, d)``."""
        features = self.space.features(archs)[:, self.features]
        indicators = self.space.one_hot(archs)[:, self.indicators]
        return (np.column_stack([features, indicators]) - self.mean) / self.scale

    @property
    def n_features(self) -> int:
        """How many of the columns, from the first, are features."""
        return len(self.features)

    @property
    def share(self) -> NDArray[np.float64]:
        """Prior variance of each column's weight, ``(d,)``, relative to the others: they sum to 1, so that a model's
        prior does not depend on how many columns a space has."""
        share = np.ones(len(self.mean))
        share[: self.n_features] /= max(self.n_features, 1)
        share[self.n_features :] *= _CHOICES_SHARE / max(len(self.indicators), 1)
        return share / max(share.sum(), 1e-300)
