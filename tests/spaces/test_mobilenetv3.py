"""The Once-for-All family: layers that do not exist count for nothing, features against the built network, errors."""

from __future__ import annotations

import copy

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from module_costs import counted, named_features

from nas_proxy.errors import InputError
from nas_proxy.spaces.mobilenetv3 import MobileNetV3

architectures = st.fixed_dictionaries(
    {
        "ks": st.lists(st.sampled_from([3, 5, 7]), min_size=20, max_size=20),
        "e": st.lists(st.sampled_from([3, 4, 6]), min_size=20, max_size=20),
        "d": st.lists(st.sampled_from([2, 3, 4]), min_size=5, max_size=5),
        "r": st.sampled_from(range(128, 257, 4)),
    }
)
LARGEST = {"ks": [7] * 20, "e": [6] * 20, "d": [4] * 5, "r": 224}


@settings(max_examples=12, deadline=None)
@given(arch=architectures, classes=st.integers(1, 120), input_channels=st.integers(1, 4))
def test_features_count_what_the_network_has(arch, classes, input_channels):
    space = MobileNetV3(classes, input_channels)
    features = named_features(space, arch)
    assert counted(space, arch) == (features["macs"], features["parameters"])


@settings(max_examples=50, deadline=None)
@given(arch=architectures, garbage=st.sampled_from([0, 3, 5, 7, 99, None]))
def test_layers_that_do_not_exist_count_for_nothing(arch, garbage):
    space = MobileNetV3()
    same = copy.deepcopy(arch)
    for i in range(20):
        if i % 4 >= arch["d"][i // 4]:
            same["ks"][i] = same["e"][i] = garbage
    assert space.to_str(same) == space.to_str(arch)
    assert np.array_equal(space.features([same]), space.features([arch]))
    assert space.decode(space.encode([same])) == [space.from_str(space.to_str(arch))]


def test_features_see_resolution_and_depth():
    large = named_features(MobileNetV3(), LARGEST)
    small_image = named_features(MobileNetV3(), LARGEST | {"r": 128})
    shallow = named_features(MobileNetV3(), LARGEST | {"d": [4, 4, 2, 4, 4]})
    assert small_image["parameters"] == large["parameters"]
    assert small_image["macs"] == pytest.approx(large["macs"] * (128 / 224) ** 2, rel=0.02)
    assert large["depth_2"] - shallow["depth_2"] == 2
    assert large["count_k7"] - shallow["count_k7"] == 2
    assert large["stage2_kernels"] - shallow["stage2_kernels"] == 2 * 4  # three convolutions and an addition
    assert large["stage1_macs_depthwise"] == shallow["stage1_macs_depthwise"]


def test_the_text_names_existing_layers_only():
    text = MobileNetV3().to_str(LARGEST | {"d": [2, 2, 2, 2, 3]})
    assert text == "r224|k7e6-k7e6|k7e6-k7e6|k7e6-k7e6|k7e6-k7e6|k7e6-k7e6-k7e6"


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"ks": [3] * 19}, r"ks: expected 20 values"),
        ({"ks": [3] * 19 + [4]}, r"ks\[19\]: expected one of \(3, 5, 7\), found 4"),
        ({"e": [5] + [3] * 19}, r"e\[0\]: expected one of \(3, 4, 6\), found 5"),
        ({"d": [4, 4, 1, 4, 4]}, r"d\[2\]: expected one of \(2, 3, 4\), found 1"),
        ({"r": 225}, r"r: expected 128, 132, ... 256, found 225"),
        ({"width": 1}, "expected a mapping with 'ks'"),
    ],
)
def test_errors_name_the_position(change, message):
    space = MobileNetV3()
    for call in (space.to_str, space.build, space.input_shape, lambda arch: space.features([LARGEST, arch])):
        with pytest.raises(InputError, match=message):
            call(LARGEST | change)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("r224|k3e3", "found 1 stages"),
        ("224|a|b|c|d|e", "expected 'r' and a number, found '224'"),
        ("r224|k3e3-k3|b|c|d|e", "expected 'e' and a number, found ''"),
        ("r224|" + "|".join(["k3e3-k9e3"] * 5), r"ks\[1\]: expected one of \(3, 5, 7\), found 9"),
        ("r224|" + "|".join(["k3e3"] * 5), r"d\[0\]: expected one of \(2, 3, 4\), found 1"),
    ],
)
def test_errors_of_texts_name_the_position(text, message):
    with pytest.raises(InputError, match=message):
        MobileNetV3().from_str(text)


def test_costs_are_the_published_ones():
    features = named_features(MobileNetV3(), LARGEST)
    assert features["macs"] == pytest.approx(566e6, abs=0.5e6)
    assert features["parameters"] == pytest.approx(7.66e6, abs=0.005e6)
