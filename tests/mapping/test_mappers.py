"""All mappers pass the conformance suite; the environments pass those of their libraries."""

from __future__ import annotations

import warnings

import numpy as np
import pytest

from nas_proxy import extensions
from nas_proxy.errors import InputError, UnknownNameError
from nas_proxy.mapping.layer import Layer
from nas_proxy.mapping.mappers import map_problem
from nas_proxy.mapping.mappers.baselines import RandomMapper
from nas_proxy.mapping.problem import BudgetSpentError, Problem
from nas_proxy.testing.mappers import CHECKS
from nas_proxy.testing.mappers import small_accelerator as accelerator

LAYER = Layer(k=16, c=8, p=8, q=8, r=3, s=3)
LEARNING = [
    name for name in extensions.names("mappers") if name not in ("random", "ppo-archgym") and not name.startswith("ppo")
]


@pytest.mark.parametrize("check", CHECKS)
@pytest.mark.parametrize("name", LEARNING)
def test_mapper(name, check):
    check(extensions.get("mappers", name))


@pytest.mark.parametrize("check", [c for c in CHECKS if c.__name__ != "check_learns"])
def test_random_mapper(check):
    check(RandomMapper())


@pytest.mark.slow
@pytest.mark.parametrize("check", CHECKS)
@pytest.mark.parametrize("name", ["ppo", "ppo-masked"])
def test_single_agent(name, check):
    pytest.importorskip("sb3_contrib")
    check(extensions.get("mappers", name))


@pytest.mark.slow
def test_archgym_settings_run():
    pytest.importorskip("stable_baselines3")
    result = map_problem(Problem(LAYER, accelerator(), budget=200), "ppo-archgym")
    assert result.evaluations == 200


def test_marl_is_better_than_random_and_genetic_search():
    """At 150 evaluations, over three seeds."""

    def reached(name: str) -> float:
        return float(np.mean([map_problem(Problem(LAYER, accelerator(), budget=150), name, s).value for s in range(3)]))

    marl = reached("marl")
    assert marl < reached("random") - 0.1
    assert marl < reached("genetic")


def test_mappers_are_named():
    with pytest.raises(UnknownNameError, match=r"unknown mapper 'mral'\. Did you mean 'marl'"):
        map_problem(Problem(LAYER, accelerator(), budget=50), "mral")
    extensions.register("mappers", "mine", RandomMapper)
    assert isinstance(extensions.get("mappers", "mine"), RandomMapper)


def test_a_budget_below_the_initial_batch():
    with pytest.raises(InputError, match="a budget of 10 evaluations is below the 24 that MarlMapper starts with"):
        map_problem(Problem(LAYER, accelerator(), budget=10), "marl")


@pytest.mark.parametrize(
    ("name", "settings", "error", "message"),
    [
        ("marl", {"clusters": "corelation"}, UnknownNameError, "value of clusters in MarlMapper .* 'correlation'"),
        ("marl", {"turn": 0}, InputError, "MarlMapper: turn must be an integer of at least 1, found 0"),
        ("marl", {"initial": 0}, InputError, "MarlMapper: initial must be an integer of at least 1"),
        ("marl", {"elite": 2.5}, InputError, r"MarlMapper: elite must be an integer of at least 1, found 2\.5"),
        ("marl", {"redecide": 0.5}, InputError, r"MarlMapper: redecide must be at least 1, found 0\.5"),
        ("marl", {"explore": float("nan")}, InputError, "MarlMapper: explore must be between 0 and 1, found nan"),
        ("policy-gradient", {"clusters": "all"}, UnknownNameError, "unknown value of clusters in Policy.* 'all'"),
        ("genetic", {"population": 0}, InputError, "GeneticMapper: population must be an integer of at least 1"),
        ("random", {"batch": 0}, InputError, "RandomMapper: batch must be an integer of at least 1"),
        ("ppo", {"form": "stepwize"}, UnknownNameError, "Did you mean 'stepwise'"),
    ],
)
def test_settings_that_cannot_be(name, settings, error, message):
    with pytest.raises(error, match=message):
        extensions.get("mappers", name, **settings)


@pytest.mark.parametrize("least", ["initial", "elite", "turn", "redecide", "cluster_size", "proposals"])
def test_the_least_settings_search(least):
    settings = {"critic": least == "proposals", least: 1, "patience": 1.0}
    assert (
        map_problem(Problem(LAYER, accelerator(), budget=60), extensions.get("mappers", "marl", **settings)).evaluations
        == 60
    )


@pytest.mark.parametrize("seed", [-1, 0.5])
def test_seeds_are_whole_numbers(seed):
    with pytest.raises(InputError, match=f"the seed must be an integer of at least 0, found {seed}"):
        map_problem(Problem(LAYER, accelerator(), budget=50), "random", seed)


def test_environments_pass_the_tests_of_their_libraries(capsys):
    gymnasium = pytest.importorskip("gymnasium")
    parallel = pytest.importorskip("pettingzoo.test")
    from nas_proxy.mapping.environments import AgentsEnv, OneShotEnv, StepwiseEnv

    problem = Problem(LAYER, accelerator(), budget=100_000)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # recommendations of the checkers
        parallel.parallel_api_test(AgentsEnv(problem, turns=3), num_cycles=50)
        for env in (StepwiseEnv(problem), OneShotEnv(problem)):
            gymnasium.utils.env_checker.check_env(env, skip_render_check=True)


def test_agents_share_one_reward_and_hold_valid_mappings():
    pytest.importorskip("pettingzoo")
    from nas_proxy.mapping.environments import AgentsEnv

    problem = Problem(LAYER, accelerator(), budget=1000)
    env = AgentsEnv(problem, turns=2)
    env.reset(seed=0)
    rng, lengths = np.random.default_rng(0), 0
    while env.agents:
        actions = {agent: int(rng.integers(env.action_space(agent).n)) for agent in env.agents}
        _, rewards, _, _, _ = env.step(actions)
        assert len(set(rewards.values())) == 1
        assert 0 <= next(iter(rewards.values())) < 1
        lengths += 1
    assert lengths == 2


def test_masked_episodes_end_valid_and_unmasked_ones_may_not():
    pytest.importorskip("gymnasium")
    from nas_proxy.mapping.environments import OneShotEnv, StepwiseEnv

    problem = Problem(LAYER, accelerator(), budget=1000)
    rng = np.random.default_rng(0)
    stepwise = StepwiseEnv(problem)
    for _ in range(10):
        stepwise.reset()
        over = False
        while not over:
            _, reward, over, _, _ = stepwise.step(int(rng.choice(np.flatnonzero(stepwise.action_masks()))))
        assert reward >= 0
    one_shot = OneShotEnv(problem)
    one_shot.action_space.seed(0)
    rewards = [one_shot.step(one_shot.action_space.sample())[1] for _ in range(50)]
    assert min(rewards) < 0
    problem.evaluate(problem.space.sample(rng, problem.left - 1))
    with pytest.raises(BudgetSpentError):
        one_shot.step(one_shot.action_space.sample())
