"""What is known by name is listed, with a word on each, also what a user registers."""

from __future__ import annotations

import pytest
from typer.testing import CliRunner

from nas_proxy import resources
from nas_proxy.cli import app
from nas_proxy.errors import UnknownNameError
from nas_proxy.mapping.mappers import mappers
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
    assert listing.describe("mappers", "genetic-with-critic").endswith("With critic=True.")
    assert listing.describe("policies", "rewriter").startswith("The graph rewriter as a task")


class Mine:
    """Mine alone.

    Not this.
    """


def test_what_a_user_registers_is_listed(monkeypatch):
    monkeypatch.setattr(mappers, "_entries", mappers._entries.copy())
    mappers.register("mine", "test_listing:Mine")
    assert "mine" in listing.names("mappers")
    assert listing.describe("mappers", "mine") == "Mine alone."


def test_what_needs_an_extra_is_listed_too(monkeypatch):
    monkeypatch.setattr(mappers, "_entries", {"mine": "not_there:Mapper"})
    assert listing.describe("mappers", "mine") == "not installed: No module named 'not_there'"


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
