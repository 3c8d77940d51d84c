"""A space's text makes the same space again, in any process."""

from __future__ import annotations

import pytest

from nas_proxy.errors import InputError, UnknownNameError
from nas_proxy.spaces import get_space, space_text
from nas_proxy.spaces.nasbench201 import NasBench201


class Own(NasBench201):
    """A user's space, not registered."""

    name = "own"


@pytest.mark.parametrize("text", ["nasbench201", "fbnet", "nasbench201(channels=4,cells=2)"])
def test_text_round_trip(text):
    assert space_text(get_space(text)) == text


def test_published_parameters_are_not_stated():
    assert space_text(get_space("nasbench201", channels=16)) == "nasbench201"
    assert get_space("nasbench201(channels=4)", cells=1).parameters["cells"] == 1


def test_own_space_is_found_by_module_and_class():
    text = space_text(Own(channels=8))
    assert text == f"{__name__}:Own(channels=8)"
    assert get_space(text) == Own(channels=8)


@pytest.mark.parametrize(
    ("text", "error", "message"),
    [
        ("nasbench201(chanels=4)", UnknownNameError, "Did you mean 'channels'"),
        ("nasbench201(channels=x)", InputError, "nasbench201: channels: expected int, found x"),
        ("nasbench201(channels=0)", InputError, "positive integer"),
        ("absent_module:Space", InputError, "an importable module:attribute"),
        (
            "pathlib:Path",
            InputError,
            "gives PosixPath: expected a SearchSpace, an instance of nas_proxy.spaces.SearchSpace",
        ),
        ("pathlib:Paht", InputError, "an importable module:attribute"),
        ("nasbench201:channels=4", InputError, r"options are written nasbench201\(channels=4"),
        (None, InputError, "expected a search space or the name of one"),
    ],
)
def test_bad_texts(text, error, message):
    with pytest.raises(error, match=message):
        get_space(text)
