"""The columns that models see: standardised, each told once, whatever order a space has them in."""

from __future__ import annotations

import numpy as np
import pytest

from nas_proxy.spaces import get_space
from nas_proxy.spaces.columns import Columns


@pytest.mark.parametrize("name", ["nasbench201", "fbnet", "mobilenetv3", "timm"])
def test_standardised_and_no_two_alike(name) -> None:
    space = get_space(name)
    archs = space.sample(400, seed=0)
    columns = Columns.of(space, archs)
    values = columns(archs)
    np.testing.assert_allclose(values.mean(axis=0), 0, atol=1e-9)
    np.testing.assert_allclose(values.std(axis=0), 1, rtol=1e-9)
    features = values[:, : columns.n_features]
    alike = np.abs(features.T @ features) / len(archs) - np.eye(columns.n_features)
    assert alike.max() < 0.9999
    assert columns.share.sum() == pytest.approx(1)
    names = [space.feature_names[i] for i in columns.features]
    assert names == sorted(names)


def test_of_twins_the_first_by_name_is_kept() -> None:
    space = get_space("nasbench201")
    columns = Columns.of(space, space.sample(300, seed=0))
    kept = {space.feature_names[i] for i in columns.features}
    assert "executed_bytes" in kept
    assert "executed_kernels" not in kept  # a cell's kernels all move the same number of bytes


def test_columns_that_do_not_vary_are_left_out() -> None:
    space = get_space("nasbench201")
    [arch] = space.sample(1, seed=0)
    assert Columns.of(space, [arch])([arch, arch]).shape == (2, 0)
