"""The search engine: what it proposes, what it never proposes, and that it goes on where it stopped."""

from __future__ import annotations

import json
from typing import Any

import numpy as np
import pytest
from digit_space import Digits, SumLatency
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from nas_proxy.errors import InputError, NasProxyError, UnknownNameError
from nas_proxy.search import Proposal, SearchEngine, SearchExhausted


def accuracy_of(space: Digits, arch: str) -> float:
    """Saturating in the sum, with a bonus where neighbouring digits differ; the first digit counts for nothing."""
    digits = space.encode([arch])[0][1:]
    return float(90 * (1 - np.exp(-0.3 * digits.sum() / len(digits) * 3)) + (np.diff(digits) != 0).mean())


def engine_of(space: Digits, limits_ms: dict[str, float] | None = None, seed: int = 0) -> SearchEngine:
    return SearchEngine(space, {"phone": SumLatency(space)}, limits_ms, seed=seed)


def search(engine: SearchEngine, space: Digits, n: int) -> list[Proposal]:
    proposals = []
    for _ in range(n):
        proposals.append(engine.ask())
        engine.tell(proposals[-1].arch, accuracy_of(space, proposals[-1].arch))
    return proposals


def resumed(engine: SearchEngine, space: Digits, limits_ms: dict[str, float] | None = None) -> SearchEngine:
    other = engine_of(space, limits_ms, seed=engine.seed)
    other.load_state(json.loads(json.dumps(engine.state(), allow_nan=False)))
    return other


# -- what is proposed ------------------------------------------------------------------------------------------------


def test_proposals_carry_what_the_model_predicts(space: Digits) -> None:
    for proposal in search(engine_of(space), space, 6):
        assert proposal.latency_ms == {"phone": pytest.approx(SumLatency(space).predict([proposal.arch])[0])}


@settings(max_examples=12, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    steps=st.lists(st.sampled_from(["ask", "tell", "tell the last", "fail", "resume"]), min_size=5, max_size=30),
    limit=st.sampled_from([None, 3.0, 6.0]),
    seed=st.integers(0, 5),
)
def test_never_infeasible_never_twice_and_resumed_as_if_uninterrupted(
    space: Digits, steps: list[str], limit: float | None, seed: int
) -> None:
    limits_ms = None if limit is None else {"phone": limit}
    engine, twin = engine_of(space, limits_ms, seed), engine_of(space, limits_ms, seed)
    outstanding: list[str] = []
    proposed: list[str] = []
    for step in steps:
        if step == "resume":
            engine = resumed(engine, space, limits_ms)
        elif step == "ask" or not outstanding:
            proposal = engine.ask()
            assert proposal == twin.ask()
            assert space.valid(space.encode([proposal.arch]))[0]
            assert limit is None or proposal.latency_ms["phone"] <= limit
            proposed.append(space.to_str(proposal.arch))
            outstanding.append(proposal.arch)
        else:
            arch = outstanding.pop(-1 if step == "tell the last" else 0)
            for each in (engine, twin):
                if step == "fail":
                    each.tell_failed(arch)
                else:
                    each.tell(arch, accuracy_of(space, arch))
    assert len(set(proposed)) == len(proposed)


def test_another_seed_searches_otherwise(space: Digits) -> None:
    first = [proposal.arch for proposal in search(engine_of(space, seed=0), space, 8)]
    assert [proposal.arch for proposal in search(engine_of(space, seed=0), space, 8)] == first
    assert [proposal.arch for proposal in search(engine_of(space, seed=1), space, 8)] != first


def test_learns_an_easy_task_much_sooner_than_random_search(small: Digits) -> None:
    limits_ms = {"phone": 6.0}  # a sum of 10 of 15
    feasible = [arch for arch in small.enumerate() if SumLatency(small).predict([arch])[0] <= 6.0]
    best = max(accuracy_of(small, arch) for arch in feasible)
    taken = []
    for seed in range(5):
        found = [accuracy_of(small, p.arch) for p in search(engine_of(small, limits_ms, seed), small, 30)]
        taken.append(found.index(best) + 1 if best in found else 31)
    optima = sum(accuracy_of(small, arch) == best for arch in feasible)
    assert np.median(taken) * 5 < (len(feasible) + 1) / (optima + 1)  # what random search takes on average


