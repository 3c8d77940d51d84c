"""The search problem: objectives, limits, and every evaluation counted."""

from __future__ import annotations

import numpy as np
import pytest

from nas_proxy.errors import InputError, UnknownNameError
from nas_proxy.mapping.features import features
from nas_proxy.mapping.layer import Layer
from nas_proxy.mapping.mappers import map_problem
from nas_proxy.mapping.mappers._memory import Memory
from nas_proxy.mapping.mappers.clusters import cluster_agents, effects
from nas_proxy.mapping.problem import BudgetSpentError, Problem
from nas_proxy.terminal.console import Terminal
from nas_proxy.terminal.mapping import mapping_page
from nas_proxy.testing.mappers import small_accelerator as accelerator

LAYER = Layer(k=16, c=8, p=8, q=8, r=3, s=3)


def test_known_mappings_cost_nothing_and_new_ones_do():
    problem = Problem(LAYER, accelerator(), budget=50)
    choices = problem.space.sample(np.random.default_rng(0), 20)
    values, metrics = problem.evaluate(choices)
    assert problem.spent == len(set(problem.space.keys(problem.space.mappings(choices))))
    assert not problem.unknown(choices).any()
    again, _ = problem.evaluate(choices)
    np.testing.assert_array_equal(values, again)
    assert metrics.values.shape == (20, len(metrics.names))
    before = problem.spent
    with pytest.raises(BudgetSpentError):
        problem.evaluate(problem.space.sample(np.random.default_rng(1), 100))
    assert (before, problem.spent, problem.left) == (20, 50, 0)
    result = problem.result()
    assert result.evaluations == len(result.history) == 50


@pytest.mark.parametrize("objective", ["edp", "latency", "energy"])
def test_values_are_logarithms_of_the_objective(objective):
    problem = Problem(LAYER, accelerator(), objective, budget=10)
    choices = problem.space.sample(np.random.default_rng(0), 5)
    values, _ = problem.evaluate(choices)
    costs = problem.model.evaluate(problem.space.mappings(choices))
    expected = {"edp": costs.edp, "latency": costs.cycles, "energy": costs.energy_pj}[objective]
    np.testing.assert_allclose(values, np.log(expected))
    rewards = problem.reward(values)
    assert (rewards < 1).all()
    assert (np.argsort(rewards) == np.argsort(-values)).all()


def test_mappings_that_do_not_fit_are_worse_than_any_sensible_one():
    problem = Problem(LAYER, accelerator(), budget=10)
    choices = np.zeros((1, len(problem.space)), dtype=np.int64)  # everything in the register file
    values, _ = problem.evaluate(choices)
    assert problem.reward(values)[0] < 0


def test_energy_under_a_latency_limit():
    free = map_problem(Problem(LAYER, accelerator(), "energy", budget=300), "marl-without-critic")
    fast = map_problem(Problem(LAYER, accelerator(), "latency", budget=300), "marl-without-critic")
    limit = float(np.sqrt(free.costs.cycles[0] * fast.costs.cycles[0]))
    both = map_problem(Problem(LAYER, accelerator(), "energy", budget=300, max_cycles=limit), "marl-without-critic")
    assert both.limit_met
    assert both.costs.cycles[0] <= limit
    assert both.value == pytest.approx(np.log(both.costs.energy_pj[0]))


def test_a_mapping_within_the_limit_is_better_than_any_beyond_it():
    free = Problem(LAYER, accelerator(), "energy", budget=400)
    choices = free.space.sample(np.random.default_rng(0), 400)
    costs = free.model.evaluate(free.space.mappings(choices))
    for limit in np.quantile(costs.cycles, [0.01, 0.2, 0.5]):
        limited = Problem(LAYER, accelerator(), "energy", budget=500, max_cycles=float(limit))
        limited.evaluate(choices)
        result = limited.result()
        within = costs.valid & (costs.cycles <= limit)
        assert result.limit_met
        assert result.value == pytest.approx(np.log(costs.energy_pj[within].min()))


def test_a_limit_that_was_not_met_is_said(capsys):
    problem = Problem(LAYER, accelerator(), "energy", budget=2, max_cycles=2304)
    problem.evaluate(problem.space.sample(np.random.default_rng(0), 1))
    result = problem.result()
    assert not result.limit_met
    Terminal().show(mapping_page(LAYER, accelerator(), result))
    assert f"limit of 2,304 cycles not met: the best takes {result.costs.cycles[0]:,.0f}" in capsys.readouterr().out


