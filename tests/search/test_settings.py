"""The settings of a search: what is accepted, and what a user is told otherwise."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from nas_proxy.errors import InputError, UnknownNameError
from nas_proxy.search.settings import SearchSettings, expand_path

GOOD: dict[str, Any] = {
    "space": "nasbench201",
    "proxy": {"device": "host-torch", "samples": 60},
    "targets": {"phone": {"csv": "/somewhere/phone.csv", "limit_ms": 3}},
}


def test_read() -> None:
    settings = SearchSettings.read(GOOD)
    assert settings.limits_ms == {"phone": 3.0}
    assert settings.seed == 0
    assert settings.make_space().name == "nasbench201"


def test_paths_start_at_the_configuration(tmp_path: Path) -> None:
    arguments = GOOD | {"proxy": {"csv": "proxy.csv"}, "folder": "runs/here"}
    settings = SearchSettings.read(arguments, base=tmp_path)
    assert settings.proxy.csv == str(tmp_path / "proxy.csv")
    assert settings.folder == str(tmp_path / "runs/here")
    assert settings.targets["phone"].csv == "/somewhere/phone.csv"


def test_own_device_files_are_paths_and_shipped_devices_names(tmp_path: Path) -> None:
    settings = SearchSettings.read(GOOD | {"proxy": {"device": "mine.yaml"}}, base=tmp_path)
    assert settings.proxy.device == str(tmp_path / "mine.yaml")
    assert SearchSettings.read(GOOD, base=tmp_path).proxy.device == "host-torch"


def test_relative_path_without_a_base_says_why() -> None:
    with pytest.raises(InputError, match=r"proxy\.csv: a relative path cannot be found.*nas-proxy run"):
        SearchSettings.read(GOOD | {"proxy": {"csv": "proxy.csv"}})


def test_variables_are_expanded_and_missing_ones_named(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("MY_DATA", str(tmp_path))
    assert expand_path("$MY_DATA/help", None) == tmp_path / "help"
    monkeypatch.delenv("MY_DATA")
    with pytest.raises(InputError, match="environment variable MY_DATA is not set"):
        expand_path("${MY_DATA}/help", None)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"space": "nasbench210"}, "Did you mean 'nasbench201'"),
        ({"space_parameters": {"chanels": 4}}, "Did you mean 'channels'"),
        ({"target": {}}, "target: unknown field. Did you mean 'targets'"),
        ({"targets": {}}, "targets: .*at least 1 item"),
        ({"targets": {"phone": {"csv": "/p.csv", "limit": 3}}}, "Did you mean 'limit_ms'"),
        ({"targets": {"phone": {"csv": "/p.csv", "limit_ms": 0}}}, "greater than 0"),
        ({"targets": {"phone": {"csv": "/p.csv", "samples": 2}}}, "greater than or equal to 3"),
        ({"proxy": {}}, "one of `device` .* is needed"),
        ({"proxy": {"dataset": "help"}}, "`dataset` and `path` go together"),
        ({"proxy": {"dataset": "help", "path": "/d", "csv": "/c"}}, "`dataset` excludes"),
        ({"proxy": {"device": "host-torch", "column": "x"}}, "`column` chooses from a table"),
        ({"seed": -1}, "seed: .*greater than or equal to 0"),
    ],
)
def test_bad_arguments(change: dict[str, Any], message: str) -> None:
    with pytest.raises(InputError, match=message):
        SearchSettings.read(GOOD | change)


def test_missing_arguments_are_all_named() -> None:
    with pytest.raises(InputError, match=r"(?s)3 problem.*space.*proxy.*targets"):
        SearchSettings.read({})


def test_unknown_space_is_an_unknown_name() -> None:
    with pytest.raises(UnknownNameError):
        SearchSettings.read(GOOD | {"space": "x"})


def test_fingerprint_knows_what_must_not_change() -> None:
    first = SearchSettings.read(GOOD)
    assert SearchSettings.read(GOOD | {"folder": "/elsewhere"}).fingerprint == first.fingerprint
    assert SearchSettings.read(GOOD | {"seed": 1}).fingerprint != first.fingerprint


def test_a_list_of_targets_is_the_short_form(tmp_path: Path) -> None:
    settings = SearchSettings.read(GOOD | {"targets": ["eyeriss", "mine.yaml", "pixel3.csv"]}, base=tmp_path)
    assert {name: (target.device, target.csv) for name, target in settings.targets.items()} == {
        "eyeriss": ("eyeriss", None),
        "mine": (str(tmp_path / "mine.yaml"), None),
        "pixel3": (None, str(tmp_path / "pixel3.csv")),
    }


BAD_NAMES = ("../evil", "", "proxy", "phone-finalists", "x" * 101)


@pytest.mark.parametrize(
    ("targets", "message"),
    [
        (["eyeriss", {"csv": "a.csv"}], "targets: .*a list of targets holds names"),
        (["phone.csv", "other/phone.csv"], "two targets of this list have the same name"),
        ({"phone": {"csv": "/phone.csv", "least_tau": 1.5}}, "least_tau: .*less than 1"),
        (
            {"phone": {"csv": "/phone.csv", "least_tau": 0.5, "samples": 50, "most_samples": 10}},
            r"`most_samples` \(10\) is less than `samples` \(50\)",
        ),
        *(({name: {"csv": "/phone.csv"}}, "a target's name is a file's, too") for name in BAD_NAMES),
    ],
)
def test_bad_targets(targets: Any, message: str, tmp_path: Path) -> None:
    with pytest.raises(InputError, match=message):
        SearchSettings.read(GOOD | {"targets": targets}, base=tmp_path)
