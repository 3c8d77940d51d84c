"""Pareto fronts against their definition, hypervolume against areas computed by hand."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from nas_proxy import hypervolume, pareto_front
from nas_proxy.errors import InputError
from nas_proxy.ranking.pareto import recommended

POINTS = st.lists(st.tuples(st.integers(0, 6), st.integers(1, 7)), max_size=12)


@settings(deadline=None)  # the first example imports pymoo
@given(points=POINTS)
def test_front_is_what_nothing_beats(points):
    accuracy, latency = (np.array([p[i] for p in points], dtype=float) for i in (0, 1))
    front = pareto_front(accuracy, latency)
    assert (np.diff(latency[front]) > 0).all()
    assert (np.diff(accuracy[front]) > 0).all()

    def beaten(i):
        as_good = (accuracy >= accuracy[i]) & (latency <= latency[i])
        return (as_good & ((accuracy > accuracy[i]) | (latency < latency[i]))).any()

    unbeaten = {points[i] for i in range(len(points)) if not beaten(i)}
    assert {points[i] for i in front} == unbeaten
    assert len(front) == len(unbeaten)


@settings(deadline=None)  # the first example imports pymoo
@given(points=POINTS)
def test_hypervolume_is_the_area_of_unit_squares(points):
    accuracy, latency = (np.array([p[i] for p in points], dtype=float) for i in (0, 1))
    area = sum(any(a > x and t <= y for a, t in points) for x in range(1, 6) for y in range(1, 6))
    assert hypervolume(accuracy, latency, 1, 6) == pytest.approx(area)


def test_golden():
    assert list(pareto_front([70, 72, 71, 60], [3.0, 5.0, 5.5, 2.0])) == [3, 0, 1]
    assert hypervolume([70, 72, 71, 60], [3.0, 5.0, 5.5, 2.0], 0, 10) == pytest.approx(60 * 8 + 10 * 7 + 2 * 5)
    assert hypervolume([], [], 0, 10) == 0


@pytest.mark.parametrize("function", [pareto_front, lambda a, t: hypervolume(a, t, 0, 1)])
def test_refusals(function):
    with pytest.raises(InputError, match=r"shape \(2,\) and \(3,\)"):
        function([1, 2], [1, 2, 3])
    with pytest.raises(InputError, match="number 1 has accuracy nan"):
        function([1, np.nan], [1, 2])
    with pytest.raises(InputError, match="the reference must be finite, found nan and 1 ms"):
        hypervolume([1], [1], np.nan, 1)


def test_recommended() -> None:
    accuracy, latency_ms = [50.0, 90.2, 90.5, 91.0, 60.0], [1.0, 2.0, 3.0, 9.0, 8.0]
    assert recommended(accuracy, latency_ms) == 1  # 90.2 is 99 % of 91
    assert recommended(accuracy, latency_ms, limit_ms=4.0) == 2
    assert recommended(accuracy, latency_ms, limit_ms=1.0) == 0
    assert recommended(accuracy, latency_ms, limit_ms=0.5) is None
    assert recommended([], []) is None