@pytest.mark.parametrize("counting", ["physical", "timeloop"])
@pytest.mark.parametrize(
    "layer",
    [LAYER, Layer(k=8, c=4, p=6, q=6, stride=(2, 2)), Layer(k=4, c=4, p=5, q=7, r=3, s=2, dilation=(2, 3)),
     Layer("fc", k=96, c=128), Layer("gemm", g=3, p=8, k=12, c=4)],
    ids=["conv", "strided", "dilated", "fc", "gemm"],
)  # fmt: skip
def test_no_mapping_is_faster_than_the_least_cycles(layer, counting):
    problem = Problem(layer, accelerator(), budget=9, counting=counting)
    costs = problem.model.evaluate(problem.space.mappings(problem.space.sample(np.random.default_rng(0), 1000)))
    least = problem.model.least_cycles()
    assert (costs.compute_cycles >= least["compute"]).all()
    assert costs.level_cycles[:, 2].min() >= least["DRAM"]
    assert costs.cycles.min() <= 3 * max(least.values())


@pytest.mark.parametrize(
    ("arguments", "error", "message"),
    [
        ({"budget": 0}, InputError, "budget must be a positive number of evaluations, found 0"),
        ({"budget": 1.5}, InputError, r"budget must be a positive number of evaluations, found 1\.5"),
        ({"objective": "epd", "budget": 9}, UnknownNameError, "unknown objective 'epd'.* Did you mean 'edp'"),
        ({"budget": 9, "max_cycles": 1e9}, InputError, "max_cycles limits the latency of objective 'energy'"),
        (
            {"objective": "energy", "budget": 9, "max_cycles": 100},
            InputError,
            "no mapping of conv .* takes at most 100 cycles: 73728 MACs on 32 PEs take at least 2304",
        ),
        (
            {"layer": Layer("fc", c=4096, k=1000), "objective": "energy", "budget": 9, "max_cycles": 200_000},
            InputError,
            "no mapping of fc .* takes at most 200000 cycles: reading W and I from DRAM and writing O once takes at "
            "least 2050048",
        ),
        ({"objective": "energy", "budget": 9, "max_cycles": float("nan")}, InputError, "takes at most nan cycles"),
    ],
)
def test_problems_that_cannot_be(arguments, error, message):
    with pytest.raises(error, match=message):
        Problem(**{"layer": LAYER, "accelerator": accelerator(), **arguments})


def test_nothing_evaluated_is_no_result():
    with pytest.raises(InputError, match="nothing has been evaluated yet"):
        Problem(LAYER, accelerator(), budget=5).result()


def test_the_critic_learns_to_rank():
    problem = Problem(LAYER, accelerator(), budget=1000)
    choices = problem.space.sample(np.random.default_rng(0), 400)
    values, metrics = problem.evaluate(choices)
    memory = Memory(problem)
    memory.add(choices[:100], values[:100], type(metrics)(metrics.values[:100]))
    memory.learn()
    chosen = memory.choose(choices[100:], 20, caution=0.0)
    found, _ = problem.evaluate(chosen)
    assert np.median(found) < np.quantile(values[100:], 0.1)


def test_features_tell_apart_what_costs_differently():
    problem = Problem(LAYER, accelerator(), budget=1000)
    mappings = problem.space.mappings(problem.space.sample(np.random.default_rng(0), 200))
    seen = features(LAYER, mappings)
    assert np.isfinite(seen).all()
    energy = problem.model.evaluate(mappings).energy_pj
    assert len(np.unique(seen.round(9), axis=0)) >= 0.95 * len(np.unique(energy))


def test_agents_whose_decisions_do_the_same_are_clustered():
    rng = np.random.default_rng(0)
    choices = rng.integers(0, 5, size=(400, 6))
    a, b = choices[:, :3].sum(axis=1), choices[:, 3:].sum(axis=1)
    metrics = np.column_stack([a, -a + 0.1 * b, b, b + 0.1 * a, rng.normal(size=400)]).astype(float)
    assert effects(choices, metrics).shape == (6, 5)
    groups = cluster_agents(choices, metrics, 2, "correlation", rng)
    assert sorted(map(sorted, groups)) == [[0, 1, 2], [3, 4, 5]]
    assert [len(group) for group in cluster_agents(choices, metrics, 2, "random", rng)] == [3, 3]
    # Choices that go together, whatever they are: the second half is a permutation of the first.
    linked = np.concatenate([choices[:, :3], (3 * choices[:, :3] + 1) % 5], axis=1)
    groups = cluster_agents(linked, metrics, 3, "linkage", rng)
    assert sorted(map(sorted, groups)) == [[0, 3], [1, 4], [2, 5]]
    assert len(cluster_agents(choices, metrics, 2, "none", rng)) == 1
    assert len(cluster_agents(choices, metrics, 2, "each", rng)) == 6
