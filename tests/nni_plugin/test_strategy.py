"""NNI's strategy and profiler faces."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

toy_nas = pytest.importorskip("toy_nas")
from nni.nas.execution import SequentialExecutionEngine  # noqa: E402
from nni.nas.space import RawFormatModelSpace  # noqa: E402
from nni.nas.strategy import RegularizedEvolution  # noqa: E402
from nni.nas.strategy.middleware import Chain, Filter  # noqa: E402

from nas_proxy.errors import InputError  # noqa: E402
from nas_proxy.nni_plugin import ProxyLatencyProfiler, ProxyStrategy  # noqa: E402
from nas_proxy.nni_plugin.compat import patch_resume  # noqa: E402
from nas_proxy.nni_plugin.errors import ExperimentError  # noqa: E402

LIMIT_MS = 3.0


@pytest.fixture(scope="module")
def model_space() -> Any:
    return toy_nas.ToySpace()


@pytest.fixture(scope="module")
def models(model_space: Any) -> dict[str, Any]:
    return toy_nas.latency_models(model_space)


class Bench:
    """Runs strategies one after the other on NNI's sequential engine, as a NasExperiment does."""

    def __init__(self, model_space: Any, folder: Path) -> None:
        self.model_space = model_space
        self.trained_file = folder / "trained.txt"

    def run(self, strategy: Any, n: int, evaluator: Any = None, **options: Any) -> Any:
        evaluator = evaluator or toy_nas.evaluator(self.trained_file)
        space = RawFormatModelSpace.from_model(self.model_space, evaluator)
        engine = SequentialExecutionEngine(max_model_count=n, **options)
        strategy(space, engine)
        return strategy

    @property
    def trained(self) -> list[str]:
        return self.trained_file.read_text().split() if self.trained_file.exists() else []


@pytest.fixture
def bench(model_space: Any, tmp_path: Path) -> Bench:
    return Bench(model_space, tmp_path)


# -- strategy ----------------------------------------------------------------------------------------------------------


def test_search_within_a_limit(bench: Bench, models: dict[str, Any]) -> None:
    strategy = bench.run(ProxyStrategy(models, {"phone": LIMIT_MS}), 12)
    assert len(set(bench.trained)) == 12
    front = strategy.pareto()
    assert front
    assert all(point.latency_ms["phone"] <= LIMIT_MS for point in front)
    space = models["phone"].proxy.space
    feasible = [arch for arch in space.enumerate() if models["phone"].predict([arch])[0] <= LIMIT_MS]
    best = max(toy_nas.accuracy_of(arch) for arch in feasible)
    assert front[-1].accuracy == best, "twelve models suffice to find the best feasible of 72"


def test_front_without_limits(bench: Bench, models: dict[str, Any]) -> None:
    front = bench.run(ProxyStrategy(models), 10).pareto()
    latency = [point.latency_ms["phone"] for point in front]
    accuracy = [point.accuracy for point in front]
    assert latency == sorted(latency)
    assert accuracy == sorted(accuracy)
    assert len(front) > 1


def test_same_seed_same_search(bench: Bench, models: dict[str, Any]) -> None:
    bench.run(ProxyStrategy(models, seed=3), 5)
    bench.run(ProxyStrategy(models, seed=3), 5)
    assert bench.trained[:5] == bench.trained[5:]


def test_script_run_again_goes_on(bench: Bench, models: dict[str, Any], tmp_path: Path) -> None:
    bench.run(ProxyStrategy(models, max_models=9), 99)
    reference, folder = bench.trained, tmp_path / "search"
    bench.trained_file.unlink()
    first = bench.run(ProxyStrategy(models, folder=folder), 4)
    first._session.close()  # as the end of its process does
    bench.run(ProxyStrategy(models, folder=folder, max_models=9), 99)
    assert bench.trained == reference


def test_nnis_checkpoint_is_plain_and_goes_on(bench: Bench, models: dict[str, Any]) -> None:
    from nni.nas.utils.serializer import get_default_serializer

    bench.run(ProxyStrategy(models), 6)
    reference = bench.trained
    bench.trained_file.unlink()
    first = bench.run(ProxyStrategy(models), 3)
    path = bench.trained_file.with_suffix(".ckpt")
    get_default_serializer().save(first.state_dict(), path)
    state = get_default_serializer().load(path)  # with torch's weights_only, on which NNI's own strategies fail
    assert json.loads(json.dumps(state)) == state

    second = ProxyStrategy(models)
    engine = SequentialExecutionEngine(max_model_count=3)
    second.initialize(RawFormatModelSpace.from_model(bench.model_space, toy_nas.evaluator(bench.trained_file)), engine)
    second.load_state_dict(state)
    second.run()
    assert bench.trained == reference


def test_failing_models_are_left_behind(bench: Bench, models: dict[str, Any], tmp_path: Path) -> None:
    from nni.nas.evaluator import FunctionalEvaluator

    evaluator = FunctionalEvaluator(toy_nas.fail_often, trained=str(bench.trained_file))
    strategy = bench.run(
        ProxyStrategy(models, folder=tmp_path, give_up_after=72), 72, evaluator, continue_on_failure=True
    )
    state = json.loads((tmp_path / "search.json").read_text())
    reasons = {json.loads(failure["arch"])["width"]: failure["reason"] for failure in state["failures"]}
    assert reasons[4] == "its training failed"
    assert reasons[8].startswith("expected a finite accuracy, found nan")
    assert reasons[12] == "it ended without reporting a result"
    assert len(state["failures"]) == 54
    assert len(state["engine"]["results"]) == 18
    assert strategy.pareto()


