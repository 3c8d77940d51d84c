"""Costs updated step by step, candidates found step by step, and the searches that rely on both."""

from __future__ import annotations

import sys

import gymnasium
import numpy as np
import pytest
from gymnasium.utils.env_checker import check_env

from nas_proxy import extensions
from nas_proxy.devices import get_device
from nas_proxy.devices.operator_times import MeasuredCost, default_table
from nas_proxy.errors import InputError, MissingDependencyError, UnknownNameError
from nas_proxy.graph import TensorGraph
from nas_proxy.rewriting import Edit, apply, structural_hash, verify
from nas_proxy.rewriting._budget import Budget
from nas_proxy.rewriting._state import start
from nas_proxy.rewriting.costs import PlainCost, cost_for
from nas_proxy.rewriting.optimising import verify_path
from nas_proxy.rewriting.planted import FAMILIES, planted, training_graph, transformer
from nas_proxy.rewriting.rewriters.learned import LearnedRewriter
from nas_proxy.rewriting.synthetic import random_graph
from nas_proxy.rewriting.xrlflow import (
    Episode,
    RewritingPolicy,
    XRLflowTraining,
    load_policy,
    observe,
    save_policy,
    train,
)
from nas_proxy.rewriting.xrlflow._policy import collate
from nas_proxy.scheduling.device import EdgeTPUDevice
from nas_proxy.testing.rewriters import CHECKS


@pytest.mark.parametrize("target", ["macs+bytes", "eyeriss", "edge-tpu", "edge-tpu-x4"])
@pytest.mark.parametrize("seed", range(3))
def test_a_cost_updated_step_by_step_is_that_of_the_graph(target, seed):
    rng = np.random.default_rng(seed)
    cost = cost_for(target)
    state = start(_live(random_graph(rng, 14)), cost)
    for _ in range(4):
        if not state.candidates:
            break
        state = state.move(state.candidates[int(rng.integers(len(state.candidates)))])
        assert state.total == pytest.approx(cost.price(state.graph).total, rel=1e-9)


def _live(graph: TensorGraph) -> TensorGraph:
    return apply(graph, Edit("nothing", ""))


@pytest.mark.parametrize("seed", range(15))
def test_candidates_found_step_by_step_are_those_of_the_graph(seed):
    rng = np.random.default_rng(seed)
    state = start(training_graph(rng), PlainCost())
    for _ in range(5):
        if not state.candidates:
            break
        state = state.move(state.candidates[int(rng.integers(len(state.candidates)))])
        anew = start(state.graph, PlainCost())
        assert sorted(map(str, state.candidates)) == sorted(map(str, anew.candidates))


@pytest.mark.parametrize("check", CHECKS)
@pytest.mark.parametrize("name", ["greedy", "beam", "random", "learned", "egglog"])
def test_every_rewriter(name, check):
    if name == "egglog":
        pytest.importorskip("egglog", reason='pip install "nas-proxy[egglog]"')
    check(extensions.get("rewriters", name))


def test_equality_saturation_combines_substitutions_that_were_never_tried_together():
    """A walk takes a step for each of several independent places, an e-graph one look at all candidates."""
    pytest.importorskip("egglog", reason='pip install "nas-proxy[egglog]"')
    x = transformer(np.random.default_rng(0), 3, tokens=6, heads=1, size=4, pick=False)
    one_round = len(start(x, PlainCost()).candidates) + 1
    found = extensions.get("rewriters", "egglog").rewrite(x, PlainCost(), evaluations=one_round)
    assert verify(x, found.graph).equal
    greedy = extensions.get("rewriters", "greedy").rewrite(x, PlainCost(), evaluations=one_round)
    assert found.cost_after < greedy.cost_after


def test_without_egglog_the_rewriter_says_how_to_get_it(monkeypatch):
    monkeypatch.setitem(sys.modules, "egglog.bindings", None)
    with pytest.raises(MissingDependencyError, match=r"pip install 'nas-proxy\[egglog\]'"):
        extensions.get("rewriters", "egglog")


@pytest.mark.parametrize("family", sorted(FAMILIES))
def test_planted_networks_need_a_loss_first_and_the_learned_rewriter_finds_it(family):
    case = planted(family, np.random.default_rng(123), times=2)
    greedy, learned = (
        extensions.get("rewriters", name).rewrite(case.graph, case.cost, evaluations=600)
        for name in ("greedy", "learned")
    )
    assert greedy.cost_after > 1.01 * case.best_cost
    assert learned.cost_after == pytest.approx(case.best_cost, rel=1e-6)
    assert verify(case.graph, learned.graph).equal


