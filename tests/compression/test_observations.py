"""What is calibrated on."""

from __future__ import annotations

import numpy as np
import pytest

from nas_proxy.compression._observations import Observations
from nas_proxy.errors import InputError


def test_groups_and_open_axes() -> None:
    rng = np.random.default_rng(0)
    given = [(rng.normal(size=(n, 3)), rng.normal(size=2)) for n in (4, 5, 4, 6)]
    found = Observations(given)
    assert found.n == 4
    assert found.dynamic == [{0, 1}, {0}]
    assert [array.shape for array in found.typical] in ([(1, 4, 3), (1, 2)], [(1, 5, 3), (1, 2)])
    rows = np.concatenate([b for _, b in found.batches(2, rng)])
    np.testing.assert_allclose(np.sort(rows, axis=0), np.sort([b for _, b in given], axis=0), rtol=1e-6)


@pytest.mark.parametrize("empty", [np.zeros((0, 3)), []])
def test_none(empty: object) -> None:
    with pytest.raises(InputError, match="no observations"):
        Observations(empty)


def test_all_equal() -> None:
    with pytest.raises(InputError, match="all 5 observations are equal"):
        Observations(np.ones((5, 3)))


def test_not_finite() -> None:
    with pytest.raises(InputError, match="observation 1 holds a number that is not finite"):
        Observations(np.array([[0.0], [np.nan]]))


def test_not_numbers() -> None:
    with pytest.raises(InputError, match="expected arrays of numbers"):
        Observations([("left",), ("right",)])


def test_different_kinds() -> None:
    with pytest.raises(InputError, match="differ in their number of arrays or axes"):
        Observations([(np.ones(2),), (np.ones((2, 2)),)])
