"""Gaussian-process regression against the textbook, exact and on inducing points."""

from __future__ import annotations

import numpy as np
import pytest

from nas_proxy.gaussian_process import GaussianProcess, matern


@pytest.fixture
def problem():
    rng = np.random.default_rng(0)
    x, new = rng.uniform(0, 4, (30, 1)), rng.uniform(0, 4, (9, 1))
    observed = np.column_stack([np.sin(x[:, 0]), x[:, 0]]) + 0.1 * rng.standard_normal((30, 2))
    return matern((x - x.T) ** 2, 2), matern((x - new.T) ** 2, 2), observed


def test_exact_is_the_textbook(problem) -> None:
    prior, cross, observed = problem
    covariance = prior + 0.01 * np.eye(30)
    process = GaussianProcess.exact(covariance, observed)
    mean, variance = process.predict(cross, np.ones(9))
    np.testing.assert_allclose(mean, cross.T @ np.linalg.solve(covariance, observed), atol=1e-8)
    np.testing.assert_allclose(variance, 1 - (cross * np.linalg.solve(covariance, cross)).sum(axis=0), atol=1e-8)
    assert 2 * process.half_log_det == pytest.approx(np.linalg.slogdet(covariance)[1])


def test_sparse_is_exact_where_all_points_are_inducing(problem) -> None:
    prior, cross, observed = problem
    exact = GaussianProcess.exact(prior + 0.01 * np.eye(30), observed).predict(cross, np.ones(9))
    sparse = GaussianProcess.sparse(prior + 1e-9 * np.eye(30), prior, 0.01, observed).predict(cross, np.ones(9))
    np.testing.assert_allclose(sparse[0], exact[0], atol=1e-3)
    np.testing.assert_allclose(sparse[1], exact[1], atol=1e-3)


def test_precision_is_that_of_what_is_asked(problem) -> None:
    prior, cross, observed = problem
    process = GaussianProcess.exact(prior + 0.01 * np.eye(30), observed)
    mean, variance = process.predict(cross.astype(np.float32), np.ones(9, dtype=np.float32))
    assert mean.dtype == variance.dtype == np.float32


def test_matern_falls_from_one() -> None:
    squared = np.linspace(0, 9, 50)
    for order in (1, 2):
        values = matern(squared, order)
        assert values[0] == 1
        assert (np.diff(values) < 0).all()
    assert matern(np.array([1.0]), 1)[0] == pytest.approx((1 + np.sqrt(3)) * np.exp(-np.sqrt(3)))
