"""The proven optimum is the least of every mapping there is, whatever the search starts from."""

from __future__ import annotations

import itertools
import json
from typing import Any

import numpy as np
import pytest

from nas_proxy.devices import get_device
from nas_proxy.errors import InputError
from nas_proxy.mapping import Layer, Mappings, Problem, map_problem, parse_layer
from nas_proxy.mapping.accelerator import Accelerator
from nas_proxy.mapping.exact import prove
from nas_proxy.mapping.layer import DIMS
from nas_proxy.mapping.problem import OBJECTIVES
from nas_proxy.mapping.space import _primes


def random_layer(rng: np.random.Generator) -> Layer:
    """A layer of at most four prime factors, so that all its mappings can be listed."""
    sizes = dict.fromkeys("ngkcpqrs", 1)
    for _ in range(rng.integers(2, 5)):
        sizes[rng.choice(list(sizes))] *= int(rng.choice([2, 2, 3, 5, 7]))
    strides = tuple(int(s) for s in rng.integers(1, 4, 2))
    return Layer("conv", **sizes, stride=strides, dilation=tuple(int(d) for d in rng.integers(1, 3, 2)))


def random_accelerator(rng: np.random.Generator) -> Accelerator:
    """Memories that matter for such layers, and every option of the cost model."""

    def level(capacity: Any) -> dict[str, Any]:
        energies = {"read_energy_pj": float(rng.uniform(0.1, 10)), "write_energy_pj": float(rng.uniform(0.1, 10))}
        rates = {
            w: float(rng.uniform(0.2, 8))
            for w in ("read_words_per_cycle", "write_words_per_cycle")
            if rng.random() < 0.6
        }
        return (
            energies | rates | {"capacity_words": capacity, "shared_port": bool(rng.random() < 0.3) and len(rates) == 2}
        )

    pools = {"W": int(rng.integers(2, 9)), "I": int(rng.integers(2, 9)), "O": int(rng.integers(2, 9))}
    levels = {
        "RF": level(pools if rng.random() < 0.5 else int(rng.integers(6, 24))),
        "GLB": level(int(rng.integers(6, 120))) | {"double_buffered": bool(rng.random() < 0.3)},
        "DRAM": level(None),
    }
    levels["DRAM"]["read_energy_pj"] *= 10

    def some(share: float) -> Any:
        return None if rng.random() < share else [d for d in DIMS if rng.random() < 0.5]

    return Accelerator.model_validate(
        {
            "word_bits": 8,
            "pe_rows": int(rng.integers(1, 5)),
            "pe_cols": int(rng.integers(1, 7)),
            "mac_energy_pj": 1.0,
            "noc_energy_pj": float(rng.choice([0.0, 0.7])),
            "leakage_pj_per_cycle": float(rng.choice([0.0, 3.0])),
            "spatial_reduction": bool(rng.random() < 0.6),
            "systolic": bool(rng.random() < 0.3),
            "weights_preloaded": bool(rng.random() < 0.5),
            "prologue": bool(rng.random() < 0.4),
            "constraints": {
                "x": some(0.6),
                "y": some(0.6),
                "register_dims": some(0.6),
                "glb_keep": {t: bool(rng.random() < 0.5) for t in "WIO" if rng.random() < 0.2},
            },
            "levels": levels,
        }
    )


def all_mappings(layer: Layer, accelerator: Accelerator) -> Mappings:
    """Every mapping with exact factors: all places of every prime factor, all that may be kept, all loop orders."""
    primes = [(d, p) for d, bound in enumerate(layer.bounds) for p in _primes(int(bound))]
    allowed = [accelerator.allowed(slot) for slot in ("RF", "X", "Y")]
    fixed = accelerator.constraints.glb_keep
    keeps = list(itertools.product(*([fixed[t]] if t in fixed else [False, True] for t in "WIO")))
    factors, orders, kept = [], [], []
    for slots in itertools.product(range(5), repeat=len(primes)):
        if any(slot < 3 and not allowed[slot][d] for slot, (d, _) in zip(slots, primes, strict=True)):
            continue
        tile = np.ones((5, 8), dtype=np.int64)
        for slot, (d, prime) in zip(slots, primes, strict=True):
            tile[slot, d] *= prime
        loops = [[d for d in range(8) if tile[slot, d] > 1] for slot in (3, 4)]
        for glb, dram in itertools.product(*(itertools.permutations(level) for level in loops)):
            order = [[d for d in range(8) if d not in level] + list(level) for level in (glb, dram)]
            for keep in keeps:
                factors.append(tile)
                orders.append(order)
                kept.append(keep)
    return Mappings(np.array(factors), np.array(orders), np.array(kept))


