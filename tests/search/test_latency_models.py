"""From settings to latency models: how much is measured before a search may start."""

from __future__ import annotations

from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from nas_proxy.datasets import LatencyTable
from nas_proxy.errors import InputError
from nas_proxy.search.latency_models import LatencyModels, prepare
from nas_proxy.search.settings import SearchSettings
from nas_proxy.spaces import get_space, space_text

SMALL = {"channels": 4, "cells": 1, "image_size": 8}


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Holds ``proxy.csv`` and ``phone.csv``, latencies that follow the features of a small space."""
    space = get_space("nasbench201", **SMALL)
    for seed, (name, n) in enumerate({"proxy": 60, "phone": 20}.items()):
        archs = space.sample(n, seed)
        cost = np.log1p(space.features(archs)).sum(axis=1)
        latency_ms = (cost - cost.min() + 10) / 10 * np.exp(0.02 * np.random.default_rng(seed).standard_normal(n))
        LatencyTable(space_text(space), tuple(archs), (name,), latency_ms[:, None]).to_csv(tmp_path / f"{name}.csv")
    return tmp_path


needs_torch = pytest.mark.skipif(find_spec("torch") is None, reason="simulates networks built with torch")


def prepared(folder: Path, targets: Any, run: str = "run") -> LatencyModels:
    arguments = {"space": "nasbench201", "space_parameters": SMALL, "proxy": {"csv": "proxy.csv"}}
    return prepare(SearchSettings.read(arguments | {"targets": targets}, base=folder), folder / run)


@needs_torch
def test_simulated_targets_are_sampled_where_the_proxy_says(folder: Path) -> None:
    models = prepared(folder, {"pipeline": {"device": "edge-tpu", "samples": 8}})
    assert models.samples["pipeline"].devices == ("edge-tpu",)
    assert len(models.samples["pipeline"]) == 8
    assert models.targets["pipeline"].monotonicity.n == 8


@needs_torch
def test_more_is_measured_until_the_ranking_is_good_enough(folder: Path) -> None:
    """The further measurements include the first, which stay as they are."""
    few = prepared(folder, {"tpu": {"device": "edge-tpu", "samples": 4}}, "few")
    tau = few.targets["tpu"].monotonicity.kendall_tau
    wish = {"device": "edge-tpu", "samples": 4, "least_tau": tau + 0.02}
    more = prepared(folder, {"tpu": wish}, "more")
    assert more.targets["tpu"].monotonicity.kendall_tau >= tau + 0.02
    assert set(few.samples["tpu"].archs) < set(more.samples["tpu"].archs)


@needs_torch
def test_a_ranking_that_stays_doubtful_stops_the_search_with_advice(folder: Path) -> None:
    targets = {"tpu": {"device": "edge-tpu", "samples": 4, "least_tau": 0.999, "most_samples": 6}}
    with pytest.raises(
        InputError, match=r"(?s)target 'tpu': with 6 measurements.*tau of 0.*raise most_samples \(now 6"
    ):
        prepared(folder, targets)


def test_a_table_that_is_all_there_is(folder: Path) -> None:
    with pytest.raises(InputError, match=r"with 20 measurements.*measure more architectures for its table"):
        prepared(folder, {"phone": {"csv": "phone.csv", "least_tau": 0.9999}})


def test_the_proxys_samples_do_not_depend_on_the_order_of_rows(folder: Path) -> None:
    def drawn() -> tuple[str, ...]:
        arguments = {"space": "nasbench201", "space_parameters": SMALL, "proxy": {"csv": "proxy.csv", "samples": 30}}
        settings = SearchSettings.read(arguments | {"targets": {"phone": {"csv": "phone.csv"}}}, base=folder)
        return prepare(settings, folder / "run").samples["proxy"].archs

    before, path = drawn(), folder / "proxy.csv"
    first, header, *rows = path.read_text().splitlines()
    path.write_text("\n".join([first, header, *reversed(rows)]) + "\n")
    assert drawn() == before
    assert len(before) == 30
