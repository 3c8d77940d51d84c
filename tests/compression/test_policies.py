"""The project's own policies: the networks that are compressed are the ones that act, and small forms do their work."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch

from nas_proxy import extensions
from nas_proxy.compression import compress
from nas_proxy.compression._observations import Observations, tensors
from nas_proxy.compression._pruning import prune
from nas_proxy.compression.policies import published, respect, rewriter
from nas_proxy.errors import InputError
from nas_proxy.rewriting.xrlflow import load_policy as load_rewriter
from nas_proxy.rewriting.xrlflow import observe
from nas_proxy.rewriting.xrlflow._policy import collate
from nas_proxy.scheduling import synthetic_problem
from nas_proxy.scheduling.respect import load_policy as load_scheduler
from nas_proxy.scheduling.respect._features import encode
from nas_proxy.scheduling.respect._published import PublishedScheduler, load_published


@torch.no_grad()
def test_scheduler_network_is_the_policy() -> None:
    policy = load_scheduler(respect.SHIPPED)
    network = respect.SchedulerNetwork(policy)
    seen = Observations(respect._observations(3))
    for batch in seen.batches(1):
        log_p, step = network(*tensors(batch)), torch.from_numpy(batch[-1])
        sums = torch.zeros(1, int(step.max()) + 1).scatter_add(1, step, log_p.exp())
        torch.testing.assert_close(sums[0, :-1], torch.ones(sums.shape[1] - 1))  # the last step may be cut short
    instance = encode(synthetic_problem(12, np.random.default_rng(0)))
    found = network.deployed()(*(torch.from_numpy(a)[None] for a in (instance.units, instance.before, instance.after)))
    wanted = policy.keys(instance)
    for got, name in zip(found, ("unit", "last", "move", "context", "score", "move_score"), strict=True):
        got = got[0] if name in {"unit", "last"} else got
        np.testing.assert_allclose(got, getattr(wanted, name), atol=1e-5)


@torch.no_grad()
@pytest.mark.parametrize("multiple", [1, 16])
def test_rewriter_network_is_the_policy(multiple: int) -> None:
    policy = load_rewriter(rewriter.SHIPPED)
    seen = observe(rewriter._episode(np.random.default_rng(3)))
    log_p, value = policy(collate([seen]))
    inputs = tensors([array[None] for array in rewriter.as_arrays(seen, multiple)])
    for network in (rewriter.RewriterNetwork(policy), rewriter.RewriterNetwork(policy).deployed()):
        out = network(*inputs)[0]
        found = torch.cat([out[: len(seen.rule)], out[-2:-1]])
        torch.testing.assert_close(found, log_p, atol=1e-4, rtol=1e-4)
        torch.testing.assert_close(out[-1], value[0], atol=1e-4, rtol=1e-4)


@torch.no_grad()
def test_published_network_is_the_policy() -> None:
    network = published.PublishedNetwork(16).eval()
    features = torch.rand(3, 12, 15, generator=torch.Generator().manual_seed(0))
    for generator in (None, torch.Generator().manual_seed(1)):
        order, total = network.decode(features, generator)
        log_p = network(features, order)
        torch.testing.assert_close(log_p.gather(2, order[..., None]).sum(dim=(1, 2)), total)
        torch.testing.assert_close(log_p.exp().sum(dim=-1), torch.ones(3, 12))
    # Row by row, as it acts: what is not chosen yet does not matter.
    greedy, grown = network.decode(features)[0], torch.zeros(3, 12, dtype=torch.long)
    for step in range(12):
        grown[:, step] = network(features, grown)[:, step].argmax(dim=-1)
    assert torch.equal(grown, greedy)


@torch.no_grad()
@pytest.mark.parametrize("norm", [1, 2])
def test_published_network_loses_channels_of_least_norm(norm: int) -> None:
    torch.manual_seed(0)
    network = published.PublishedNetwork(16).eval()
    network.start.weight.normal_()
    state = network.state_dict()
    for channels in published._CHANNELS:
        for name, axis in channels:
            weight = state[name].movedim(axis, 0)
            weight.reshape(-1, 16, *weight.shape[1:])[:, [0, 3, 7, 15]] = 0.0
    network.load_state_dict(state)
    small = network.pruned(norm, 0.25)
    features, order = torch.rand(2, 9, 15), torch.stack([torch.randperm(9), torch.randperm(9)])
    assert small.start.embedding_dim == 12
    torch.testing.assert_close(small(features, order), network(features, order))


@pytest.mark.slow
def test_published_network_acts_quantized(capfd: pytest.CaptureFixture[str]) -> None:
    torch.manual_seed(0)
    seeds = range(published._SEED, published._SEED + 3)
    small = compress(published.PublishedNetwork(16), "PTDQ", published.saved_share, _seen(), seeds=seeds, floor=-9.0)
    assert small.report.times_smaller > 1.5
    assert "onnxruntime" not in capfd.readouterr().err  # which warns where the file states one size for all


def test_lstms_are_quantized_dynamically_only() -> None:
    with pytest.raises(InputError, match=r"QAT cannot take: encoder \(LSTM\), decoder \(LSTM\)"):
        compress(published.PublishedNetwork(16), "QAT", published.saved_share, _seen())


def _seen() -> list[tuple[np.ndarray, ...]]:
    """Sizes far below those that it acts on: the exporter follows each step."""
    rng = np.random.default_rng(0)
    return [(rng.random((n, 15), np.float32), rng.permutation(n)) for n in (4, 5, 5, 6)]


def test_pruned_networks_are_policies_of_less_width(tmp_path: Path) -> None:
    scheduler = respect.SchedulerNetwork(load_scheduler(respect.SHIPPED))
    small = prune(scheduler, 2, 0.5, Observations(respect._observations(3)).typical)
    assert load_scheduler(respect.save(small, tmp_path / "s.safetensors", "L2 0.5")).embed.out_features == 24
    rewriting = rewriter.RewriterNetwork(load_rewriter(rewriter.SHIPPED))
    small = prune(rewriting, 2, 0.5, Observations(rewriter._observations(1)).typical)
    assert load_rewriter(rewriter.save(small, tmp_path / "r.safetensors", "L2 0.5")).width == 24
    pointer = published.PublishedNetwork(8).eval()
    path = published.save(prune(pointer, 2, 0.5, ()), tmp_path / "p.safetensors", "L2 0.5")
    assert load_published(path).start.embedding_dim == 4
    problem = synthetic_problem(12, np.random.default_rng(0))
    assert len(PublishedScheduler(weights=path).schedule(problem).stage_of) == 12


@pytest.mark.slow
def test_small_scheduler_is_within_one_per_cent() -> None:
    """Bottlenecks over those of the full policy, on networks that neither was trained or chosen on."""
    full, small = extensions.get("schedulers", "respect"), extensions.get("schedulers", "respect-small")
    ratios = []
    for seed in range(10):
        problem = synthetic_problem(30, np.random.default_rng(900_000 + seed))
        ratios.append(small.schedule(problem).bottleneck_ms / full.schedule(problem).bottleneck_ms)
    assert np.mean(ratios) < 1.01
    assert max(ratios) < 1.05


@pytest.mark.slow
def test_small_rewriter_is_within_one_per_cent() -> None:
    """What is left of the cost, over what the full policy leaves."""
    full, small = extensions.get("rewriters", "learned"), extensions.get("rewriters", "learned-small")
    ratios = []
    for seed in range(6):
        first = rewriter._episode(np.random.default_rng(900_000 + seed)).first
        found = [r.rewrite(first.graph, first.cost, evaluations=120, seed=0).cost_after for r in (small, full)]
        ratios.append(found[0] / found[1])
    assert np.mean(ratios) < 1.01
    assert max(ratios) < 1.05


def test_small_forms_are_small() -> None:
    from nas_proxy.rewriting.rewriters.learned import SMALL as SMALL_REWRITER
    from nas_proxy.scheduling.respect._scheduler import SMALL as SMALL_SCHEDULER

    assert SMALL_SCHEDULER.stat().st_size < respect.SHIPPED.stat().st_size / 8
    assert SMALL_REWRITER.stat().st_size < rewriter.SHIPPED.stat().st_size / 8