def test_learns_where_the_space_cannot_be_listed(huge: Digits) -> None:
    limits_ms = {"phone": 19.0}  # half of the largest sum
    random = [arch for arch in huge.sample(400, seed=0) if SumLatency(huge).predict([arch])[0] <= 19.0][:40]
    assert len(random) == 40
    found = [accuracy_of(huge, proposal.arch) for proposal in search(engine_of(huge, limits_ms), huge, 40)]
    assert max(found) > max(accuracy_of(huge, arch) for arch in random)
    assert np.mean(found[20:]) > np.percentile([accuracy_of(huge, arch) for arch in random], 90)


def test_without_a_limit_the_whole_front_is_found(small: Digits) -> None:
    engine = engine_of(small)
    search(engine, small, 60)
    front = engine.pareto()
    sums = [small.encode([entry.arch])[0].sum() for entry in front]
    assert sums == sorted(sums)
    assert sums[0] <= 1
    assert sums[-1] >= 11
    accuracies = [entry.accuracy for entry in front]
    assert accuracies == sorted(accuracies)


def test_many_outstanding_are_spread_out(space: Digits) -> None:
    engine = engine_of(space)
    search(engine, space, 12)
    batch = [engine.ask().arch for _ in range(8)]
    assert len(set(batch)) == 8
    assert len(set(space.encode(batch).sum(axis=1).tolist())) >= 4  # not one spot


def test_results_from_elsewhere_are_learnt_from_and_not_proposed(small: Digits) -> None:
    engine = engine_of(small)
    known = small.sample(900, seed=0)
    for arch in known:
        engine.tell(arch, accuracy_of(small, arch))
    proposed = {proposal.arch for proposal in search(engine, small, 20)}
    assert not proposed & set(known)


# -- several targets -------------------------------------------------------------------------------------------------


def test_several_targets_all_limits_kept_and_the_front_is_non_dominated(space: Digits) -> None:
    n = len(space.choices)
    models = {"phone": SumLatency(space, np.linspace(0.1, 1, n)), "board": SumLatency(space, np.linspace(1, 0.1, n))}
    limits_ms = {"board": 0.6 * float(models["board"].predict(["4" * n if n > 5 else "3" * n])[0])}
    engine = SearchEngine(space, models, limits_ms)
    for proposal in search(engine, space, 15):
        assert set(proposal.latency_ms) == {"phone", "board"}
        assert proposal.latency_ms["board"] <= limits_ms["board"]
    front = engine.pareto()
    assert front
    for one in front:
        for other in front:
            better = [other.accuracy >= one.accuracy, *(other.latency_ms[t] <= one.latency_ms[t] for t in models)]
            assert other is one or not all(better) or other.latency_ms == one.latency_ms


def test_two_free_targets_find_the_ends_of_both(small: Digits) -> None:
    models = {"phone": SumLatency(small, (2, 2, 0.1, 0.1, 0.1)), "board": SumLatency(small, (0.1, 0.1, 0.1, 2, 2))}
    engine = SearchEngine(small, models)
    search(engine, small, 60)
    good = [entry for entry in engine.pareto() if entry.accuracy > 40]
    assert any(entry.latency_ms["phone"] < 3 < entry.latency_ms["board"] for entry in good)
    assert any(entry.latency_ms["board"] < 3 < entry.latency_ms["phone"] for entry in good)


def test_results_beyond_the_limit_are_not_on_the_front(small: Digits) -> None:
    engine = engine_of(small, {"phone": 3.0})
    assert engine.pareto() == []
    engine.tell("33332", 99.0)
    assert engine.pareto() == []
    engine.tell("10000", 10.0)
    assert [entry.arch for entry in engine.pareto()] == ["10000"]


