"""Every registered space satisfies the conformance suite, and its search-space file is up to date."""

from __future__ import annotations

import json

import pytest

from nas_proxy import extensions, resources
from nas_proxy.errors import InputError, UnknownNameError
from nas_proxy.spaces import get_space
from nas_proxy.spaces.nasbench201 import NasBench201
from nas_proxy.testing.spaces import CHECKS


@pytest.mark.parametrize(
    "name", [name for name in extensions.names("spaces") if name != "timm"]
)  # has its own, of small networks
@pytest.mark.parametrize("check", CHECKS, ids=lambda check: check.__name__)
def test_conformance(name, check):
    check(get_space(name))


@pytest.mark.parametrize("name", extensions.names("spaces"))
@pytest.mark.parametrize("foreign", ["not an architecture", None, 3.5], ids=repr)
def test_what_is_no_architecture_is_refused_with_the_name_of_the_space(name, foreign):
    space = get_space(name)
    for call in (space.from_str, space.to_str, space.build, lambda arch: space.encode([arch])):
        with pytest.raises(InputError, match=space.name):
            call(foreign)


@pytest.mark.parametrize("name", resources.names("search_spaces"))
def test_search_space_file_is_what_the_space_says(name):
    assert json.loads(resources.find("search_spaces", name).read_text()) == get_space(name).nni_search_space()


def test_every_listed_space_has_its_file():
    assert {"fbnet", "nasbench201"} <= set(resources.names("search_spaces"))


def test_an_unknown_space_is_answered_with_the_closest():
    with pytest.raises(UnknownNameError, match="Did you mean 'nasbench201'"):
        get_space("nasbench-201")


def test_a_space_of_ones_own_can_be_registered():
    extensions.register("spaces", "mine", NasBench201)
    assert isinstance(get_space("mine"), NasBench201)
    extensions.register("spaces", "later", "nas_proxy.spaces.fbnet:FBNet")
    assert get_space("later", classes=10).parameters["classes"] == 10
    assert {"later", "mine"} < set(extensions.names("spaces"))


def test_parameters_are_checked():
    space = get_space("nasbench201", channels=4)
    assert space.parameters["channels"] == 4
    assert space == NasBench201(channels=4)
    with pytest.raises(
        UnknownNameError, match=r"option of search space nasbench201 'chanels'. Did you mean 'channels'"
    ):
        get_space("nasbench201", chanels=4)
    for wrong in (0, -1, 2.0, "4", True):
        with pytest.raises(ValueError, match="channels must be a positive integer"):
            get_space("nasbench201", channels=wrong)
    with pytest.raises(ValueError, match="image_size must be a multiple of 4, found 30"):
        get_space("nasbench201", image_size=30)
