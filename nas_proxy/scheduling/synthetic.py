"""Synthetic networks to train and to test schedulers on."""

from __future__ import annotations

import numpy as np

from nas_proxy.errors import InputError
from nas_proxy.scheduling._problem import HOST, PipelineProblem, Tensor

__all__ = ["synthetic_problem"]


def synthetic_problem(
    n: int, rng: np.random.Generator, *, stages: int | None = None, width: float | None = None
) -> PipelineProblem:
    """A random connected network of ``n`` units in layers.

    Args:
        n: number of units.
        rng: source of all randomness.
        stages: devices; drawn from 3 to 7 where not given.
        width: mean units a layer (about 2 is narrow, ``n ** 0.5`` wide); drawn between where not given.

    Unit times, parameters and tensor sizes are log-normal (about a third of units have no parameters, as in real
    networks); the cache holds 0.4 to 2.5 times a device's share of the parameters, the links take 5 to 60 % of a
    stage's time for a typical cut, so that every term of the cost can be the one that matters.

    Raises:
        InputError: ``n`` is below 1.
    """
    if n < 1:
        raise InputError(f"a network needs at least one unit, found {n}.")
    stages = int(rng.integers(3, 8)) if stages is None else stages
    width = float(np.exp(rng.uniform(np.log(1.5), np.log(max(2.0, n**0.5))))) if width is None else width
    layer = np.sort(rng.integers(0, max(1, round(n / width)), n))
    layer = np.unique(layer, return_inverse=True)[1]
    consumers: list[set[int]] = [set() for _ in range(n)]
    for unit in range(n):
        earlier = np.flatnonzero(layer < layer[unit])
        if len(earlier) == 0:
            continue
        nearness = np.exp(-(layer[unit] - layer[earlier] - 1.0) / rng.uniform(0.3, 1.5))
        degree = min(len(earlier), int(rng.choice([1, 2, 3, 4], p=[0.55, 0.3, 0.1, 0.05])))
        chosen = rng.choice(earlier, degree, replace=False, p=nearness / nearness.sum())
        for producer in chosen:
            consumers[producer].add(unit)
    _connect(consumers, layer, rng)

    time_ms = rng.lognormal(0, rng.uniform(0.3, 1.2), n)
    parameters = rng.lognormal(0, rng.uniform(0.5, 1.5), n) * (rng.random(n) > 1 / 3)
    parameters[rng.integers(n)] += 0.1
    sizes = rng.lognormal(0, rng.uniform(0.3, 1.0), n) * np.exp(-rng.uniform(0, 2) * layer / max(layer.max(), 1))
    share = time_ms.sum() / stages
    total = 8e6 * stages
    parameter_bytes = parameters / parameters.sum() * total
    crossing = max(1.0, n / (layer.max() + 1))
    link_ms = rng.uniform(0.05, 0.6) * share / (2 * crossing)  # of a tensor of mean size
    size_bytes = np.maximum(1, sizes / sizes.mean() * 1e5).astype(int)
    tensors = [Tensor(u, tuple(sorted(c)), int(size_bytes[u]), to_host=not c) for u, c in enumerate(consumers)]
    made = set().union(*consumers)
    tensors.append(Tensor(HOST, tuple(u for u in range(n) if u not in made), 100_000))
    return PipelineProblem(
        time_ms=time_ms,
        parameter_bytes=parameter_bytes,
        tensors=tuple(tensors),
        stages=stages,
        cache_bytes=total / stages * rng.uniform(0.4, 2.5),
        stream_bytes_per_ms=total / (share * stages) / rng.uniform(0.3, 2.0),
        link_bytes_per_ms=1e5 / link_ms,
    )


def _connect(consumers: list[set[int]], layer: np.ndarray, rng: np.random.Generator) -> None:
    """Join what is apart: every source but the first gets a reader in common with the part before it."""
    n = len(consumers)
    group = np.arange(n)
    for unit, readers in enumerate(consumers):
        for reader in readers:
            group[group == group[reader]] = group[unit]
    while len(parts := np.unique(group)) > 1:
        a, b = (np.flatnonzero(group == part) for part in parts[:2])
        pairs = [(int(rng.choice(a)), int(rng.choice(b))) for _ in range(20)]
        u, v = max(pairs, key=lambda pair: abs(layer[pair[0]] - layer[pair[1]]))
        first, second = (u, v) if (layer[u], u) < (layer[v], v) else (v, u)
        consumers[first].add(second)
        group[group == group[second]] = group[first]