# -- failures and the end --------------------------------------------------------------------------------------------


def test_exhausted_when_everything_feasible_was_proposed(space: Digits) -> None:
    n = len(space.choices)  # all digits the same is not valid, so one digit is 1: n candidates take 1.5 ms
    engine = engine_of(space, {"phone": 1.5})
    proposals = [engine.ask() for _ in range(4)]
    for proposal in proposals[:3]:
        engine.tell(proposal.arch, 1.0)
    engine.tell_failed(proposals[3].arch)
    for proposal in search(engine, space, n - 4):
        assert proposal.latency_ms["phone"] == 1.5
    for again in (engine, resumed(engine, space, {"phone": 1.5})):
        with pytest.raises(SearchExhausted, match=rf"have been proposed \({n} so far\)"):
            again.ask()
    assert issubclass(SearchExhausted, NasProxyError)


def test_limits_that_nothing_meets_name_the_fastest(space: Digits) -> None:
    with pytest.raises(InputError, match=r"phone <= 1\.2 ms\): the fastest predicted is 0*10*, with 1\.5 ms on phone"):
        engine_of(space, {"phone": 1.2})


def test_limits_that_nothing_meets_together(small: Digits) -> None:
    models = {"phone": SumLatency(small, (1, 0.1, 0.1, 0.1, 0.1)), "board": SumLatency(small, (0.1, 1, 1, 1, 1))}
    SearchEngine(small, models, {"phone": 1.1})
    SearchEngine(small, models, {"board": 1.1})
    with pytest.raises(InputError, match=r"closest to all of them is .* ms on phone, .* ms on board"):
        SearchEngine(small, models, {"phone": 1.1, "board": 1.09})


def test_a_limit_equal_to_a_prediction_is_met(small: Digits) -> None:
    model = SumLatency(small, (1 / 3, 1 / 7, 1 / 11, 1 / 13, 1 / 17))
    fastest = min(small.enumerate(), key=lambda arch: model.predict([arch])[0])
    limit = SearchEngine(small, {"phone": model}).ask().latency_ms["phone"]
    assert SearchEngine(small, {"phone": model}, {"phone": limit}).ask().arch == fastest


# -- bad input -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("limit", [0, -1.0, float("nan"), float("inf"), "3", None])
def test_limits_are_positive_numbers(small: Digits, limit: Any) -> None:
    with pytest.raises(InputError, match="limit of 'phone' must be a positive number of ms"):
        engine_of(small, {"phone": limit})


def test_limit_for_an_unknown_target(small: Digits) -> None:
    with pytest.raises(UnknownNameError, match="Did you mean 'phone'"):
        engine_of(small, {"phnoe": 3.0})


def test_no_target(small: Digits) -> None:
    with pytest.raises(InputError, match="at least one target"):
        SearchEngine(small, {})


@pytest.mark.parametrize("seed", [-1, 1.5, "0", None, True])
def test_seeds_are_non_negative_integers(small: Digits, seed: Any) -> None:
    with pytest.raises(InputError, match="seed must be an integer of at least 0"):
        SearchEngine(small, {"phone": SumLatency(small)}, seed=seed)


@pytest.mark.parametrize("value", [0.0, -1.0, np.nan, np.inf])
def test_models_must_predict_positive_numbers(small: Digits, value: float) -> None:
    class Broken(SumLatency):
        def predict(self, archs: Any) -> Any:
            return np.where(np.arange(len(archs)) == 3, value, super().predict(archs))

    with pytest.raises(InputError, match=rf"model of 'phone' must give positive latencies.*gives {value}"):
        SearchEngine(small, {"phone": Broken(small)})


def test_models_must_predict_one_number_each(small: Digits) -> None:
    class Broken(SumLatency):
        def predict(self, archs: Any) -> Any:
            return super().predict(archs)[:-1]

    with pytest.raises(InputError, match=r"one latency for each of 1020 architectures, found .*\(1019,\)"):
        SearchEngine(small, {"phone": Broken(small)})


