"""Kendall's tau: scipy's where that is a number, one policy where it is not."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import stats

from nas_proxy.errors import InputError
from nas_proxy.ranking.kendall import kendall_tau, kendall_taus


def test_is_tau_b() -> None:
    rng = np.random.default_rng(0)
    a, b = rng.integers(0, 9, (2, 60))
    wanted = float(np.asarray(stats.kendalltau(a, b))[0])
    assert kendall_tau(a, b) == pytest.approx(wanted)
    assert kendall_tau([1, 2, 3], [1, 2, 3]) == 1
    assert kendall_tau([1, 2, 3], [3, 2, 1]) == -1
    np.testing.assert_allclose(kendall_taus(a[:, None], np.stack([b, -b], axis=1)), [wanted, -wanted])


def test_rounding_makes_no_order() -> None:
    assert kendall_tau([0.1 + 0.2, 0.3, 1.0], [1.0, 2.0, 3.0]) == kendall_tau([0.3, 0.3, 1.0], [1.0, 2.0, 3.0])


def test_an_infinity_is_equal_to_itself_alone() -> None:
    assert kendall_tau([1, 2, 3, np.inf], [1, 2, 3, 4]) == 1
    assert kendall_tau([np.inf, 1, 2], [1, 2, 3]) == pytest.approx(-1 / 3)
    assert kendall_tau([np.inf, np.inf, -np.inf], [2, 2, 1]) == pytest.approx(1)


@pytest.mark.parametrize("values", [[], [1.0], [2.0, 2.0, 2.0]])
def test_no_order_agrees_with_nothing(values) -> None:
    assert kendall_tau(values, np.arange(len(values))) == 0.0


def test_refusals() -> None:
    with pytest.raises(InputError, match=r"found shapes \(2,\) and \(3,\)"):
        kendall_tau([1, 2], [1, 2, 3])
    with pytest.raises(InputError, match="found NaN: leave out what is not measured"):
        kendall_tau([1.0, np.nan], [1.0, 2.0])
