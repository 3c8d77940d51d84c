"""FBNet: published costs, features against the built network, errors."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from module_costs import counted, named_features

from nas_proxy.errors import InputError
from nas_proxy.spaces.fbnet import OPERATORS, FBNet

FBNET_C = tuple(
    OPERATORS.index(name)
    for stage in (
        ["k3_e1"],
        ["k3_e6", "skip", "k3_e1", "k3_e1"],
        ["k5_e6", "k5_e3", "k5_e6", "k3_e6"],
        ["k5_e6", "k5_e3", "k5_e6", "k5_e6"],
        ["k5_e6", "k5_e6", "k5_e6", "k5_e3"],
        ["k5_e6", "k5_e6", "k5_e6", "k5_e6"],
        ["k3_e6"],
    )
    for name in stage
)


def test_costs_are_the_published_ones():
    features = named_features(FBNet(), FBNET_C)
    assert features["parameters"] == pytest.approx(5.57e6, abs=0.005e6)
    assert features["macs"] == pytest.approx(384.96e6, abs=0.005e6)
    assert features["depth"] == 21


@settings(max_examples=15, deadline=None)
@given(
    code=st.lists(st.integers(0, 8), min_size=22, max_size=22),
    size=st.integers(17, 260),
    classes=st.integers(1, 120),
    input_channels=st.integers(1, 4),
)
def test_features_count_what_the_network_has(code, size, classes, input_channels):
    space = FBNet(size, classes, input_channels)
    features = named_features(space, tuple(code))
    assert counted(space, tuple(code)) == (features["macs"], features["parameters"])
    assert features["macs_pointwise"] + features["macs_grouped"] + features["macs_depthwise"] < features["macs"]


def test_skip_costs_nothing_where_the_shape_stays():
    space = FBNet()
    kernels = space.feature_names.index("kernels")
    all_skip = (OPERATORS.index("skip"),) * 22
    changes_shape = sum(not position.keeps_shape for position in space.positions)
    assert changes_shape == 6
    assert space.features([all_skip])[0, kernels] == changes_shape + 4  # and stem, head, pooling, classifier


def test_stages_sum_to_the_whole():
    space = FBNet()
    features = dict(zip(space.feature_names, space.features(space.sample(50, seed=0)).T, strict=True))
    stages = sum(features[f"stage{stage}_macs_depthwise"] for stage in range(7))
    np.testing.assert_array_equal(stages, features["macs_depthwise"])


def test_lists_and_arrays_are_taken_too():
    space = FBNet()
    arch = space.sample(1, seed=0)[0]
    for same in (list(arch), np.array(arch)):
        assert np.array_equal(space.features([same]), space.features([arch]))
        assert space.to_str(same) == space.to_str(arch)


@pytest.mark.parametrize(
    ("arch", "message"),
    [
        ((1,) * 21, "expected 22 operator indices, found 21"),
        ((1,) * 5 + (9,) + (1,) * 16, r"layer 5: expected one of 0 \(k3_e1\), .* 8 \(skip\), found 9"),
        ((-1,) + (1,) * 21, "layer 0: expected one of"),
        ((1,) * 21 + (1.0,), "layer 21: expected one of .* found 1.0"),
        ((1,) * 21 + ("skip",), "layer 21: expected one of .* found 'skip'"),
        ("skip", "expected a tuple of 22 operator indices, found 'skip' of type str"),
    ],
)
def test_errors_name_the_position(arch, message):
    space = FBNet()
    for call in (space.to_str, space.build, lambda arch: space.encode([arch, (0,) * 22])):
        with pytest.raises(InputError, match=message):
            call(arch)


def test_errors_of_texts_name_the_position():
    with pytest.raises(InputError, match=r"layer 1: expected one of .* found 'x'"):
        FBNet().from_str("1,x" + ",0" * 20)
    with pytest.raises(InputError, match="found 2"):
        FBNet().from_str("1,2")
