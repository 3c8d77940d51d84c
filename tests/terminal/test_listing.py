"""What is known by name is listed, with a word on each, also what a user registers."""

from __future__ import annotations

import pytest
from typer.testing import CliRunner

from nas_proxy import extensions, resources
from nas_proxy.cli import app
from nas_proxy.errors import UnknownNameError
from nas_proxy.terminal import listing

SHIPPED = {kind: listing.names(kind) for kind in listing.kinds()}  # before a test registers its own


@pytest.mark.parametrize(("kind", "names"), SHIPPED.items(), ids=list(SHIPPED))
def test_everything_that_ships_is_described_in_a_sentence(kind, names):
    assert names == sorted(names)
    for name in names:
        described = listing.describe(kind, name)
        assert described
        assert not set("\n`") & set(described)


def test_descriptions():
    assert listing.describe("devices", "eyeriss") == "Eyeriss, row stationary, 16 bit, 65 nm"
    assert listing.describe("devices", "host-torch").startswith("This machine under eager PyTorch")
    assert listing.describe("mappers", "genetic-with-critic").endswith("With critic=true.")
    assert listing.describe("policies", "rewriter").startswith("The graph rewriter, on random graphs")
    assert listing.describe("device_kinds", "host").startswith("This machine, running networks")
    assert listing.describe("rules", "dead-code")


class Mine:
    """Mine alone.

    Not this.

    Args:
        size: how large ``it`` is.
    """

    def __init__(self, size: int, way: str = "up") -> None: ...


def test_what_a_user_registers_is_listed(monkeypatch):
    extensions.register("mappers", "mine", "test_listing:Mine")
    assert "mine" in listing.names("mappers")
    assert listing.describe("mappers", "mine") == "Mine alone. (from this process)"
    assert listing.options("mappers", "mine") == ["size=...", "way=up"]
    monkeypatch.setenv("COLUMNS", "200")
    shown = CliRunner().invoke(app, ["list", "mappers", "mine"]).output
    assert "how large it is." in shown
    assert "needed" in shown


def test_what_needs_an_extra_is_listed_too():
    extensions.register("mappers", "mine", "not_there:Mapper")
    assert listing.describe("mappers", "mine").startswith("not installed: No module named 'not_there'")
    assert listing.options("mappers", "mine") == []


def test_a_file_has_no_table_of_options():
    assert listing.listing_page("devices", "eyeriss").blocks == ["eyeriss: Eyeriss, row stationary, 16 bit, 65 nm"]


def test_unknown_kind():
    for asked in (listing.names, lambda kind: listing.describe(kind, "x")):
        with pytest.raises(UnknownNameError, match="Did you mean 'mappers'"):
            asked("maper")


def test_command(monkeypatch):
    monkeypatch.setenv("COLUMNS", "200")
    shown = CliRunner().invoke(app, ["list"]).output
    assert all(kind in shown for kind in listing.kinds())
    shown = CliRunner().invoke(app, ["list", "devices"]).output
    assert all(name in shown for name in resources.names("devices"))
    assert "Eyeriss, row stationary" in shown
