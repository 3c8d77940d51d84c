"""From settings to latency models: how much is measured before a search may start."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from nas_proxy.datasets import LatencyTable
from nas_proxy.errors import InputError
from nas_proxy.nni_plugin.latency import LatencyModels, prepare
from nas_proxy.nni_plugin.settings import SearchSettings
from nas_proxy.spaces import get_space, space_text

SMALL = {"channels": 4, "cells": 1, "image_size": 8}


def prepared(toy: Any, targets: Any, folder: Path) -> LatencyModels:
    space = space_text(get_space("nasbench201", **SMALL))
    for name in ("proxy.csv", "phone.csv"):
        table = LatencyTable.from_csv(toy.folder / name, "nasbench201")
        LatencyTable(space, table.archs, table.devices, table.values_ms).to_csv(toy.folder / f"small-{name}")
    arguments = {"space": "nasbench201", "space_parameters": SMALL, "proxy": {"csv": "small-proxy.csv"}}
    arguments |= {"targets": targets}
    return prepare(SearchSettings.read(arguments, base=toy.folder), folder)


def test_simulated_targets_are_sampled_where_the_proxy_says(toy: Any, tmp_path: Path) -> None:
    models = prepared(toy, {"pipeline": {"device": "edge-tpu", "samples": 8}}, tmp_path / "run")
    assert models.samples["pipeline"].devices == ("edge-tpu",)
    assert len(models.samples["pipeline"]) == 8
    assert models.targets["pipeline"].monotonicity.n == 8


def test_more_is_measured_until_the_ranking_is_good_enough(toy: Any, tmp_path: Path) -> None:
    """The further measurements include the first, which stay as they are."""
    few = prepared(toy, {"tpu": {"device": "edge-tpu", "samples": 4}}, tmp_path / "few")
    tau = few.targets["tpu"].monotonicity.kendall_tau
    wish = {"device": "edge-tpu", "samples": 4, "least_tau": tau + 0.02}
    more = prepared(toy, {"tpu": wish}, tmp_path / "more")
    assert more.targets["tpu"].monotonicity.kendall_tau >= tau + 0.02
    assert set(few.samples["tpu"].archs) < set(more.samples["tpu"].archs)


def test_a_ranking_that_stays_doubtful_stops_the_search_with_advice(toy: Any, tmp_path: Path) -> None:
    targets = {"tpu": {"device": "edge-tpu", "samples": 4, "least_tau": 0.999, "most_samples": 6}}
    with pytest.raises(
        InputError, match=r"(?s)target 'tpu': with 6 measurements.*tau of 0.*raise most_samples \(now 6"
    ):
        prepared(toy, targets, tmp_path / "run")


def test_a_table_that_is_all_there_is(toy: Any, tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"with 20 measurements.*measure more architectures for its table"):
        prepared(toy, {"phone": {"csv": "small-phone.csv", "least_tau": 0.9999}}, tmp_path / "run")
