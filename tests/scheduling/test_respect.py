"""The learned scheduler: what it decodes, that it learns, and its files."""

import itertools
import subprocess
import sys
from dataclasses import replace

import gymnasium
import numpy as np
import pytest
import torch
from gymnasium.utils.env_checker import check_env
from safetensors.torch import save_file

from nas_proxy import extensions
from nas_proxy.errors import InputError
from nas_proxy.scheduling import evaluate, synthetic_problem
from nas_proxy.scheduling._orders import best_cut, bottlenecks, random_orders
from nas_proxy.scheduling.respect import RespectScheduler, RespectTraining, load_policy, save_policy, train
from nas_proxy.scheduling.respect._decode import decode
from nas_proxy.scheduling.respect._draw import draw_orders
from nas_proxy.scheduling.respect._features import encode
from nas_proxy.scheduling.respect._policy import Pairs, SchedulingPolicy
from nas_proxy.scheduling.respect._published import stages_of_order
from nas_proxy.testing.schedulers import wide


def is_topological(problem, order) -> bool:
    place = np.argsort(order)
    return all(place[u] < place[v] for v in range(problem.n) for u in problem.predecessors[v])


def test_decoded_orders_are_topological_and_the_first_is_greedy():
    policy = load_policy_or_new()
    problems = [synthetic_problem(12, np.random.default_rng(seed), stages=3) for seed in range(3)]
    instances = [encode(problem) for problem in problems]
    keys = [policy.keys(instance) for instance in instances]
    drawn = decode(instances, keys, 5, np.random.default_rng(0)).orders
    assert all(is_topological(problems[i // 5], order) for i, order in enumerate(drawn))
    assert len({tuple(order) for order in drawn}) > 3
    again = decode(instances, keys, 5, np.random.default_rng(0)).orders
    np.testing.assert_array_equal(drawn, again)
    greedy = decode(instances, keys, 2, None).orders
    np.testing.assert_array_equal(greedy[::2], greedy[1::2])


def load_policy_or_new() -> SchedulingPolicy:
    torch.manual_seed(0)
    return SchedulingPolicy(16, 2)


def test_decoding_in_arrays_is_the_policy_in_torch():
    policy = load_policy_or_new()
    problem = synthetic_problem(15, np.random.default_rng(1), stages=4)
    instance = encode(problem)
    rollout = decode([instance], [policy.keys(instance)], 3, np.random.default_rng(2), record=True)
    pairs = Pairs(
        *(
            torch.from_numpy(np.asarray(a))
            for a in (rollout.row * 0, rollout.unit, rollout.last, rollout.move, rollout.context)
        )
    )
    stacked = (torch.from_numpy(a)[None] for a in (instance.units, instance.before, instance.after))
    logits = policy.logits(policy.encode(*stacked), pairs).detach().numpy()
    greedy = decode([instance], [policy.keys(instance)], 1, None, record=True)
    assert len(logits) == len(rollout.unit)
    first = greedy.step == greedy.step.min()
    best = greedy.unit[first][np.argmax(logits[rollout.step == rollout.step.min()])]
    assert greedy.orders[0, 0] == best


def test_features_do_not_depend_on_units_of_time_or_size():
    problem = synthetic_problem(10, np.random.default_rng(5), stages=3)
    scaled = type(problem)(
        problem.time_ms * 7, problem.parameter_bytes * 3, problem.tensors, problem.stages, problem.cache_bytes * 3,
        problem.stream_bytes_per_ms * 3 / 7, problem.link_bytes_per_ms / 7,
    )  # fmt: skip
    np.testing.assert_allclose(encode(problem).units, encode(scaled).units, rtol=1e-4, atol=1e-5)


def test_it_learns():
    """A short training beats random orders on problems it has not seen."""
    config = RespectTraining(units=12, imitation_steps=12, reinforce_steps=25, problems=8, rows=12, width=16, rounds=2)
    lines: list[str] = []
    policy = train(config, lines.append)
    assert lines[-1].startswith("step 37/37")
    learned, chance = [], []
    for seed in range(1000, 1012):
        problem = synthetic_problem(12, np.random.default_rng(seed))
        instance = encode(problem)
        drawn = decode([instance], [policy.keys(instance)], 16, np.random.default_rng(0)).orders
        learned.append(bottlenecks(problem, drawn).mean() / problem.lower_bound_ms)
        chance.append(
            bottlenecks(problem, random_orders(problem, 16, np.random.default_rng(0))).mean() / problem.lower_bound_ms
        )
    assert np.mean(learned) < np.mean(chance)


def test_the_same_seed_trains_the_same_policy():
    config = RespectTraining(units=6, imitation_steps=2, reinforce_steps=2, problems=2, rows=3, width=8, rounds=1)
    first, second = (train(config, lambda line: None).state_dict() for _ in range(2))
    assert all(torch.equal(first[name], second[name]) for name in first)


def test_shipped_weights_beat_as_many_random_orders():
    ratio = []
    for seed in range(8):
        problem = synthetic_problem(40, np.random.default_rng(5000 + seed), stages=4, width=5.0)
        learned = RespectScheduler(samples=20, polished=0).schedule(problem)
        ratio.append(
            learned.bottleneck_ms / extensions.get("schedulers", "dp", orders=20).schedule(problem).bottleneck_ms
        )
    assert np.mean(ratio) < 1


def test_weights_are_small_and_say_how_they_were_made(tmp_path):
    from safetensors import safe_open

    from nas_proxy.scheduling.respect._scheduler import SHIPPED

    assert SHIPPED.stat().st_size < 5e6
    with safe_open(SHIPPED, "pt") as file:
        assert "nas-proxy train respect" in file.metadata()["made_by"]
    path = save_policy(load_policy_or_new(), tmp_path / "p.safetensors", made_by="a test")
    assert all(
        torch.equal(a, b)
        for a, b in zip(load_policy(path).parameters(), load_policy_or_new().parameters(), strict=True)
    )


def test_wrong_weights_and_options_are_named(tmp_path):
    with pytest.raises(InputError, match="no such file: expected weights from `nas-proxy train respect`"):
        RespectScheduler(weights=tmp_path / "absent").schedule(wide())
    (tmp_path / "junk").write_bytes(b"junk")
    with pytest.raises(InputError, match="not the weights of a scheduling policy"):
        RespectScheduler(weights=tmp_path / "junk").schedule(wide())
    save_file({"x": torch.zeros(1)}, tmp_path / "other")
    with pytest.raises(InputError, match="not the weights of a scheduling policy"):
        RespectScheduler(weights=tmp_path / "other").schedule(wide())
    with pytest.raises(InputError, match="at least one sample"):
        RespectScheduler(samples=0)


def test_the_published_repair_is_feasible():
    problem = synthetic_problem(20, np.random.default_rng(0), stages=4)
    for seed in range(10):
        evaluate(problem, stages_of_order(problem, np.random.default_rng(seed).permutation(20)))


def test_environment():
    env = gymnasium.make("nas_proxy.scheduling:nas_proxy/PipelineSchedule-v0", units=8)
    check_env(env.unwrapped, skip_render_check=True)
    observation, info = env.reset(seed=3)
    total, done, rng = 0.0, False, np.random.default_rng(0)
    while not done:
        np.testing.assert_array_equal(observation["ready"], info["action_mask"])
        observation, reward, done, truncated, info = env.step(rng.choice(np.flatnonzero(info["action_mask"])))
        total += reward
        assert not truncated
    assert total == reward <= 1e-9
    assert evaluate(env.unwrapped._problem, info["stage_of"]).bottleneck_ms == pytest.approx(info["bottleneck_ms"])


def test_importing_the_package_makes_the_environment_known():
    code = "import gymnasium, nas_proxy.scheduling; gymnasium.spec('nas_proxy/PipelineSchedule-v0')"
    subprocess.run([sys.executable, "-c", code], check=True)  # a process of its own: this one has imported it before


def test_units_without_cost_are_scheduled_and_have_finite_features():
    problem = replace(wide(5), time_ms=np.zeros(5), parameter_bytes=np.zeros(5))
    assert extensions.get("schedulers", "respect").schedule(problem).bottleneck_ms > 0
    env = gymnasium.make("nas_proxy/PipelineSchedule-v0", problem=problem)
    observation, _ = env.reset(seed=0)
    assert np.isfinite(observation["moves"]).all()
    assert np.isfinite(observation["context"]).all()


def test_environment_of_one_problem():
    env = gymnasium.make("nas_proxy/PipelineSchedule-v0", problem=wide(7))
    assert env.action_space.n == 7
    assert env.reset(seed=0)[0]["ready"].sum() == 1


def test_compiled_decoding_takes_the_same_units_and_draws_as_well():
    policy = load_policy_or_new()
    differ = []
    for seed in range(5):
        problem = synthetic_problem(30, np.random.default_rng(seed), stages=4, width=5.0)
        instance = encode(problem)
        keys = policy.keys(instance)
        drawn = draw_orders(problem, instance, keys, 50, np.random.default_rng(0))
        np.testing.assert_array_equal(drawn[0], decode([instance], [keys], 1, None).orders[0])
        assert all(is_topological(problem, order) for order in drawn)
        reference = decode([instance], [keys], 50, np.random.default_rng(1)).orders
        differ.append(bottlenecks(problem, drawn).mean() / bottlenecks(problem, reference).mean() - 1)
    assert abs(np.mean(differ)) < 0.02


def test_the_best_cut_of_an_order_by_brute_force():
    for seed in range(6):
        problem = synthetic_problem(7, np.random.default_rng(seed), stages=3, width=2.5)
        (order,) = random_orders(problem, 1, np.random.default_rng(seed))
        cuts = itertools.combinations_with_replacement(range(8), 2)
        found = [evaluate(problem, np.digitize(np.argsort(order), cut)).bottleneck_ms for cut in cuts]
        assert bottlenecks(problem, order)[0] == pytest.approx(min(found))
        assert best_cut(problem, order).bottleneck_ms == pytest.approx(min(found))
