"""Shipped files are found by name, the user's own by path."""

from __future__ import annotations

import pytest

from nas_proxy import resources
from nas_proxy.errors import InputError, UnknownNameError


@pytest.mark.parametrize("kind", ["devices", "search_spaces", "configs"])
def test_every_shipped_file_is_found_by_its_name(kind):
    assert resources.names(kind)
    for name in resources.names(kind):
        assert resources.find(kind, name).stem == name


def test_own_file_is_found_by_path(tmp_path):
    path = tmp_path / "mine.yaml"
    path.write_text("kind: host")
    assert resources.find("devices", path) == path


def test_absent_path_is_named():
    with pytest.raises(InputError, match=r"no file 'nowhere/mine.yaml'"):
        resources.find("devices", "nowhere/mine.yaml")


def test_misspelt_name_gets_the_closest():
    with pytest.raises(UnknownNameError, match="Did you mean 'host-torch'"):
        resources.find("devices", "host-torc")


def test_what_is_no_name():
    with pytest.raises(InputError, match="expected the name or path of a device, found None"):
        resources.find("devices", None)  # type: ignore[arg-type]
