"""Which agents belong together: clusters by what their decisions do."""

from __future__ import annotations

from typing import Literal, get_args

import numpy as np
from numpy.typing import NDArray
from scipy.cluster.hierarchy import fcluster, linkage
from scipy.spatial.distance import squareform

from nas_proxy.mapping.space import CHOICES

__all__ = ["CLUSTERS", "Clusters", "cluster_agents", "effects"]

Clusters = Literal["correlation", "linkage", "random", "none", "each"]
CLUSTERS: tuple[str, ...] = get_args(Clusters)


def effects(choices: NDArray[np.int64], metrics: NDArray[np.float64]) -> NDArray[np.float64]:
    """Effect vector of each agent, ``(n, m)``: correlation of its choice (slots count inner to outer) with each metric.

    Args:
        choices: ``(B, n)`` assignments that were evaluated.
        metrics: ``(B, m)`` what they gave: log cycles, log energy, words moved, occupancies.
    """
    x = choices - choices.mean(axis=0)
    y = metrics - metrics.mean(axis=0)
    scale = np.sqrt((x**2).sum(axis=0))[:, None] * np.sqrt((y**2).sum(axis=0))[None]
    return np.divide(x.T @ y, scale, out=np.zeros(scale.shape), where=scale > 1e-12)


def cluster_agents(
    choices: NDArray[np.int64], metrics: NDArray[np.float64], count: int, how: Clusters, rng: np.random.Generator
) -> list[NDArray[np.int64]]:
    """Agents in clusters.

    ``"correlation"``: average linkage on the correlation of effect vectors (Krishnan et al., 2025, cluster by the
    correlation of parameters); ``"linkage"``: on the mutual information of choices, meant for the elite of a search (as
    in the linkage-tree genetic algorithm, Thierens, 2010); ``"random"``: the same number of clusters, at random;
    ``"none"``: all in one; ``"each"``: every agent alone.
    """
    n = choices.shape[1]
    if how == "each":
        return list(np.arange(n)[:, None])
    if how == "none" or count <= 1:
        return [np.arange(n)]
    if how == "random":
        return [part for part in np.array_split(rng.permutation(n), min(count, n)) if len(part)]
    distance = 1.0 - (_shared_information(choices) if how == "linkage" else _alike(effects(choices, metrics)))
    distance = np.clip((distance + distance.T) / 2, 0.0, 2.0)
    np.fill_diagonal(distance, 0.0)
    labels = fcluster(linkage(squareform(distance, checks=False), "average"), count, "maxclust")
    return [np.flatnonzero(labels == label) for label in np.unique(labels)]


def _alike(vectors: NDArray[np.float64]) -> NDArray[np.float64]:
    """Correlation of each pair of rows, ``(n, n)``; 0 for constant ones."""
    vectors = vectors - vectors.mean(axis=1, keepdims=True)
    norms = np.sqrt((vectors**2).sum(axis=1))
    vectors /= np.where(norms > 1e-12, norms, 1.0)[:, None]
    return vectors @ vectors.T


def _shared_information(choices: NDArray[np.int64]) -> NDArray[np.float64]:
    """Mutual information of each pair of columns over their joint entropy, ``(n, n)``, in 0..1."""
    b, n = choices.shape
    chosen = (choices[:, :, None] == np.arange(CHOICES)).reshape(b, n * CHOICES).astype(float)
    joint = (chosen.T @ chosen / b).reshape(n, CHOICES, n, CHOICES)
    together = -_x_log_x(joint).sum(axis=(1, 3))
    alone = together.diagonal()
    return np.divide(alone[:, None] + alone - together, together, out=np.zeros((n, n)), where=together > 1e-12)


def _x_log_x(p: NDArray[np.float64]) -> NDArray[np.float64]:
    return p * np.log(np.where(p > 0, p, 1.0))
