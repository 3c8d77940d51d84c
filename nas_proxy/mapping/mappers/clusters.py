"""Which agents belong together: clusters by what their decisions do."""

from __future__ import annotations

from typing import Literal, get_args

import numpy as np
from numpy.typing import NDArray
from scipy.cluster.hierarchy import fcluster, linkage
from scipy.spatial.distance import squareform

__all__ = ["CLUSTERS", "Clusters", "cluster_agents", "effects"]

Clusters = Literal["correlation", "random", "none", "each"]
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
    correlation of parameters); ``"random"``: the same number of clusters, at random; ``"none"``: all in one;
    ``"each"``: every agent alone.
    """
    n = choices.shape[1]
    if how == "each":
        return list(np.arange(n)[:, None])
    if how == "none" or count <= 1:
        return [np.arange(n)]
    if how == "random":
        return [part for part in np.array_split(rng.permutation(n), min(count, n)) if len(part)]
    vectors = effects(choices, metrics)
    vectors = vectors - vectors.mean(axis=1, keepdims=True)
    norms = np.sqrt((vectors**2).sum(axis=1))
    vectors /= np.where(norms > 1e-12, norms, 1.0)[:, None]
    distance = np.clip(1.0 - vectors @ vectors.T, 0.0, 2.0)
    distance = (distance + distance.T) / 2
    np.fill_diagonal(distance, 0.0)
    labels = fcluster(linkage(squareform(distance, checks=False), "average"), count, "maxclust")
    return [np.flatnonzero(labels == label) for label in np.unique(labels)]
