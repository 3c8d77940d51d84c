"""``nas-proxy schema``: an editor that follows it accepts what the commands accept, and marks what they refuse."""

from __future__ import annotations

import json
from typing import Any

import pytest
import typer
import yaml
from jsonschema import Draft202012Validator

from nas_proxy import cli, extensions, resources
from nas_proxy.devices import Device, LatencyResult


def run(*arguments: str) -> Any:
    return typer.main.get_command(cli.app)(["schema", *arguments], standalone_mode=False)


@pytest.fixture
def validator(capsys: pytest.CaptureFixture[str]):
    def of(name: str) -> Draft202012Validator:
        run(name)
        schema = json.loads(capsys.readouterr().out)
        Draft202012Validator.check_schema(schema)
        return Draft202012Validator(schema)

    return of


def load(kind: Any, name: str) -> dict[str, Any]:
    return yaml.safe_load(resources.find(kind, name).read_text())


def test_the_names_are_listed(capsys):
    run()
    assert capsys.readouterr().out.split() == ["device", "experiment"]


@pytest.mark.parametrize("name", resources.names("devices"))
def test_shipped_devices_are_valid(validator, name):
    assert not list(validator("device").iter_errors(load("devices", name)))


@pytest.mark.parametrize("name", resources.names("configs"))
def test_shipped_experiments_are_valid(validator, name):
    assert not list(validator("experiment").iter_errors(load("configs", name)))


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"thread": 2}, "'thread' was unexpected"),
        ({"threads": 0}, "0 is less than the minimum of 1"),
        ({"kind": "hots"}, "'hots' is not one of"),
        ({"protocol": {"min_turn": 3}}, "'min_turn' was unexpected"),
    ],
)
def test_mistakes_in_a_device_are_marked(validator, change, said):
    [error] = validator("device").iter_errors(load("devices", "host-torch") | change)
    assert said in error.message


def test_mistakes_in_an_experiment_are_marked(validator):
    experiment = load("configs", "quickstart")
    experiment["tuner"]["classArgs"]["prxy"] = {}
    [error] = validator("experiment").iter_errors(experiment)
    assert "'prxy' was unexpected" in error.message


def test_targets_may_be_a_list(validator):
    experiment = load("configs", "quickstart")
    experiment["tuner"]["classArgs"]["targets"] = ["eyeriss", "phone.csv"]
    assert not list(validator("experiment").iter_errors(experiment))


class Stopwatch(Device):
    """A kind of device that says nothing of its fields."""

    def latency(self, network):
        return LatencyResult(1.0)


def test_a_kind_of_a_plug_in_is_known(validator, monkeypatch):
    monkeypatch.setitem(extensions._registered["device_kinds"], "stopwatch", Stopwatch)
    assert not list(validator("device").iter_errors({"kind": "stopwatch", "anything": 1}))
