"""timm's zoo: costs from the shipped table, against a fresh trace and timm's own counts; making a table; errors."""

from __future__ import annotations

import sys

import numpy as np
import pandas as pd
import pytest

from nas_proxy import get_space
from nas_proxy.errors import InputError, MissingDependencyError, UnknownNameError
from nas_proxy.spaces import _timm_table, space_text
from nas_proxy.spaces._timm_table import SHIPPED, extend_table, read_table
from nas_proxy.spaces.timm_zoo import TimmZoo
from nas_proxy.testing.spaces import CHECKS


@pytest.fixture(scope="module")
def zoo():
    return TimmZoo()


@pytest.fixture(scope="module")
def small(tmp_path_factory):
    """A zoo of networks that a test can build and run."""
    table = read_table()
    path = tmp_path_factory.mktemp("zoo") / "small.csv"
    small = (table["parameters"] < 6e6) & (table["kernels_elementwise"] < 100) & table.index.str.endswith("@224")
    table[small].astype("int64").to_csv(path)
    return TimmZoo(path)


@pytest.mark.parametrize("check", CHECKS, ids=lambda check: check.__name__)
def test_conformance(small, check):
    pytest.importorskip("timm")
    check(small)


def test_it_is_registered(zoo):
    assert isinstance(get_space("timm"), TimmZoo)
    assert space_text(zoo) == "timm"


def test_the_shipped_table_is_small():
    assert SHIPPED.stat().st_size < 1.5e6


def test_features_of_a_known_network(zoo):
    features = dict(zip(zoo.feature_names, zoo.features(["resnet50@224"])[0], strict=True))
    assert np.exp(features["log_macs"]) == pytest.approx(4.09e9, rel=0.01)
    assert np.exp(features["log_parameters"]) == pytest.approx(25.56e6, rel=0.001)
    assert np.exp(features["log_compute_depth"]) == pytest.approx(50)
    assert features["macs_conv"] + features["macs_pointwise"] + features["macs_linear"] == pytest.approx(1)
    assert features["macs_depthwise"] == features["macs_attention"] == 0


def test_features_are_family_free(zoo):
    words = " ".join(column.name + column.meaning for column in zoo.feature_columns).lower()
    assert not any(family in words for family in ("resnet", "vit", "efficientnet", "swin", "convnext"))


def test_costs_agree_with_timms_own_counts(zoo, measurements):
    published = pd.read_csv(measurements("timm", "benchmark-infer-amp-nchw-pt240-cu124-rtx4090.csv"), thousands=",")
    published.index = published["model"] + "@" + published["infer_img_size"].astype(str)
    published = published[published.index.isin(zoo.choices["network"])]
    for name, column, unit in (("macs", "infer_gmacs", 1e9), ("parameters", "param_count", 1e6)):
        large = published[published[column] >= 1]  # two digits after the point say enough
        ratio = zoo.costs(name, list(large.index)) / unit / large[column]
        assert np.median(np.abs(ratio - 1)) < 0.02
        assert (np.abs(ratio - 1) < 0.1).mean() > 0.97


def test_tracing_again_gives_the_shipped_row(tmp_path):
    pytest.importorskip("timm")
    path = tmp_path / "table.csv"
    assert extend_table(path, ["resnet18@160"]) == {}
    row, shipped = read_table(path).loc["resnet18@160"], read_table().loc["resnet18@160"]
    assert row.to_dict() == {name: value for name, value in shipped.to_dict().items() if name in row}
    assert not shipped.drop(row.index).any()


def test_a_stopped_trace_goes_on_and_failures_are_told(tmp_path, monkeypatch):
    path, asked = tmp_path / "table.csv", []

    def costs(arch):
        asked.append(arch)
        if arch == "broken@1":
            raise RuntimeError("does not run")
        if arch == "last@1" and len(asked) < 6:
            raise KeyboardInterrupt
        return {"parameters": 1, "depth": 2, "compute_depth": 1, f"macs_{len(asked)}": 5}

    monkeypatch.setattr(_timm_table, "_costs", costs)
    monkeypatch.setattr(_timm_table, "_SAVE_EVERY", 1)
    archs = ["a@1", "broken@1", "b@1", "last@1"]
    with pytest.raises(KeyboardInterrupt):
        extend_table(path, archs)
    assert list(read_table(path).index) == ["a@1", "b@1"]
    progress = []
    assert extend_table(path, archs, lambda done, total: progress.append((done, total))) == {
        "broken@1": "RuntimeError: does not run"
    }
    assert asked == ["a@1", "broken@1", "b@1", "last@1", "broken@1", "last@1"]
    assert progress == [(2, 4), (3, 4), (4, 4)]
    table = read_table(path)
    assert list(table.index) == ["a@1", "b@1", "last@1"]
    assert table.loc["a@1", "macs_3"] == 0


_OWN = """
import torch

def small():
    return torch.nn.Sequential(torch.nn.Conv2d(3, 8, 3, padding=1), torch.nn.Flatten(), torch.nn.LazyLinear(10))

def number():
    return 3
"""


def test_a_network_of_ones_own_joins_the_zoo(zoo, tmp_path, monkeypatch):
    pytest.importorskip("timm")
    (tmp_path / "own_networks.py").write_text(_OWN)
    monkeypatch.syspath_prepend(tmp_path)
    own, path = "own_networks:small@32", tmp_path / "table.csv"
    failed = extend_table(path, [own, "own_networks:number@32", "own_networks:absent@32", "resnet5O@224"])
    assert "expected number() to give a torch.nn.Module, found int" in failed["own_networks:number@32"]
    assert "expected an importable module:function" in failed["own_networks:absent@32"]
    assert "Did you mean 'resnet50'" in failed["resnet5O@224"]
    both = TimmZoo(SHIPPED, path)
    assert both.size == zoo.size + 1
    assert both.costs("macs", [own]) == 32 * 32 * 8 * 27 + 10 * 32 * 32 * 8
    assert np.array_equal(both.features(["resnet50@224"]), zoo.features(["resnet50@224"]))
    with pytest.raises(InputError, match="of your own: build it yourself"):
        both.build(own)


def test_building_and_tracing_without_timm_say_what_to_install(zoo, tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "timm", None)
    assert zoo.features(["resnet50@224"]).shape[0] == 1  # ranking needs no timm
    for call in (lambda: zoo.build("resnet50@224"), lambda: extend_table(tmp_path / "table.csv", ["resnet18@96"])):
        with pytest.raises(MissingDependencyError, match=r"pip install 'nas-proxy\[timm\]'"):
            call()


def test_a_table_of_failures_only_is_not_written(tmp_path):
    pytest.importorskip("timm")
    assert set(extend_table(tmp_path / "table.csv", ["resnet5O@224"])) == {"resnet5O@224"}
    assert not list(tmp_path.iterdir())


def test_errors_name_what_is_known(zoo, tmp_path):
    with pytest.raises(
        InputError, match=r"'resnet50@1000' is not in the table; the sizes of resnet50 in it: resnet50@"
    ):
        zoo.features(["resnet50@1000"])
    with pytest.raises(UnknownNameError, match=r"Did you mean 'resnet50@"):
        zoo.build("resnet5O@224")
    with pytest.raises(InputError, match="name and image size such as 'resnet50@224', found 'resnet50'"):
        zoo.from_str("resnet50")
    with pytest.raises(InputError, match="expected a table of timm networks"):
        TimmZoo(tmp_path / "none.csv")
