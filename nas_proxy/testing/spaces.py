"""What every search space must satisfy. In your tests::

from nas_proxy.testing.spaces import CHECKS

@pytest.mark.parametrize("check", CHECKS)
def test_my_space(check):
    check(MySpace())
"""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from nas_proxy.errors import InputError
from nas_proxy.spaces import SearchSpace

__all__ = [
    "CHECKS",
    "check_choices",
    "check_codes",
    "check_features",
    "check_foreign_architectures",
    "check_network",
    "check_sampling",
    "check_texts",
]

_SAMPLES = 20


def _samples(space: SearchSpace) -> list[Any]:
    """Some architectures, all of them where there are few."""
    return space.sample(min(_SAMPLES, len(space.enumerate())) if space.size < 1000 else _SAMPLES, seed=0)


def check_sampling(space: SearchSpace) -> None:
    """Samples are distinct and a function of the seed."""
    archs = _samples(space)
    n = len(archs)
    assert len({space.to_str(arch) for arch in archs}) == n, "samples are not distinct"
    assert space.sample(n, seed=0) == archs, "the same seed gives other samples"
    assert n < 5 or space.sample(n, seed=1) != archs, "another seed gives the same samples"
    assert space.sample(0, seed=0) == []
    _assert_refuses(lambda: space.sample(-1, seed=0), "at least 0")
    _assert_refuses(lambda: space.sample(2.0, seed=0), "integer")  # pyright: ignore[reportArgumentType]
    _assert_refuses(lambda: space.sample(2, seed=-1), "seed")
    if space.enumerable:
        _assert_refuses(lambda: space.sample(space.size + 1, seed=0), "distinct")
    else:
        _assert_refuses(space.enumerate, "sample")


def check_texts(space: SearchSpace) -> None:
    """Architectures survive their text, and the text survives JSON and CSV."""
    for arch in _samples(space):
        text = space.to_str(arch)
        assert space.from_str(text) == arch, f"{text!r} gives another architecture back"
        assert "\n" not in text, "a text must fit on a line"
        assert json.loads(json.dumps(text)) == text


def check_codes(space: SearchSpace) -> None:
    """Codes are option indices, one column a choice; sampled architectures are in canonical form."""
    archs = _samples(space)
    codes = space.encode(archs)
    assert codes.shape == (len(archs), len(space.choices))
    assert codes.dtype.kind == "i"
    assert (codes >= 0).all()
    assert (codes < [len(options) for options in space.choices.values()]).all()
    assert space.decode(codes) == archs, "an architecture does not survive encoding"
    none = space.encode([])
    assert none.shape == (0, len(space.choices)), "no architectures have codes of shape (0, choices)"
    assert none.dtype.kind == "i", "codes of no architectures are integers, too: np.array(rows, dtype=int)"


def check_choices(space: SearchSpace) -> None:
    """NNI's parameters and its search-space JSON describe the same choices; wrong ones are named."""
    described = json.loads(json.dumps(space.nni_search_space()))
    assert list(described) == list(space.choices)
    for arch in _samples(space):
        parameters = space.to_choices(arch)
        assert json.loads(json.dumps(parameters)) == parameters, "options must survive JSON"
        assert all(parameters[label] in described[label]["_value"] for label in described)
        assert space.from_choices(parameters) == arch
    label, options = next(iter(space.choices.items()))
    missing = {other: value for other, value in parameters.items() if other != label}
    _assert_refuses(lambda: space.from_choices(missing), label)
    _assert_refuses(lambda: space.from_choices(parameters | {"no_such_label": 0}), "no_such_label")
    _assert_refuses(lambda: space.from_choices(parameters | {label: "no such option"}), label, str(options[0]))


def check_features(space: SearchSpace) -> None:
    """Features are finite, documented, and a function of one architecture alone."""
    archs = _samples(space)
    features = space.features(archs)
    assert features.shape == (len(archs), len(space.feature_names))
    assert features.dtype == np.float64
    assert np.isfinite(features).all()
    assert len(set(space.feature_names)) == len(space.feature_names), "two columns have the same name"
    assert all(column.name and column.meaning and column.unit for column in space.feature_columns)
    assert np.ptp(features, axis=0).any(), "all architectures look the same"
    assert np.array_equal(space.features(archs[::-1]), features[::-1]), "features depend on the order"
    assert np.array_equal(space.features(archs[:1]), features[:1]), "features depend on the batch"
    assert space.features([]).shape == (0, len(space.feature_names))


def check_foreign_architectures(space: SearchSpace) -> None:
    """What is not of the space is refused: a text, and one architecture among others."""
    _assert_refuses(lambda: space.from_str("not an architecture"))
    foreign: Any = "not an architecture"
    for call in (space.to_str, space.build, lambda arch: space.encode([*_samples(space)[:2], arch])):
        _assert_refuses(lambda call=call: call(foreign))


def check_network(space: SearchSpace) -> None:
    """A network maps a batch to a batch, has gradients, and is the same under the same seed."""
    torch = pytest.importorskip("torch", reason="networks need torch")
    for arch in space.sample(2, seed=0):
        images = torch.randn(2, *space.input_shape(arch), generator=torch.Generator().manual_seed(0))
        torch.manual_seed(0)
        network = space.build(arch).train()
        output = network(images)
        assert output.ndim == 2, f"expected (batch, classes), found {tuple(output.shape)}"
        assert len(output) == 2, f"expected (batch, classes), found {tuple(output.shape)}"
        output.square().sum().backward()
        gradients = [parameter.grad for parameter in network.parameters() if parameter.grad is not None]
        assert any(gradient.abs().sum() > 0 for gradient in gradients), "no parameter gets a gradient"
        assert all(gradient.isfinite().all() for gradient in gradients), "a gradient is not finite"
        torch.manual_seed(0)
        again = space.build(arch).train()
        assert torch.equal(output, again(images)), "the same seed gives another network"


def _assert_refuses(call: Callable[[], Any], *words: str) -> None:
    """``call`` must raise an :class:`InputError` whose message has all ``words``."""
    message = None
    try:
        value = call()
    except InputError as error:
        message = str(error)
    wanted = f"an InputError that mentions {words}" if words else "an InputError"
    assert message is not None, f"expected {wanted}, found the result {value!r}"
    missing = [word for word in words if word not in message]
    assert not missing, f"the message {message!r} does not mention {missing}"


CHECKS: tuple[Callable[[SearchSpace], None], ...] = (
    check_sampling,
    check_texts,
    check_codes,
    check_choices,
    check_features,
    check_foreign_architectures,
    check_network,
)
