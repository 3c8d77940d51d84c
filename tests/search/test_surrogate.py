"""The accuracy model: exact where it says so, calibrated, and of constant cost."""

from __future__ import annotations

import numpy as np
import pytest
from digit_space import Digits
from numpy.typing import NDArray

from nas_proxy.search import surrogate
from nas_proxy.search.surrogate import AccuracyModel, Kernel, Points
from nas_proxy.spaces.columns import Columns


def data(space: Digits, n: int, seed: int = 0) -> tuple[Columns, Points, NDArray[np.float64]]:
    archs = space.sample(n, seed)
    columns = Columns.of(space, space.enumerate())
    digits = space.encode(archs)
    accuracy = 80 - 60 * np.exp(-0.3 * digits.sum(axis=1)) + np.random.default_rng(seed).normal(0, 0.3, n)
    return columns, Points.of(columns, archs), accuracy


def test_columns_are_standardised_and_told_once(small: Digits) -> None:
    points = Points.of(Columns.of(small, small.enumerate()), small.enumerate())
    assert points.features.shape[1] == len(small.choices) + 1  # 'twice' says what 'sum' says
    np.testing.assert_allclose((points.features**2).mean(axis=0), 1, rtol=1e-4)
    assert (points.choices**2).mean() == pytest.approx(1, rel=1e-4)


def test_equal_to_the_textbook_formulas_where_it_is_exact(small: Digits) -> None:
    _, points, accuracy = data(small, 40)
    model = AccuracyModel(points, accuracy)
    kernel = model.kernel
    _, new, _ = data(small, 25, seed=1)
    z = -np.log((accuracy.max() + accuracy.std() - accuracy) / accuracy.std())
    u = (z - z.mean()) / z.std()
    covariance = kernel(points, points).astype(float) + kernel.noise * np.eye(40)
    cross = kernel(new, points).astype(float)
    mean = cross @ np.linalg.solve(covariance, u) * z.std() + z.mean()
    variance = kernel.diagonal(new) - np.einsum("ij,ij->i", cross, np.linalg.solve(covariance, cross.T).T)
    slope = accuracy.std() * np.exp(-mean)
    belief = model.predict(new)
    np.testing.assert_allclose(belief.mean, accuracy.max() + accuracy.std() - slope, atol=0.1)
    np.testing.assert_allclose(belief.std, slope * z.std() * np.sqrt(variance), rtol=0.1, atol=0.05)


def test_inducing_points_lose_little(small: Digits, monkeypatch: pytest.MonkeyPatch) -> None:
    _, points, accuracy = data(small, 300)
    _, new, truth = data(small, 200, seed=1)
    approximate = AccuracyModel(points, accuracy)
    monkeypatch.setattr(surrogate, "_INDUCING", 300)
    exact = AccuracyModel(points, accuracy)
    error = [np.abs(model.predict(new).mean - truth).mean() for model in (approximate, exact)]
    assert error[0] < 1.3 * error[1] + 0.05


def test_predictions_are_calibrated(small: Digits) -> None:
    _, points, accuracy = data(small, 60)
    _, new, truth = data(small, 400, seed=1)
    belief = AccuracyModel(points, accuracy).predict(new)
    z = (truth - belief.mean) / belief.std
    assert np.corrcoef(truth, belief.mean)[0, 1] > 0.97
    assert 0.4 < np.sqrt((z**2).mean()) < 3.0


def test_evidence_finds_noise(small: Digits) -> None:
    _, points, accuracy = data(small, 80)
    clean = Kernel.by_evidence(points, (accuracy - accuracy.mean()) / accuracy.std())
    noise = np.random.default_rng(0).normal(size=80)
    assert Kernel.by_evidence(points, noise).noise > 3 * clean.noise


@pytest.mark.parametrize("accuracy", [np.full(5, 70.0), np.array([0.0, 0, 0, 0, 90]), np.array([-3.0, -2, -1, 0, 1])])
def test_odd_accuracies_are_taken(small: Digits, accuracy: NDArray[np.float64]) -> None:
    _, points, _ = data(small, 5)
    belief = AccuracyModel(points, accuracy).predict(points)
    assert np.isfinite(belief.mean).all()
    assert (belief.std > 0).all()
