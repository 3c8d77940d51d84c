"""The tuner as NNI's dispatcher drives it: callbacks in NNI's order, without NNI's processes."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from nas_proxy.errors import InputError
from nas_proxy.nni_plugin.candidate import Candidate
from nas_proxy.nni_plugin.errors import ExperimentError
from nas_proxy.nni_plugin.tuner import ProxyTuner
from nas_proxy.search import session


class Dispatcher:
    """What our tuner sees of NNI's dispatcher."""

    def __init__(self, recovered: list[dict[str, Any]] | None = None) -> None:
        self.errors: list[str] = []
        self.recovered_trial_params = dict(enumerate(recovered or []))

    def report_error(self, error: str) -> None:
        self.errors.append(error)

    def send_trial_callback(self, id: int, parameters: Any) -> None: ...


class Driver:
    """Asks and answers with growing parameter ids; accuracy is a fixed function of the architecture."""

    def __init__(self, arguments: dict[str, Any], recovered: list[dict[str, Any]] | None = None) -> None:
        self.tuner = ProxyTuner(**arguments)
        self.dispatcher = Dispatcher(recovered)
        self.next_id = 0

    def ask(self, n: int = 1) -> list[tuple[int, dict[str, Any]]]:
        ids = list(range(self.next_id, self.next_id + n))
        self.next_id += n
        parameters = self.tuner.generate_multiple_parameters(ids, st_callback=self.dispatcher.send_trial_callback)
        return list(zip(ids, parameters, strict=False))

    def finish(self, id: int, parameters: dict[str, Any], value: Any = None) -> None:
        accuracy = sum(map(ord, Candidate.from_parameters(parameters).arch)) % 97
        self.tuner.receive_trial_result(id, parameters, {"default": accuracy} if value is None else value)
        self.tuner.trial_end(id, True)

    def die(self) -> None:
        """As the end of a process does, however it comes: what it held is free."""
        assert self.tuner._session is not None
        self.tuner._session.close()

    def run(self, n: int) -> list[str]:
        archs = []
        for _ in range(n):
            [(id, parameters)] = self.ask()
            archs.append(Candidate.from_parameters(parameters).arch)
            self.finish(id, parameters)
        return archs


@pytest.fixture
def arguments(toy: Any) -> dict[str, Any]:
    return {
        "space": "nasbench201",
        "proxy": {"csv": str(toy.folder / "proxy.csv")},
        "targets": {"phone": {"csv": str(toy.folder / "phone.csv"), "limit_ms": 5.0}},
        "folder": str(toy.folder / "run"),
    }


def state_of(arguments: dict[str, Any]) -> dict[str, Any]:
    state = json.loads((Path(arguments["folder"]) / "search.json").read_text())
    return state | {"results": state["engine"]["results"]}


# -- construction ------------------------------------------------------------------------------------------------------


