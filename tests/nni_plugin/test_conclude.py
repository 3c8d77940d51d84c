"""What follows a search: the finalists chosen, evaluated, and the predictions checked against them."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from nas_proxy.devices import get_device
from nas_proxy.finalists import FinalistTable
from nas_proxy.nni_plugin import conclude
from nas_proxy.nni_plugin.conclude import evaluate, finalists_of
from nas_proxy.search import Evaluated
from nas_proxy.search.settings import SearchSettings
from nas_proxy.spaces import get_space, space_text
from nas_proxy.terminal.console import Terminal

SMALL = {"channels": 4, "cells": 1, "image_size": 8}


def results(*rows: tuple[str, float, float, float]) -> list[Evaluated]:
    return [Evaluated(arch, accuracy, {"phone": phone, "board": board}) for arch, accuracy, phone, board in rows]


def test_finalists_are_the_recommended_networks_of_each_target_and_their_neighbours() -> None:
    found = results(
        ("a", 50.0, 1.0, 9.0),
        ("b", 90.0, 2.0, 8.0),
        ("c", 90.5, 3.0, 7.0),
        ("d", 91.0, 9.0, 6.0),
        ("e", 10.0, 9.5, 9.5),
    )
    assert [r.arch for r in finalists_of(found, ["phone"], {}, 1)] == ["c"]  # 90.5 is 99 % of 91, 90 is not
    assert [r.arch for r in finalists_of(found, ["phone"], {}, 3)] == ["b", "c", "d"]
    assert [r.arch for r in finalists_of(found, ["phone"], {"phone": 2.0}, 1)] == ["b"]
    assert [r.arch for r in finalists_of(found, ["phone", "board"], {}, 1)] == ["c", "d"]
    assert finalists_of(found, ["phone"], {"phone": 0.5}, 3) == []
    assert finalists_of(found, ["phone"], {}, 0) == []


def test_finalists_are_evaluated_under_the_names_of_the_user(tmp_path: Path, monkeypatch, capsys) -> None:
    monkeypatch.setenv("NAS_PROXY_CACHE", str(tmp_path / "cache"))
    space = get_space("nasbench201", **SMALL)
    arguments: dict[str, Any] = {
        "space": "nasbench201",
        "space_parameters": SMALL,
        "proxy": {"csv": str(tmp_path / "proxy.csv")},
        "targets": {
            "chain": {"device": "edge-tpu-x2", "limit_ms": 1e3},
            "phone": {"csv": str(tmp_path / "phone.csv")},
            "board": {"device": str(tmp_path / "board.yaml")},
        },
    }
    (tmp_path / "board.yaml").write_text(f"kind: table\nspace: {space_text(space)}\ncsv: board.csv\n")
    archs = [space.to_str(arch) for arch in space.sample(3, seed=0)]
    found = [Evaluated(arch, 50.0 + i, {"chain": 1.0 + i, "phone": 2.0, "board": 3.0}) for i, arch in enumerate(archs)]
    rows = "".join(f"{arch},{3 + i}\n" for i, arch in enumerate(archs))
    (tmp_path / "board.csv").write_text(f"# space: {space_text(space)}\narch,latency_ms\n{rows}")
    devices = []
    monkeypatch.setattr(conclude, "get_device", lambda name: devices.append(get_device(name)) or devices[-1])
    evaluate(SearchSettings.read(arguments), found, tmp_path, Terminal())
    assert [device.name for device in devices] == [
        "edge-tpu-x2",
        "board",
    ]  # copies have the names of the user
    checked, board = json.loads((tmp_path / "checks.json").read_text())
    assert (board["target"], board["true_ms"]) == ("board", [3.0, 4.0, 5.0])  # a table says this much, and no more
    assert checked["target"] == "chain"
    assert checked["archs"] == archs
    assert checked["chosen"] == archs[2]  # the most accurate within the limit
    table = FinalistTable.from_json(tmp_path / "finalists.json")
    assert table.targets == ("chain",)
    assert list(table.archs) == archs
    shown = capsys.readouterr().out
    assert "chain: predicted and found" in shown
    assert "predicted [ms]" in shown
