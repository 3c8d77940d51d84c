"""Names are looked up with close-match errors, and imported only when asked for."""

from __future__ import annotations

import math
import sys

import pytest

from nas_proxy.errors import InputError, UnknownNameError
from nas_proxy.registry import Registry


def test_entries_given_as_text_are_imported_on_first_use():
    sys.modules.pop("this", None)
    registry: Registry[object] = Registry("thing", {"path": "pathlib:Path.cwd", "plain": 3})
    assert list(registry) == ["path", "plain"]
    assert registry.get("plain") == 3
    assert callable(registry.get("path"))


def test_later_registration_replaces_earlier():
    registry: Registry[int] = Registry("thing", {"a": 1})
    registry.register("a", 2)
    assert registry.get("a") == 2
    assert "a" in registry
    assert "b" not in registry


@pytest.mark.parametrize("name", ["nasbench210", ["nasbench201"], None, 7])
def test_unknown_name_is_an_input_error_with_the_known_names(name):
    with pytest.raises(UnknownNameError, match=r"unknown search space .* Known: fbnet, nasbench201\."):
        Registry("search space", {"nasbench201": 1, "fbnet": 2}).get(name)


def test_close_match_is_named():
    with pytest.raises(InputError, match="Did you mean 'nasbench201'"):
        Registry("search space", {"nasbench201": 1, "fbnet": 2}).get("nasbench-201")


def test_long_lists_are_cut():
    error = UnknownNameError("thing", "x", [f"name{i:03}" for i in range(100)], hint="Look again.")
    assert "(100 in all)" in str(error)
    assert str(error).endswith("Look again.")


def test_what_is_not_registered_is_known_by_module_and_attribute():
    registry: Registry[object] = Registry("thing", {"plain": 3})
    assert registry.get("math:pi") == math.pi
    with pytest.raises(InputError, match="thing math:tau2: expected a known name or an importable module:attribute"):
        registry.get("math:tau2")
    with pytest.raises(InputError, match=r"thing no_such_module:x: .*No module named"):
        registry.get("no_such_module:x")
