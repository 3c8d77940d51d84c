"""Learning what each choice contributes: exact where costs are products of few choices, few examples needed."""

from __future__ import annotations

import numpy as np
import pytest

from nas_proxy.spaces._contributions import Contributions

CARDINALITIES = (4, 3, 6, 7, 2, 3, 3, 5)


def codes(n: int, seed: int) -> np.ndarray:
    return np.random.default_rng(seed).integers(0, CARDINALITIES, size=(n, len(CARDINALITIES)))


def terms(codes: np.ndarray) -> np.ndarray:
    """Modules as networks have them: constant, chosen by a kernel, of two widths, and there from a depth on."""
    depth, kernel, expansion, width, gate, other, *_ = codes.T
    widths, kernels = np.array([8, 16, 24, 32, 40, 56, 64]), np.array([9, 25, 49])
    return np.column_stack(
        [
            np.full(len(codes), 432.0),
            100.0 * kernels[kernel],
            3.0 * widths[width] * (expansion + 1),
            (depth >= 2) * kernels[other] * widths[width],
            (depth >= 1) * (gate == 1) * 50.0 * widths[width],
            7 * 100.0 * kernels[kernel],  # proportional to another: the same module at another stage
        ]
    )


@pytest.fixture(scope="module")
def learnt():
    examples = codes(64, seed=0)
    columns = np.array([0, 0, 0, 1, 1, 0])
    return Contributions(examples, CARDINALITIES, terms(examples), columns, n_columns=3)


def test_products_of_few_choices_are_learnt_exactly(learnt):
    unseen = codes(2000, seed=1)
    truth = terms(unseen)
    predicted = learnt.predict(unseen)
    np.testing.assert_allclose(predicted[:, 0], truth[:, [0, 1, 2, 5]].sum(axis=1), rtol=1e-3)
    np.testing.assert_allclose(predicted[:, 1], truth[:, [3, 4]].sum(axis=1), rtol=1e-3, atol=1e-3)
    assert (predicted[:, 2] == 0).all()


def test_prediction_does_not_depend_on_the_batch(learnt):
    some = codes(50, seed=2)
    assert np.array_equal(learnt.predict(some[:1]), learnt.predict(some)[:1])
    assert learnt.predict(some[:0]).shape == (0, 3)


def test_rounding_does_not_mislead():
    """Channels are rounded to multiples of 8, so that costs are products only roughly."""

    def rounded(codes: np.ndarray) -> np.ndarray:
        return (np.round((codes[:, 3] + 3) * 13 * (codes[:, 2] + 1) / 8) * 8 * 100.0)[:, None]

    examples, unseen = codes(64, seed=0), codes(500, seed=1)
    learnt = Contributions(examples, CARDINALITIES, rounded(examples), np.zeros(1, dtype=int), n_columns=1)
    error = np.abs(learnt.predict(unseen) / rounded(unseen) - 1)
    assert np.median(error) < 0.02
