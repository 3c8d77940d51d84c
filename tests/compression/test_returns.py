"""Shares of a return, with intervals."""

from __future__ import annotations

import numpy as np
import pytest

from nas_proxy.compression import Kept, Returns


def test_pairs_take_the_luck_out() -> None:
    before = np.random.default_rng(0).normal(100, 30, 40)
    paired, apart = (Kept.of(before, 0.9 * before, 0.0, paired=paired) for paired in (True, False))
    assert paired.share == pytest.approx(0.9)
    assert paired.low == pytest.approx(0.9)
    assert apart.high - apart.low > 0.05


def test_the_floor_counts_as_nothing() -> None:
    before, after = np.array([-200.0, -100.0]), np.array([-500.0, -400.0])
    assert Kept.of(before, after, -1050.0, paired=True).share == pytest.approx(600 / 900)


def test_interval_of_a_mean() -> None:
    values = np.random.default_rng(1).normal(5, 1, 400)
    found = Returns.of(values)
    assert found.low < found.mean < found.high
    assert found.high - found.low == pytest.approx(2 * 1.96 / 20, rel=0.2)
    assert found.episodes == 400
