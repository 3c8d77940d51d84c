"""Tables in memory: look-ups, and what is not a table."""

from __future__ import annotations

import numpy as np
import pytest

from nas_proxy import LatencyTable
from nas_proxy.datasets import AccuracyTable
from nas_proxy.errors import InputError, UnknownNameError

ONCE_FOR_ALL = ({"ks": [3], "r": 128}, {"ks": [5], "r": 128})


def table(archs=("a", "b", "c"), devices=("pixel3", "eyeriss"), values=((1, 4), (2, 5), (3, 6))):
    return LatencyTable("nasbench201", archs, devices, np.array(values, dtype=float))


def test_latencies_in_table_order_or_of_given_architectures():
    assert table().latency_ms("eyeriss").tolist() == [4, 5, 6]
    assert table().latency_ms("pixel3", ["c", "a"]).tolist() == [3, 1]
    assert len(table()) == 3


def test_architectures_that_are_mappings_or_tuples():
    assert table(ONCE_FOR_ALL, ("x",), ((1,), (2,))).latency_ms("x", [{"r": 128, "ks": [5]}]).tolist() == [2]
    assert table(((0, 1), (1, 0)), ("x",), ((1,), (2,))).latency_ms("x", [(1, 0)]).tolist() == [2]


def test_a_list_is_as_good_as_a_tuple():
    table = LatencyTable("fbnet", ((0, 1), [2, 3]), ("phone",), np.array([[1.0], [2.0]]))
    assert table.latency_ms("phone", [[0, 1], (2, 3)]).tolist() == [1.0, 2.0]


def test_an_unknown_device_is_answered_with_the_closest():
    with pytest.raises(UnknownNameError, match=r"unknown device 'pixel33'\. Did you mean 'pixel3'"):
        table().latency_ms("pixel33")
    with pytest.raises(UnknownNameError, match="Did you mean 'eyeriss'"):
        table().measured_on("pixel3", "eyeris")


def test_an_architecture_that_is_not_there():
    with pytest.raises(InputError, match="the table of 3 nasbench201 architectures does not hold 'z', nor 1 others"):
        table().latency_ms("pixel3", ["a", "z", "y"])


@pytest.mark.parametrize("bad", [0.0, -1.0, np.inf])
def test_what_is_no_latency(bad):
    with pytest.raises(InputError, match="row 1 on 'eyeriss'"):
        table(values=((1, 4), (2, bad), (3, 6)))


def test_devices_are_distinct():
    with pytest.raises(InputError, match="'phone' is there twice"):
        table(devices=("phone", "phone"))


def test_lengths_must_agree():
    with pytest.raises(InputError, match=r"shape \(2, 2\); expected \(3, 2\)"):
        table(values=((1, 4), (2, 5)))
    with pytest.raises(InputError, match="expected 2 accuracies, one per architecture"):
        AccuracyTable("nasbench201", ("a", "b"), np.array([1.0]))


def test_a_table_cannot_be_changed_by_accident():
    values = np.array([[1.0], [2.0]])
    mine = table(("a", "b"), ("x",), values)
    values[0] = 9
    assert mine.latency_ms("x")[0] == 1
    with pytest.raises(ValueError, match="read-only"):
        mine.latency_ms("x")[0] = 9


def test_accuracies():
    accuracies = AccuracyTable("nasbench201", ("a", "b"), np.array([10.0, 90.0]))
    assert accuracies.accuracy_of(["b", "a", "b"]).tolist() == [90, 10, 90]
    with pytest.raises(InputError, match="does not hold 'z'"):
        accuracies.accuracy_of(["z"])
    with pytest.raises(InputError, match="in percent, 0 to 100; row 1 is 101"):
        AccuracyTable("nasbench201", ("a", "b"), np.array([10.0, 101.0]))


@pytest.mark.parametrize("archs", [("a", "b", "a"), ({"r": 1, "k": 2}, {"k": 2, "r": 1}, {"r": 2, "k": 2})])
def test_architectures_are_distinct(archs):
    with pytest.raises(InputError, match="is there twice"):
        table(archs)
    with pytest.raises(InputError, match="is there twice"):
        AccuracyTable("nasbench201", archs, np.array([1.0, 2.0, 3.0]))
