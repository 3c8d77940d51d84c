"""Any NNI model space: choices, constraints, costs learnt from few candidates, errors."""

from __future__ import annotations

import warnings
from itertools import pairwise

import numpy as np
import pytest

with warnings.catch_warnings():  # NNI and Lightning warn while they are imported
    warnings.simplefilter("ignore")
    import nni
    from nni.mutable import CategoricalMultiple, ExpressionConstraint
    from nni.nas.nn.pytorch import (
        InputChoice,
        LayerChoice,
        ModelSpace,
        MutableBatchNorm2d,
        MutableConv1d,
        MutableConv2d,
        MutableLinear,
        Repeat,
    )
    from torch import nn

from nas_proxy.errors import InputError
from nas_proxy.nni_plugin.model_space import space_from_nni
from nas_proxy.testing.spaces import CHECKS


class UserSpace(ModelSpace):
    """Widths, kernels, operators and depth, as a user would write them."""

    def __init__(self) -> None:
        super().__init__()
        width = nni.choice("width", [8, 16, 24])
        kernel = nni.choice("kernel", [1, 3, 5])
        self.stem = MutableConv2d(3, width, kernel, padding=kernel // 2, bias=False)
        self.norm = MutableBatchNorm2d(width)
        self.block = LayerChoice(
            {
                "conv": MutableConv2d(width, width, 3, padding=1),
                "depthwise": MutableConv2d(width, width, 3, padding=1, groups=width),
                "skip": nn.Identity(),
            },
            label="block",
        )
        self.tail = Repeat(lambda _: nn.Sequential(nn.ReLU(), MutableConv2d(width, width, 1)), (1, 3), label="depth")
        self.head = MutableLinear(width, 10)

    def forward(self, x):
        x = self.tail(self.block(self.norm(self.stem(x))))
        return self.head(x.mean((2, 3)))


@pytest.fixture(scope="module")
def space():
    return space_from_nni(UserSpace(), (3, 8, 8))


@pytest.mark.parametrize("check", CHECKS, ids=lambda check: check.__name__)
def test_conformance(space, check):
    check(space)


def test_choices_are_those_of_the_space(space):
    assert {label: list(options) for label, options in space.choices.items()} == {
        "width": [8, 16, 24],
        "kernel": [1, 3, 5],
        "block": ["conv", "depthwise", "skip"],
        "depth": [1, 2, 3],
    }


def test_costs_of_candidates_never_built_are_right(space):
    assert space.n_built < space.size
    features = dict(zip(space.feature_names, space.features(space.enumerate()).T, strict=True))
    macs = []
    for arch in space.enumerate():
        width, kernel, depth = arch["width"], arch["kernel"], arch["depth"]
        block = {"conv": 9 * width**2, "depthwise": 9 * width, "skip": 0}[arch["block"]]
        macs.append(64 * (3 * width * kernel**2 + block + depth * width**2) + 10 * width)
    np.testing.assert_allclose(features["macs"], macs, rtol=1e-3)
    depthwise = [arch["block"] == "depthwise" for arch in space.enumerate()]
    np.testing.assert_allclose(features["kernels_depthwise"], depthwise, atol=1e-6)
    assert space.relative_error < 0.01


def test_learning_is_deterministic(space):
    again = space_from_nni(UserSpace(), (3, 8, 8))
    archs = space.sample(10, seed=0)
    assert np.array_equal(space.features(archs), again.features(archs))


class Constrained(ModelSpace):
    """Choices that are not modules of their own, as NNI asks for them to be written."""

    def __init__(self) -> None:
        super().__init__()
        first, second = nni.choice("first", [1, 2, 3]), nni.choice("second", [1, 2, 3])
        self.add_mutable(ExpressionConstraint(first <= second, label="ordered"))
        self.add_mutable(CategoricalMultiple([4, 8, 16], n_chosen=2, label="several"))

    def freeze(self, sample):
        self.validate(sample)
        widths = [3, *sample["several"], sample["first"] * sample["second"]]
        return nn.Sequential(*(nn.Conv2d(a, b, 1) for a, b in pairwise(widths)), nn.AdaptiveAvgPool2d(1), nn.Flatten())


def test_constraints_are_kept_and_several_can_be_chosen():
    space = space_from_nni(Constrained(), (3, 4, 4))
    archs = space.enumerate()
    assert len(archs) == 6 * 3
    assert all(arch["first"] <= arch["second"] for arch in archs)
    assert {tuple(arch["several"]) for arch in archs} == {(4, 8), (4, 16), (8, 16)}
    assert len(space.sample(18, seed=0)) == 18
    with pytest.raises(InputError, match="constraints forbid"):
        space.encode([{"first": 3, "second": 1, "several": [4, 8]}])
    assert space.from_str(space.to_str(archs[0])) == archs[0]


def test_errors_name_the_label_and_what_to_do(space):
    arch = space.sample(1, seed=0)[0]
    with pytest.raises(InputError, match=r"nni:UserSpace: kernel: expected one of \[1, 3, 5\], found 7"):
        space.features([arch | {"kernel": 7}])
    with pytest.raises(InputError, match=r"missing labels \['width'\]"):
        space.build({label: option for label, option in arch.items() if label != "width"})
    with pytest.raises(InputError, match=r"does not run on an input of shape \(1, 8, 8\).*input_shape"):
        space_from_nni(UserSpace(), (1, 8, 8))


class Signals(ModelSpace):
    def __init__(self) -> None:
        super().__init__()
        width = nni.choice("width", [8, 16])
        self.conv, self.head = MutableConv1d(4, width, 3), MutableLinear(width, 3)

    def forward(self, x):
        return self.head(self.conv(x).mean(2))


def test_inputs_need_not_be_images():
    space = space_from_nni(Signals(), (4, 64))
    assert space.size == 2
    arch = {"width": 16}
    assert space.input_shape(arch) == (4, 64)
    macs = [column.name for column in space.feature_columns].index("macs")
    assert space.features([arch])[0, macs] == pytest.approx(62 * 16 * 4 * 3 + 16 * 3, rel=0.01)  # it is learnt
    with pytest.raises(InputError, match=r"input_shape.*found 0"):
        space_from_nni(Signals(), (4, 0))


class OptionalInput(ModelSpace):
    """One option of ``inputs`` is no input at all."""

    def __init__(self) -> None:
        super().__init__()
        width = nni.choice("width", [4, 8])
        self.a, self.b = MutableConv2d(3, width, 1), MutableConv2d(3, width, 3, padding=1)
        self.choice, self.head = InputChoice(2, n_chosen=None, label="inputs"), MutableLinear(width, 10)

    def forward(self, x):
        return self.head(self.choice([self.a(x), self.b(x)]).mean((2, 3)))


def test_the_choice_that_cannot_run_is_named():
    with pytest.raises(InputError, match=r"AttributeError.*another option of 'inputs': leave the option \[\] out"):
        space_from_nni(OptionalInput(), (3, 8, 8))


class Continuous(ModelSpace):
    def __init__(self) -> None:
        super().__init__()
        self.rate = nni.uniform("rate", 0.0, 1.0)
        self.add_mutable(self.rate)
        self.layer = nn.Linear(3, 3)

    def forward(self, x):
        return self.layer(x)


def test_a_continuous_choice_is_refused():
    with pytest.raises(InputError, match="rate: expected a choice among listed options"):
        space_from_nni(Continuous(), (3, 4, 4))


def test_a_space_without_choices_is_refused():
    class Fixed(ModelSpace):
        pass

    with pytest.raises(InputError, match="has no choices"):
        space_from_nni(Fixed(), (3, 4, 4))


@pytest.mark.slow
@pytest.mark.parametrize(
    ("name", "shape"),
    [
        ("NasBench201", (3, 32, 32)),
        ("MobileNetV3Space", (3, 224, 224)),
        ("ProxylessNAS", (3, 224, 224)),
        ("ShuffleNetSpace", (3, 224, 224)),
    ],
)
def test_the_hubs_spaces(name, shape):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        from nni.nas.hub import pytorch as hub

        space = space_from_nni(getattr(hub, name)(), shape)
    assert space.relative_error < 0.02
    for check in CHECKS[:-1]:
        check(space)