@pytest.mark.parametrize("accuracy", [np.nan, np.inf, None, "90"])
def test_accuracies_are_finite_numbers(small: Digits, accuracy: Any) -> None:
    engine = engine_of(small)
    arch = engine.ask().arch
    with pytest.raises(InputError, match=r"must be a finite number.*tell_failed"):
        engine.tell(arch, accuracy)
    engine.tell(arch, np.float32(50))  # still waited for
    json.dumps(engine.state())


def test_a_late_result_overrules_a_failure(small: Digits) -> None:
    engine = engine_of(small)
    arch = engine.ask().arch
    for _ in range(2):
        engine.tell_failed(arch)
    assert engine.state()["failed"] == [arch]
    engine.tell(arch, 50)
    assert engine.state()["failed"] == []
    assert [result["arch"] for result in engine.state()["results"]] == [arch]


def test_an_architecture_has_one_result(small: Digits) -> None:
    engine = engine_of(small)
    engine.tell("00001", 50)
    for tell in (lambda: engine.tell("00001", 60), lambda: engine.tell_failed("00001")):
        with pytest.raises(InputError, match="00001 was told before"):
            tell()
    with pytest.raises(InputError, match="expected 5 digits"):
        engine.tell("1", 60)


def test_a_state_of_another_search_is_refused(small: Digits, huge: Digits) -> None:
    engine = engine_of(small, {"phone": 5.0})
    search(engine, small, 4)
    state = engine.state()
    for other, field in [
        (engine_of(small), "limits_ms"),
        (engine_of(small, {"phone": 5.0}, seed=1), "seed"),
        (SearchEngine(small, {"board": SumLatency(small)}), "targets"),
        (SearchEngine("nasbench201", {"phone": Flat()}), "space"),
    ]:
        with pytest.raises(InputError, match=f"another {field}"):
            other.load_state(state)
    for bad in (state | {"format": 0}, {}, None):
        with pytest.raises(InputError, match="expected the state of a search"):
            engine.load_state(bad)  # type: ignore[arg-type]
    for damaged in (
        {name: value for name, value in state.items() if name != "asked"},
        state | {"results": [{"arch": "x"}]},
        state | {"pending": 3},
        state | {"results": [{"arch": text, "accuracy": 1, "latency_ms": {}} for text in ["11111"]]},
    ):
        with pytest.raises(InputError, match="the state of the search is damaged"):
            engine.load_state(damaged)
        assert engine.state() == state
    slower = SearchEngine(small, {"phone": SumLatency(small, 0.4)}, {"phone": 5.0})
    with pytest.raises(InputError, match="latency models are not those of the state"):
        slower.load_state(state)


class Flat:
    def predict(self, archs: Any) -> Any:
        return np.ones(len(archs))


# -- real spaces -----------------------------------------------------------------------------------------------------


class Work:
    """Latency from a feature of the space."""

    def __init__(self, space: Any, feature: str) -> None:
        self.space, self.column = space, space.feature_names.index(feature)

    def predict(self, archs: Any) -> Any:
        return 1 + self.space.features(archs)[:, self.column] / 1e7


@pytest.mark.parametrize("name", ["nasbench201", "fbnet", "mobilenetv3"])
def test_every_space_can_be_searched(name: str) -> None:
    from nas_proxy.spaces import get_space

    space = get_space(name)
    feature = next(column for column in space.feature_names if "macs" in column)
    engine = SearchEngine(name, {"target": Work(space, feature)})
    texts = []
    for i in range(8):
        proposal = engine.ask()
        texts.append(space.to_str(proposal.arch))
        engine.tell(proposal.arch, 50 + 10 * np.sin(i))
    assert len(set(texts)) == 8
    other = SearchEngine(name, {"target": Work(space, feature)})
    other.load_state(json.loads(json.dumps(engine.state())))
    assert other.ask() == engine.ask()
