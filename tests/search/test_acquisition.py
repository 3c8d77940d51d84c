"""Expected hypervolume improvement against what it is defined as."""

from __future__ import annotations

import numpy as np
import pytest

from nas_proxy.ranking import hypervolume
from nas_proxy.search.acquisition import Budgets, expected_improvement
from nas_proxy.search.surrogate import Belief

RNG = np.random.default_rng(0)
LATENCY = RNG.uniform(2, 20, size=(400, 1))
FOUND_LATENCY = np.array([[2.5], [6.0], [11.0]])
FOUND_ACCURACY = np.array([30.0, 50.0, 60.0])


def improvement(budgets: Budgets, mean: np.ndarray, std: np.ndarray, latency_ms: np.ndarray) -> np.ndarray:
    return expected_improvement(
        Belief(mean, std), budgets.met_by(latency_ms), budgets, FOUND_ACCURACY, budgets.met_by(FOUND_LATENCY), 0.0
    )


def test_certain_accuracy_gives_the_hypervolume_gained() -> None:
    budgets = Budgets.over(LATENCY, np.array([False]))
    low, reference = LATENCY.min(), float(np.percentile(LATENCY, 99))
    candidates, accuracy = LATENCY[:60], RNG.uniform(20, 80, 60)
    gained = improvement(budgets, accuracy, np.full(60, 1e-9), candidates)
    before = hypervolume(FOUND_ACCURACY, FOUND_LATENCY[:, 0], 0.0, reference)
    for i in range(60):
        after = hypervolume(
            np.append(FOUND_ACCURACY, accuracy[i]), np.append(FOUND_LATENCY[:, 0], candidates[i, 0]), 0.0, reference
        )
        assert gained[i] == pytest.approx((after - before) / (reference - low), abs=0.3)


def test_uncertain_accuracy_gives_the_mean_over_draws() -> None:
    budgets = Budgets.over(LATENCY, np.array([False]))
    latency_ms = np.array([[4.0], [8.0], [15.0]])
    mean, std = np.array([40.0, 48.0, 61.0]), np.array([10.0, 4.0, 2.0])
    draws = mean + std * np.random.default_rng(1).normal(size=(4000, 3))
    sampled = np.mean([improvement(budgets, draw, np.full(3, 1e-9), latency_ms) for draw in draws], axis=0)
    np.testing.assert_allclose(improvement(budgets, mean, std, latency_ms), sampled, rtol=0.05)


def test_a_limit_leaves_the_expected_improvement_of_accuracy() -> None:
    budgets = Budgets.over(LATENCY, np.array([True]))
    assert budgets.weight.tolist() == [1.0]
    gained = improvement(budgets, np.array([59.0, 70.0]), np.full(2, 1e-9), np.array([[3.0], [19.0]]))
    np.testing.assert_allclose(gained, [0, 10], atol=1e-6)


def test_two_targets_count_both() -> None:
    latency_ms = np.random.default_rng(2).uniform(1, 10, size=(500, 2))
    budgets = Budgets.over(latency_ms, np.array([False, False]))
    assert budgets.weight.sum() == pytest.approx(1)
    met = budgets.met_by(np.array([[1.0, 1.0], [1.0, 9.5], [9.5, 1.0]])) @ budgets.weight
    assert met[0] > met[1:].max()
    np.testing.assert_allclose(met[1], met[2], rtol=0.5)