def test_a_token_that_is_read_alone_needs_no_other_tokens_work():
    """What a vision transformer's classifier leaves out of the last block, found under the plain cost."""
    graph = transformer(np.random.default_rng(0), 2, tokens=20, heads=2, size=8, pick=True)
    found = extensions.get("rewriters", "learned").rewrite(graph, PlainCost(), evaluations=1500)
    assert found.speedup > 1.15
    assert verify(graph, found.graph).equal
    assert verify_path(graph, found) < 1e-10


def test_parameters_beyond_the_cache_are_streamed():
    device = get_device("edge-tpu-x4")
    assert isinstance(device, EdgeTPUDevice)
    graph = _live(random_graph(np.random.default_rng(1), 12))
    one = EdgeTPUDevice("one", device.chip)
    assert one.cost().price(graph).total == pytest.approx(one.latency(graph).latency_ms)
    several = EdgeTPUDevice("several", device.chip, devices=2, scheduler="dp")
    assert several.cost().price(graph).total == pytest.approx(several.latency(graph).bottleneck_ms)


def test_measured_times_are_kept(tmp_path):
    graph = _live(random_graph(np.random.default_rng(2), 8))
    first = MeasuredCost(tmp_path / "times.json", runs=3)
    total = first.price(graph).total
    first.save()
    assert total > 0
    assert MeasuredCost(tmp_path / "times.json", runs=3).price(graph).total == total
    assert default_table().name.startswith("operators-")


def test_the_environment_is_one():
    env = gymnasium.make("nas_proxy/GraphRewrite-v0").unwrapped
    check_env(env, skip_render_check=True)
    env.reset(seed=0)
    seen, *_ = env.step(env.action_space.n - 1)  # stop
    assert seen["progress"][0] == 0


def test_no_graph_is_visited_twice():
    state = start(transformer(np.random.default_rng(0), 1, tokens=4, heads=1, size=4, pick=True), PlainCost())
    episode, rng, seen = Episode(state, Budget(10**6), length=15), np.random.default_rng(0), set()
    while not episode.done:
        before = episode.state
        episode.step(int(rng.integers(len(episode.candidates))))
        if episode.state is not before:
            key = structural_hash(episode.state.graph)
            assert key not in seen
            seen.add(key)


def test_scores_follow_their_candidates():
    """Permuting candidates permutes their probabilities; another graph in the batch changes nothing."""
    state = start(training_graph(np.random.default_rng(4)), PlainCost())
    seen = observe(Episode(state, Budget(10**6)))
    order = np.random.default_rng(0).permutation(len(seen.rule))
    turned = type(seen)(
        seen.operator, seen.nodes, seen.edges, tuple(seen.rule[i] for i in order), seen.anchor[order],
        seen.candidates[order], seen.progress,
    )  # fmt: skip
    policy = RewritingPolicy()
    log_p, values = policy(collate([seen]))
    both, both_values = policy(collate([turned, seen]))
    n = len(order)
    np.testing.assert_allclose(both[:n].detach().numpy(), log_p[:-1].detach().numpy()[order], atol=1e-5)
    np.testing.assert_allclose(both[n + 1 :].detach().numpy(), log_p.detach().numpy(), atol=1e-5)
    np.testing.assert_allclose(both_values.detach().numpy(), values.detach().numpy().repeat(2), atol=1e-5)


def test_training_repeats_itself_and_survives_its_file(tmp_path):
    config = XRLflowTraining(seed=3, iterations=1, graphs=2, repeats=2, length=4, width=8, rounds=1)
    a, b = (train(config, report=lambda line: None) for _ in range(2))
    assert all((p == q).all() for p, q in zip(a.parameters(), b.parameters(), strict=True))
    path = save_policy(a, tmp_path / "policy.safetensors", "test")
    c = load_policy(path)
    assert all((p == q).all() for p, q in zip(a.parameters(), c.parameters(), strict=True))


@pytest.mark.slow
def test_ppo_learns_to_lose_first():
    """After a few minutes of training it takes steps that pay later, on networks it has not seen."""
    policy = train(XRLflowTraining(seed=1, iterations=40), report=lambda line: None)
    cases = [planted("token", np.random.default_rng(9000 + i)) for i in range(5)]
    found = [LearnedRewriter(policy, samples=0).rewrite(c.graph, c.cost, evaluations=600) for c in cases]
    assert np.mean([f.cost_after / c.best_cost for f, c in zip(found, cases, strict=True)]) < 1.05


def test_bad_names_and_files_are_named(tmp_path):
    with pytest.raises(UnknownNameError, match="greedy"):
        extensions.get("rewriters", "gredy")
    with pytest.raises(InputError, match="expected host-onnxruntime"):
        cost_for("host-torch")
    with pytest.raises(InputError, match="no such file"):
        load_policy(tmp_path / "none.safetensors")
    (tmp_path / "bad.safetensors").write_bytes(b"nothing")
    with pytest.raises(InputError, match="does not hold a rewriting policy"):
        load_policy(tmp_path / "bad.safetensors")