def test_gives_up_when_nothing_ever_succeeds(bench: Bench, models: dict[str, Any]) -> None:
    from nni.nas.evaluator import FunctionalEvaluator

    evaluator = FunctionalEvaluator(toy_nas.fail_always, trained=str(bench.trained_file))
    with pytest.raises(ExperimentError, match="all of the first 3 models failed"):
        bench.run(ProxyStrategy(models, give_up_after=3), 72, evaluator, continue_on_failure=True)


def test_under_nnis_filter(bench: Bench, models: dict[str, Any], tmp_path: Path) -> None:
    strategy = Chain(
        ProxyStrategy(models, folder=tmp_path, max_models=10), Filter(lambda model: model.sample["kernel"] < 5)
    )
    bench.run(strategy, 99)
    state = json.loads((tmp_path / "search.json").read_text())
    assert {failure["reason"] for failure in state["failures"]} == {"it was filtered out"}
    assert len(bench.trained) == 10 - len(state["failures"])


def test_limit_that_nothing_meets(bench: Bench, models: dict[str, Any]) -> None:
    with pytest.raises(InputError, match="phone"):
        bench.run(ProxyStrategy(models, {"phone": 1e-6}), 3)


def test_models_of_another_space(bench: Bench, toy: Any) -> None:
    from nas_proxy import ProxyLatencyModel

    archs = toy.space.sample(30, seed=0)
    other = ProxyLatencyModel(toy.space).fit(archs, np.linspace(1, 2, 30))
    with pytest.raises(InputError, match=r"not the model space that is searched.*space_from_nni"):
        bench.run(ProxyStrategy({"phone": other}), 3)


def test_another_search_in_the_folder(bench: Bench, models: dict[str, Any], tmp_path: Path) -> None:
    bench.run(ProxyStrategy(models, folder=tmp_path), 2)._session.close()
    with pytest.raises(InputError, match="the settings changed"):
        bench.run(ProxyStrategy(models, {"phone": LIMIT_MS}, folder=tmp_path), 2)


def test_front_of_a_strategy_not_run(models: dict[str, Any]) -> None:
    with pytest.raises(InputError, match="has not been started"):
        ProxyStrategy(models).pareto()


def test_no_targets() -> None:
    with pytest.raises(InputError, match="at least one target"):
        ProxyStrategy({})


def test_patches_are_for_one_nni_only(monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture) -> None:
    from nni.runtime.tuner_command_channel import TunerCommandChannel

    from nas_proxy.nni_plugin import compat

    unpatched = getattr(TunerCommandChannel.receive, "__wrapped__", TunerCommandChannel.receive)
    monkeypatch.setattr(TunerCommandChannel, "receive", unpatched)
    monkeypatch.setattr(compat.importlib.metadata, "version", lambda name: "3.1")
    patch_resume()
    assert TunerCommandChannel.receive is unpatched
    assert "NNI 3.1 is not 3.0, so it is not patched" in caplog.text


# -- profiler ----------------------------------------------------------------------------------------------------------


def test_profile_is_the_models_prediction(model_space: Any, models: dict[str, Any]) -> None:
    profiler = ProxyLatencyProfiler(model_space, models["phone"])
    space = models["phone"].proxy.space
    archs = space.sample(10, seed=0)
    expected = models["phone"].predict(archs)
    assert [profiler.profile(space.to_choices(arch)) for arch in archs] == pytest.approx(expected, rel=1e-12)
    assert profiler.profile_all(archs) == pytest.approx(expected, rel=1e-12)


def test_profile_of_what_is_not_of_the_space(model_space: Any, models: dict[str, Any]) -> None:
    profiler = ProxyLatencyProfiler(model_space, models["phone"])
    with pytest.raises(InputError, match="missing labels"):
        profiler.profile({"width": 4})
    with pytest.raises(InputError, match="positive number"):
        profiler.within(0)


def test_nnis_evolution_with_a_latency_limit(bench: Bench, model_space: Any, models: dict[str, Any]) -> None:
    profiler = ProxyLatencyProfiler(model_space, models["phone"])
    strategy = Chain(RegularizedEvolution(population_size=4, sample_size=2, seed=0), Filter(profiler.within(LIMIT_MS)))
    bench.run(strategy, 6)
    limit = models["phone"].predict(models["phone"].proxy.space.enumerate()) <= LIMIT_MS
    assert 0 < limit.sum() < 72
    assert len(bench.trained) == 6
    for line in bench.trained:
        width, kernel, first, second = line.split(",")
        sample = {"width": int(width), "kernel": int(kernel), "first": first, "second": second}
        assert profiler.profile(sample) <= LIMIT_MS


def test_nnis_range_filter(model_space: Any, models: dict[str, Any]) -> None:
    from nni.nas.oneshot.pytorch.profiler import RangeProfilerFilter

    profiler = ProxyLatencyProfiler(model_space, models["phone"])
    keep = RangeProfilerFilter(profiler, max=LIMIT_MS)
    space = models["phone"].proxy.space
    kept = [keep(space.to_choices(arch)) for arch in space.enumerate()]
    assert kept == list(models["phone"].predict(space.enumerate()) <= LIMIT_MS)
