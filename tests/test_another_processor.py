"""The same result on every processor: rows and columns permuted, last bits changed, time in another unit.

Another processor adds in another order and rounds otherwise; here every call of ``features`` is rounded otherwise, and
whatever comes in several is given in another order.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from nas_proxy import ties
from nas_proxy.datasets import LatencyTable
from nas_proxy.datasets.timm import PretrainedWeights
from nas_proxy.ranking import ProxyLatencyModel, TargetLatencyModel, pareto_front, select_proxy
from nas_proxy.ranking.fleet import recommend_fleet
from nas_proxy.ranking.zoo import rank_zoo, suggest_networks
from nas_proxy.search import SearchEngine
from nas_proxy.spaces import SearchSpace, get_space, space_text
from nas_proxy.spaces.timm_zoo import TimmZoo

SEEDS = range(2)
FACTOR = 1e3 / 7  # of the unit of time
TAU = 2e-5


@dataclass(frozen=True)
class Processor:
    """One that computes as this one does, or, with a seed, otherwise."""

    seed: int | None = None

    @property
    def factor(self) -> float:
        return 1.0 if self.seed is None else FACTOR

    def order(self, n: int) -> NDArray[np.int64]:
        return np.arange(n) if self.seed is None else np.random.default_rng(self.seed).permutation(n)

    def rounds(self, values: NDArray[np.float64]) -> NDArray[np.float64]:
        if self.seed is None:
            return values
        ulps = np.random.default_rng([self.seed, *values.shape]).integers(-2, 3, values.shape)
        return values * (1 + ulps * np.finfo(np.float64).eps)

    def space(self, name: str) -> Any:
        """The space, its features in another order and rounded otherwise in each call."""
        kind: Any = type(get_space(name))
        here = self

        class Elsewhere(kind):
            @property
            def feature_columns(self) -> Any:
                columns = super().feature_columns
                return tuple(columns[i] for i in here.order(len(columns)))

            def features(self, archs: Sequence[Any]) -> NDArray[np.float64]:
                values = super().features(archs)
                return here.rounds(values[:, here.order(values.shape[1])])

        return Elsewhere()

    def measured(self, archs: Sequence[Any], latency_ms: NDArray[np.float64]) -> tuple[list[Any], NDArray[np.float64]]:
        order = self.order(len(archs))
        return [archs[i] for i in order], self.rounds(self.factor * latency_ms[order])


HERE, ELSEWHERE = Processor(), [Processor(seed) for seed in SEEDS]


def device(space: SearchSpace, archs: Sequence[Any], seed: int, noise: float) -> NDArray[np.float64]:
    """Latencies in ms on a made-up device that pays for some features, its clock of whole microseconds."""
    rng, values = np.random.default_rng(seed), space.features(archs)
    values = values / np.abs(values).max(axis=0, initial=1e-9)
    exact = 1 + values @ (rng.uniform(0, 1, values.shape[1]) * (rng.random(values.shape[1]) < 0.3))
    return np.round(exact * np.exp(noise * rng.standard_normal(len(archs))), 3)


def proxy_of(processor: Processor, name: str, noise: float, seed: int = 0) -> ProxyLatencyModel:
    space = get_space(name)
    archs = space.sample(60, seed=1)
    return ProxyLatencyModel(processor.space(name)).fit(*processor.measured(archs, device(space, archs, seed, noise)))


def suggested(processor: Processor, proxy: ProxyLatencyModel, pool: list[Any], n: int) -> list[Any]:
    pool = [pool[i] for i in processor.order(len(pool))]
    return [pool[i] for i in proxy.suggest(pool, n)]


def target_of(processor: Processor, name: str, noise: float) -> tuple[list[Any], TargetLatencyModel]:
    """What was suggested, and the model of a target that measured it."""
    proxy, space = proxy_of(processor, name, noise), get_space(name)
    which = suggested(processor, proxy, space.pool(), 20)
    return which, proxy.adapt(*processor.measured(which, device(space, which, 7, noise)))


@pytest.mark.parametrize("name", ["nasbench201", "fbnet"])
@pytest.mark.parametrize("noise", [0.0, 0.03])
def test_ranking(name: str, noise: float) -> None:
    pool = get_space(name).sample(1000, seed=5)
    accuracy = np.random.default_rng(0).integers(50, 95, len(pool))
    which, model = target_of(HERE, name, noise)
    predicted = model.predict(pool)
    for processor in ELSEWHERE:
        same, other = target_of(processor, name, noise)
        assert same == which
        assert other.monotonicity.kendall_tau == pytest.approx(model.monotonicity.kendall_tau, abs=TAU)
        assert other.monotonicity.interval == pytest.approx(model.monotonicity.interval, abs=TAU)
        assert other.monotonicity.verdict == model.monotonicity.verdict
        found = other.predict(pool)
        np.testing.assert_allclose(found / processor.factor, predicted, rtol=1e-7)
        np.testing.assert_array_equal(ties.order(found), ties.order(predicted))
        np.testing.assert_array_equal(pareto_front(accuracy, found), pareto_front(accuracy, predicted))


def test_adaproxy() -> None:
    space = get_space("nasbench201")
    archs = space.sample(300, seed=3)
    models = []
    for processor in (HERE, *ELSEWHERE):
        few = processor.measured(archs[:20], device(space, archs[:20], 7, 0.03))
        models.append(proxy_of(processor, "nasbench201", 0.01).adapt(*few, method="adaproxy"))
    for model in models[1:]:
        np.testing.assert_array_equal(ties.order(model.predict(archs)), ties.order(models[0].predict(archs)))
        assert model.monotonicity.kendall_tau == pytest.approx(models[0].monotonicity.kendall_tau, abs=TAU)


def test_choice_of_proxy() -> None:
    """Among them one under two names."""
    space = get_space("nasbench201")
    archs = space.sample(20, seed=3)
    for processor in (HERE, *ELSEWHERE):
        models = {f"device-{seed}": proxy_of(processor, "nasbench201", 0.01, seed) for seed in (3, 2, 7)}
        models = {"device-7-again": proxy_of(processor, "nasbench201", 0.01, 7), **models}
        assert select_proxy(models, *processor.measured(archs, device(space, archs, 7, 0.01))) == "device-7"


def test_a_clock_too_coarse_for_most() -> None:
    """More than half of the measurements are one value."""
    space = get_space("nasbench201")
    archs, pool = space.sample(9, seed=3), space.sample(300, seed=5)
    coarse_ms = np.array([14.0, 14.0, 14.0, 14.0, 14.0, 21.0, 28.0, 21.0, 14.0])
    orders = []
    for processor in (HERE, *ELSEWHERE):
        model = proxy_of(processor, "nasbench201", 0.01).adapt(*processor.measured(archs, coarse_ms))
        orders.append((ties.order(model.predict(pool)).tolist(), round(model.monotonicity.kendall_tau, 3)))
    assert all(order == orders[0] for order in orders)


@pytest.mark.parametrize("accurate", [True, False])
def test_fleet(accurate: bool) -> None:
    space = get_space("nasbench201")
    archs, pool = space.sample(20, seed=2), space.sample(400, seed=3)
    latency_ms = np.stack([device(space, archs, seed, 0.02) for seed in range(10, 22)], axis=1)
    latency_ms[4, 3] = np.nan
    names = np.array([f"device-{i}" for i in range(12)])
    accuracy = np.random.default_rng(0).integers(60, 95, len(pool)).astype(float)

    def of(processor: Processor) -> dict[str, Any]:
        proxy = proxy_of(processor, "nasbench201", 0.01)
        rows, columns, candidates = map(processor.order, (len(archs), len(names), len(pool)))
        values_ms = processor.rounds(processor.factor * latency_ms[rows][:, columns])
        measured, devices = tuple(archs[i] for i in rows), tuple(names[columns].tolist())
        table = LatencyTable(space_text(proxy.space), measured, devices, values_ms)
        given = [pool[i] for i in candidates]
        fleet = recommend_fleet(proxy, table, given, accuracy[candidates] if accurate else None)
        at = np.argsort(columns)  # as the devices were here
        return {
            "tau": np.stack([fleet.kendall_tau, fleet.tau_low, fleet.tau_high])[:, at],
            "best": [given[i] for i in fleet.best[at]],
            "shared": [given[i] for i in fleet.shared],
            "served by": [given[fleet.shared[i]] for i in fleet.group[at]],
            "fewest": fleet.fewest,
            "doubts": [fleet.doubts[i] for i in at],
        }

    here = of(HERE)
    tau = here.pop("tau")
    for processor in ELSEWHERE:
        found = of(processor)
        np.testing.assert_allclose(found.pop("tau"), tau, atol=TAU)
        assert found == here


@pytest.mark.parametrize(("name", "asked", "limited"), [("nasbench201", 14, True), ("fbnet", 6, False)])
def test_search(name: str, asked: int, limited: bool) -> None:
    space = get_space(name)

    def proposals(processor: Processor) -> list[str]:
        _, model = target_of(processor, name, 0.02)
        limits_ms = {"phone": 0.8 * float(model.latency_ms.mean())} if limited else None
        engine, found = SearchEngine(model.proxy.space, {"phone": model}, limits_ms), []
        for _ in range(asked):
            arch = engine.ask().arch
            found.append(space.to_str(arch))
            [work] = space.features([arch])
            engine.tell(arch, float(processor.rounds(np.array([90 - 40 / (1 + np.log1p(work).sum() % 7)]))[0]))
        return found

    here = proposals(HERE)
    assert len(set(here)) == asked
    assert all(proposals(processor) == here for processor in ELSEWHERE)


def test_zoo() -> None:
    zoo = TimmZoo()
    archs, rng = zoo.sample(300, seed=0), np.random.default_rng(0)
    proxy_ms = 1e-9 * zoo.costs("macs", archs) * np.exp(0.3 * rng.standard_normal(300))
    target_ms = dict(zip(archs, proxy_ms + 9e-8 * zoo.costs("bytes", archs), strict=True))
    weights = [
        PretrainedWeights(f"{arch}.{tag}", arch, float(t)) for arch in archs for tag, t in (("a", 80), ("b", 81))
    ]

    def of(processor: Processor) -> tuple[list[str], list[tuple[str, bool]], float]:
        space = processor.space("timm")
        measured, latency_ms = processor.measured(archs, proxy_ms)
        proxy = LatencyTable("timm", tuple(measured), ("gpu",), latency_ms[:, None])
        which = suggest_networks(proxy, 20, space)
        measured, latency_ms = processor.measured(which, np.array([target_ms[arch] for arch in which]))
        target = LatencyTable("timm", tuple(measured), ("phone",), latency_ms[:, None])
        named = [weights[i] for i in processor.order(len(weights))]
        ranking = rank_zoo(proxy, target, space, named)
        return which, [(n.name, n.on_front) for n in ranking.networks], ranking.monotonicity.kendall_tau

    here = of(HERE)
    for processor in ELSEWHERE:
        found = of(processor)
        assert found[:2] == here[:2]
        assert found[2] == pytest.approx(here[2], abs=TAU)
