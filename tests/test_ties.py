"""Ties: rounding decides nothing, the given order does."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from nas_proxy import ties

VALUES = st.lists(st.integers(-5, 5), min_size=1, max_size=12).map(lambda v: np.array(v, dtype=float))


def shaken(values: np.ndarray, seed: int) -> np.ndarray:
    """As another processor would have computed them."""
    return values * (1 + 1e-14 * np.random.default_rng(seed).integers(-9, 10, values.shape))


@given(values=VALUES, seed=st.integers(0, 99))
def test_the_first_of_the_best(values, seed) -> None:
    assert ties.first_largest(shaken(values, seed)) == values.argmax()
    assert ties.first_smallest(shaken(values, seed)) == values.argmin()


@given(values=VALUES, seed=st.integers(0, 99))
def test_order_is_stable(values, seed) -> None:
    np.testing.assert_array_equal(ties.order(shaken(values, seed)), np.argsort(values, kind="stable"))


@given(values=VALUES, k=st.integers(0, 14), seed=st.integers(0, 99))
def test_largest_are_the_first_of_equals(values, k, seed) -> None:
    wanted = np.sort(np.argsort(-values, kind="stable")[:k])
    np.testing.assert_array_equal(ties.largest(shaken(values, seed), k, 1e-9), wanted)
    rows = np.stack([shaken(values, seed), values[::-1]])
    found = ties.largest(rows, k, within=1e-9 * np.ones((2, 1)))
    np.testing.assert_array_equal(found[0], wanted)
    np.testing.assert_array_equal(found[1], np.sort(np.argsort(-values[::-1], kind="stable")[:k]))


@given(values=VALUES, seed=st.integers(0, 99))
def test_levels_are_ranks_without_gaps(values, seed) -> None:
    wanted = np.unique(values, return_inverse=True)[1]
    np.testing.assert_array_equal(ties.levels(shaken(values, seed)), wanted)
    columns = np.stack([values, shaken(values, seed), -values], axis=1)
    np.testing.assert_array_equal(ties.levels(columns)[:, 1], wanted)
    np.testing.assert_array_equal(ties.levels(columns)[:, 2], wanted.max() - wanted)


@given(values=VALUES, seed=st.integers(0, 99))
def test_settled_values_are_equal_in_every_bit(values, seed) -> None:
    first = ties.settled(shaken(values, seed), [])
    again = ties.settled(shaken(values, seed + 1), first)
    np.testing.assert_array_equal(first, again)
    np.testing.assert_array_equal(np.unique(first, return_inverse=True)[1], np.unique(values, return_inverse=True)[1])


def test_what_differs_is_kept_apart() -> None:
    assert ties.levels([1.0, 1.0 + 1e-8, 1e-30, 2e-30]).tolist() == [2, 3, 0, 1]
    assert ties.first_largest([1.0, 1.0 + 1e-8]) == 1


@pytest.mark.parametrize(
    ("value", "digits", "rounded"), [(1234.5678, 6, 1234.57), (-0.00123456, 3, -0.00123), (0, 3, 0)]
)
def test_rounded(value, digits, rounded) -> None:
    assert ties.rounded(np.array([value]), digits)[0] == pytest.approx(rounded, rel=1e-15)