def test_constructor_is_light(arguments: dict[str, Any]) -> None:
    """NNI waits ten seconds for it: nothing slow may be imported, nothing read."""
    arguments["proxy"] = {"csv": "/does/not/exist.csv"}
    code = (
        "import sys\nfrom nas_proxy import ProxyTuner\n"
        f"ProxyTuner(**{arguments!r})\n"
        "print([name for name in ('torch', 'sklearn', 'pymoo', 'onnxruntime', 'matplotlib') if name in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert done.stdout.strip() == "[]", done.stderr


def test_bad_argument_is_raised(arguments: dict[str, Any]) -> None:
    with pytest.raises(InputError, match="Did you mean 'targets'"):
        ProxyTuner(**arguments, target={})


def test_bad_argument_inside_nni_becomes_the_experiments_error(
    arguments: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SDK_PROCESS", "dispatcher")
    driver = Driver(arguments | {"space": "nasbench210"})
    driver.tuner.update_search_space({})
    assert driver.ask() == []
    assert driver.ask() == []
    [error] = driver.dispatcher.errors
    assert "Did you mean 'nasbench201'" in error


def test_exception_inside_nni_becomes_the_experiments_error(
    arguments: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SDK_PROCESS", "dispatcher")
    driver = Driver(arguments)
    driver.ask()
    monkeypatch.setattr(session, "as_accuracy", lambda value: 1 / 0)
    driver.finish(0, {"nas_proxy": {"arch": "x", "space": "nasbench201", "latency_ms": {}}}, value=1.0)
    [error] = driver.dispatcher.errors
    assert "Traceback" in error
    assert "ZeroDivisionError" in error


def test_another_search_space_is_refused(arguments: dict[str, Any], toy: Any) -> None:
    tuner = ProxyTuner(**arguments)
    tuner.update_search_space(json.loads(json.dumps(toy.space.nni_search_space())))
    with pytest.raises(InputError, match=r"give search_spaces/nasbench201\.json"):
        tuner.update_search_space({"edge_0_1": {"_type": "choice", "_value": ["none"]}})


# -- search ------------------------------------------------------------------------------------------------------------


def test_proposals_fit_nnis_search_space_and_the_limit(arguments: dict[str, Any], toy: Any) -> None:
    driver = Driver(arguments)
    asked = driver.ask(4)
    assert len({Candidate.from_parameters(parameters).arch for _, parameters in asked}) == 4
    for _, parameters in asked:
        candidate = Candidate.from_parameters(parameters)
        choices = {label: parameters[label] for label in toy.space.choices}
        assert toy.space.from_choices(choices) == candidate.arch
        assert 0 < candidate.latency_ms["phone"] <= 5.0


def test_same_seed_same_search(arguments: dict[str, Any], toy: Any) -> None:
    first = Driver(arguments).run(6)
    assert Driver(arguments | {"folder": str(toy.folder / "again")}).run(6) == first
    assert len(set(first)) == 6


def test_no_number_fails_the_trial_and_the_search_goes_on(arguments: dict[str, Any]) -> None:
    driver = Driver(arguments)
    for value in (float("nan"), {"default": None}, "high"):
        [(id, parameters)] = driver.ask()
        driver.finish(id, parameters, value=value)
    driver.run(1)
    state = state_of(arguments)
    assert ["finite" in failure["reason"] for failure in state["failures"]] == [True, False, False]
    assert len(state["results"]) == 1


def test_trial_without_a_result_has_failed(arguments: dict[str, Any]) -> None:
    driver = Driver(arguments)
    (first, _), (second, _) = driver.ask(2)
    driver.tuner.trial_end(first, False)
    driver.tuner.trial_end(second, True)
    driver.ask()
    reasons = [failure["reason"] for failure in state_of(arguments)["failures"]]
    assert reasons == ["its process failed", "it ended without reporting a result"]


def test_result_that_arrives_after_the_trials_end_counts(arguments: dict[str, Any]) -> None:
    """NNI handles ends and results in two threads, and tells a result only once its database has it."""
    driver = Driver(arguments)
    (first, parameters), (second, later) = driver.ask(2)
    for id in (first, second):
        driver.tuner.trial_end(id, True)
    driver.tuner.receive_trial_result(first, parameters, 50.0)
    driver.ask()
    assert len(state_of(arguments)["failures"]) == 1
    driver.tuner.receive_trial_result(second, later, 60.0)
    assert len(state_of(arguments)["results"]) == 2
    assert state_of(arguments)["failures"] == []


def test_gives_up_when_nothing_ever_succeeds(arguments: dict[str, Any]) -> None:
    driver = Driver(arguments | {"give_up_after": 3})
    for id, _ in driver.ask(3):
        driver.tuner.trial_end(id, False)
    with pytest.raises(ExperimentError, match="the first 3 trials all failed"):
        driver.ask()


def test_results_of_others_are_ignored(arguments: dict[str, Any], caplog: pytest.LogCaptureFixture) -> None:
    driver = Driver(arguments)
    driver.ask()
    driver.tuner.receive_trial_result(77, {"edge_0_1": "none"}, 99.0)
    assert state_of(arguments)["results"] == []
    assert "not of this search" in caplog.text


def test_fewer_than_asked_for_once_nothing_feasible_is_left(arguments: dict[str, Any], toy: Any) -> None:
    from nas_proxy.search.latency_models import prepare
    from nas_proxy.search.settings import SearchSettings

    models = prepare(SearchSettings.read(arguments), toy.folder / "other")
    fastest = sorted(models.targets["phone"].predict(toy.space.enumerate()))
    arguments["targets"]["phone"]["limit_ms"] = float(fastest[2] + fastest[3]) / 2
    driver = Driver(arguments)
    asked = driver.ask(5)
    assert 1 <= len(asked) <= 3
    for id, parameters in asked:
        driver.finish(id, parameters)
    assert driver.ask() == []


def test_earlier_results_can_be_imported(arguments: dict[str, Any], toy: Any) -> None:
    """`nnictl experiment import`: choices by label, without what this tuner adds."""
    driver = Driver(arguments)
    arch = toy.space.sample(1, seed=9)[0]
    driver.tuner.import_data([{"parameter": toy.space.to_choices(arch), "value": {"default": 77.0}}])
    driver.ask()
    assert [(result["arch"], result["accuracy"]) for result in state_of(arguments)["results"]] == [(arch, 77.0)]


# -- resuming ----------------------------------------------------------------------------------------------------------


def resumed(arguments: dict[str, Any], finished: list[dict[str, Any]], running: list[dict[str, Any]]) -> Driver:
    """A new tuner, told by NNI what NNI tells at a resume, in its order."""
    driver = Driver(arguments, recovered=running)
    driver.next_id = 100
    driver.tuner.load_checkpoint()
    driver.tuner.update_search_space(driver.tuner._settings.make_space().nni_search_space())
    driver.tuner.import_data(finished)
    return driver


def test_resumed_search_proposes_as_if_nothing_had_happened(arguments: dict[str, Any], toy: Any) -> None:
    reference = Driver(arguments | {"folder": str(toy.folder / "reference")}).run(8)
    first = Driver(arguments)
    before = first.run(4)
    first.die()
    second = resumed(arguments, [], [])
    assert before + second.run(4) == reference


def test_trials_that_run_again_count_as_answered(arguments: dict[str, Any], toy: Any) -> None:
    """NNI starts a cut-off trial again by itself, asks for a new one at once, and reports the old one's result late."""
    reference = Driver(arguments | {"folder": str(toy.folder / "reference")}).run(6)
    first = Driver(arguments)
    first.run(3)
    [(_, running)] = first.ask()
    first.die()
    second = resumed(arguments, [], [running])
    assert second.ask() == []
    accuracy = sum(map(ord, Candidate.from_parameters(running).arch)) % 97
    second.tuner.import_data([{"parameter": running, "value": {"default": accuracy}}])
    assert second.run(2) == reference[4:]


def test_proposal_that_nni_never_got_is_made_again(arguments: dict[str, Any]) -> None:
    first = Driver(arguments)
    first.run(2)
    [(_, lost)] = first.ask()
    first.die()
    second = resumed(arguments, [], [])
    [(_, again)] = second.ask()
    assert again == lost


def test_result_that_the_tuner_never_got_is_imported(arguments: dict[str, Any]) -> None:
    first = Driver(arguments)
    first.run(2)
    [(_, parameters)] = first.ask()
    first.die()
    second = resumed(arguments, [{"parameter": parameters, "value": {"default": 42.0}}], [])
    [(_, next_parameters)] = second.ask()
    assert [result["accuracy"] for result in state_of(arguments)["results"]][-1] == 42.0
    assert Candidate.arch_in(next_parameters) != Candidate.arch_in(parameters)


def test_finished_results_imported_again_change_nothing(arguments: dict[str, Any]) -> None:
    first = Driver(arguments)
    [(id, parameters)] = first.ask()
    first.finish(id, parameters, value=10.0)
    first.die()
    second = resumed(arguments, [{"parameter": parameters, "value": {"default": 99.0}}], [])
    second.ask()
    assert [result["accuracy"] for result in state_of(arguments)["results"]] == [10.0]


@pytest.mark.parametrize(("changed", "message"), [("proxy", "the proxy's measurements"), ("phone", "target 'phone'")])
def test_measurements_changed_meanwhile(arguments: dict[str, Any], toy: Any, changed: str, message: str) -> None:
    Driver(arguments).run(1)
    toy.write_latencies(f"{changed}.csv", 30, seed=5)
    with pytest.raises(InputError, match=f"{message}.* changed since this search was started"):
        resumed(arguments, [], []).ask()


def test_settings_changed_meanwhile(arguments: dict[str, Any]) -> None:
    Driver(arguments).run(1)
    with pytest.raises(InputError, match="the settings changed since"):
        resumed(arguments | {"seed": 1}, [], []).ask()


def test_a_second_search_in_the_same_folder(arguments: dict[str, Any]) -> None:
    Driver(arguments).run(1)
    with pytest.raises(InputError, match="holds a search already"):
        Driver(arguments).ask()


def test_damaged_state_loses_at_most_what_nni_brings_back(
    arguments: dict[str, Any], toy: Any, caplog: pytest.LogCaptureFixture
) -> None:
    reference = Driver(arguments | {"folder": str(toy.folder / "reference")}).run(6)
    first = Driver(arguments)
    first.run(2)
    [(id, parameters)] = first.ask()
    first.finish(id, parameters)
    path = Path(arguments["folder"]) / "search.json"
    path.write_bytes(path.read_bytes()[:200])
    accuracy = sum(map(ord, Candidate.from_parameters(parameters).arch)) % 97
    first.die()
    second = resumed(arguments, [{"parameter": parameters, "value": {"default": accuracy}}], [])
    assert second.run(3) == reference[3:]
    assert "damaged" in caplog.text