def least(problem: Problem) -> float:
    costs = problem.model.evaluate(all_mappings(problem.model.layer, problem.model.accelerator))
    value = {"edp": costs.edp, "latency": costs.cycles, "energy": costs.energy_pj}[problem.objective]
    within = costs.valid if problem.max_cycles is None else costs.valid & (costs.cycles <= problem.max_cycles)
    return float(value[within].min()) if within.any() else np.inf


def small_problem(seed: int) -> Problem:
    rng = np.random.default_rng(seed)
    layer, accelerator = random_layer(rng), random_accelerator(rng)
    return Problem(layer, accelerator, OBJECTIVES[seed % 3], budget=1, pad=False)


@pytest.mark.parametrize("seed", range(100))
def test_whole_small_spaces_by_brute_force(seed: int) -> None:
    problem = small_problem(seed)
    proof = prove(problem)
    assert proof.proven
    assert proof.value == pytest.approx(least(problem), rel=1e-9)


@pytest.mark.slow
@pytest.mark.parametrize("seed", range(100, 700))
def test_more_small_spaces_by_brute_force(seed: int) -> None:
    test_whole_small_spaces_by_brute_force(seed)


@pytest.mark.parametrize("seed", range(12))
def test_the_least_energy_under_a_latency_limit(seed: int) -> None:
    rng = np.random.default_rng(100 + seed)
    layer, accelerator = random_layer(rng), random_accelerator(rng)
    costs = Problem(layer, accelerator, budget=1).model.evaluate(all_mappings(layer, accelerator))
    limit = float(np.quantile(costs.cycles[costs.valid], 0.2))
    problem = Problem(layer, accelerator, "energy", budget=1, max_cycles=limit)
    assert prove(problem).value == pytest.approx(least(problem), rel=1e-9)
    fastest = costs.cycles[costs.valid].min()
    if (too_fast := np.nextafter(fastest, 0)) > max(problem.model.least_cycles().values()):
        with pytest.raises(InputError, match=r"no mapping of .* takes at most"):
            prove(Problem(layer, accelerator, "energy", budget=1, max_cycles=too_fast))


def test_the_answer_does_not_depend_on_the_start() -> None:
    accelerator = get_device("eyeriss").accelerator
    problem = Problem(parse_layer("conv:96x32x28x28x3x3,stride=2"), accelerator, budget=300)
    alone = prove(problem)
    for seed in range(3):
        searched = map_problem(problem, "genetic", seed)
        started = prove(problem, searched.mapping)
        assert problem.space.keys(started.mapping) == problem.space.keys(alone.mapping)
        assert started.nodes <= alone.nodes
        assert alone.value <= np.exp(searched.value) * (1 + 1e-12)
    again = prove(problem, alone.mapping)
    assert (again.proven, again.value) == (True, alone.value)


def test_what_is_not_proven_is_said_with_a_bound() -> None:
    problem = Problem(parse_layer("conv:64x64x56x56x3x3"), get_device("eyeriss").accelerator, "energy", budget=1)
    short, whole = prove(problem, nodes=20_000), prove(problem)
    assert not short.proven
    assert short.nodes <= 20_000
    assert whole.proven
    assert short.bound <= whole.value <= short.value
    assert short.gap == short.value / short.bound - 1 > 0 == whole.gap


def test_bad_settings_are_refused() -> None:
    accelerator = get_device("eyeriss").accelerator
    with pytest.raises(InputError, match="nodes must be an integer of at least 1"):
        prove(Problem(parse_layer("fc:8x8"), accelerator, budget=1), nodes=0)
    with pytest.raises(InputError, match="counted as 'physical'"):
        prove(Problem(parse_layer("fc:8x8"), accelerator, budget=1, counting="timeloop"))


@pytest.mark.parametrize("every", [23, pytest.param(1, marks=pytest.mark.slow)])
def test_recorded_optima(measurements, every: int) -> None:
    records = [json.loads(line) for line in measurements("optima", "optima.jsonl").read_text().splitlines()]
    for record in records[::every]:
        bounds = dict(zip((d.lower() for d in DIMS), record["bounds"], strict=True))
        axes = {name: tuple(record[name]) for name in ("stride", "dilation")}
        accelerator = get_device(record["device"]).accelerator
        problem = Problem(Layer(record["kind"], **bounds, **axes), accelerator, record["objective"], budget=100)
        proof = prove(problem, map_problem(problem, "random").mapping)
        assert proof.proven
        assert proof.value == pytest.approx(record["value"], rel=1e-7), record
