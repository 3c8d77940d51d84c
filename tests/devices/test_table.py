"""Devices that are tables."""

from __future__ import annotations

import os

import pytest
import yaml

from nas_proxy import LatencyTable, get_device, get_space
from nas_proxy.devices.table import TableDevice
from nas_proxy.errors import InputError, UnknownNameError
from nas_proxy.spaces import space_text
from nas_proxy.testing.device_kinds import CHECKS, check_repeatable


@pytest.fixture
def csv(tmp_path, space, archs):
    rows = "".join(f"{arch},{i + 1}.5,phone\n" for i, arch in enumerate(archs))
    path = tmp_path / "measured.csv"
    path.write_text(f"# space: {space_text(space)}\narch,latency_ms,device\n{rows}{archs[0]},7,board\n")
    return path


@pytest.fixture
def describe(tmp_path):
    def describe(**fields):
        path = tmp_path / "mine.yaml"
        path.write_text(yaml.safe_dump({"kind": "table", **fields}))
        return path

    return describe


@pytest.mark.parametrize("check", [*CHECKS, check_repeatable], ids=lambda check: check.__name__)
def test_conformance(check, csv, space, archs):
    check(TableDevice("phone", LatencyTable.from_csv(csv), "phone"), space, archs)


def test_a_csv_beside_the_description(csv, describe, archs, monkeypatch, tmp_path_factory):
    path = describe(csv="measured.csv", device="phone", space="nasbench201(channels=4,cells=1,image_size=8)")
    monkeypatch.chdir(tmp_path_factory.mktemp("elsewhere"))  # the path starts at the description's folder
    device = get_device(path)
    assert device.name == "mine"
    assert device.latency(archs[1]).latency_ms == 2.5
    assert device.describe()["column"] == "phone"
    assert get_device(os.path.relpath(path)).latency(archs[1]).latency_ms == 2.5


def test_a_published_data_set(measurements, describe):
    source = {"format": "help", "path": str(measurements("help", "fbnet"))}
    device = get_device(describe(dataset=source, device="raspi4"))
    arch = device.table.archs[17]
    assert device.latency(arch).latency_ms == device.table.latency_ms("raspi4")[17]
    assert device.latency(get_space("fbnet").to_str(arch)) == device.latency(arch)


def test_an_architecture_that_was_not_measured(csv, space, archs):
    device = TableDevice("board", LatencyTable.from_csv(csv), "board")
    assert device.latency(archs[0]).latency_ms == 7
    with pytest.raises(
        InputError, match=r"the table of 1 nasbench201\S* architectures does not hold .*measure the missing"
    ):
        device.latency(archs[1])
    with pytest.raises(InputError, match="nor 2 others"):
        list(device.latencies(space, archs))


def test_another_space(csv):
    device, fbnet = TableDevice("phone", LatencyTable.from_csv(csv), "phone"), get_space("fbnet")
    with pytest.raises(InputError, match=r"the table is of 'nasbench201.*', not of 'fbnet'"):
        list(device.latencies(fbnet, fbnet.sample(1, seed=0)))


@pytest.mark.parametrize(
    ("fields", "said"),
    [
        ({"csv": "measured.csv"}, "the table holds 2 devices; say which with 'device': phone, board"),
        ({"csv": "measured.csv", "device": "phones"}, "unknown device 'phones'. Did you mean 'phone'"),
        ({"csv": "measured.csv", "device": "phone", "space": "fbnet"}, "is read as 'fbnet'"),
        ({"csv": "other.csv"}, "found nothing"),
        ({}, "give either 'csv' or 'dataset'"),
        ({"csv": "measured.csv", "dataset": {"format": "help", "path": "x"}}, "give either 'csv' or 'dataset'"),
        ({"dataset": {"format": "halp", "path": "x"}}, "Did you mean 'help'"),
        ({"dataset": {"format": "help", "pth": "x"}}, "Did you mean 'path'"),
    ],
)
def test_wrong_descriptions(csv, describe, fields, said):
    with pytest.raises(InputError) as error:
        get_device(describe(**fields))
    assert said in str(error.value)


def test_a_data_set_of_another_space(measurements, describe):
    source = {"format": "help", "path": str(measurements("help", "fbnet"))}
    with pytest.raises(InputError, match="the data set is of 'fbnet', not of 'nasbench201'"):
        get_device(describe(dataset=source, device="raspi4", space="nasbench201"))


def test_unknown_device_of_a_table(csv):
    with pytest.raises(UnknownNameError, match="Did you mean 'board'"):
        TableDevice("x", LatencyTable.from_csv(csv), "bord")
