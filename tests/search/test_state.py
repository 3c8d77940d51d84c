"""The state on disk is whole after any crash."""

from __future__ import annotations

import logging
from pathlib import Path

import pytest

from nas_proxy import files
from nas_proxy.errors import InputError
from nas_proxy.search.state import StateFile


def test_nothing_written() -> None:
    assert StateFile("/nowhere/search.json").read() is None


def test_last_write_is_read(tmp_path: Path) -> None:
    file = StateFile(tmp_path / "search.json")
    for number in range(3):
        file.write({"number": number})
    assert file.read() == {"number": 2}


def test_damaged_state_gives_way_to_the_previous_aloud(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    file = StateFile(tmp_path / "search.json")
    file.write({"number": 1})
    file.write({"number": 2})
    text = file.path.read_text()
    file.path.write_text(text[: len(text) // 2])
    with caplog.at_level(logging.WARNING, "nas_proxy"):
        assert file.read() == {"number": 1}
    assert "is damaged; the state before it is used" in caplog.text


def test_damaged_state_never_replaces_the_previous(tmp_path: Path) -> None:
    file = StateFile(tmp_path / "search.json")
    file.write({"number": 1})
    file.write({"number": 2})
    file.path.write_text("{")
    file.read()
    file.write({"number": 3})
    file.path.write_text("{")
    assert file.read() == {"number": 1}


def test_crash_between_the_two_renames(tmp_path: Path) -> None:
    file = StateFile(tmp_path / "search.json")
    file.write({"number": 1})
    file.path.rename(file.previous)
    assert file.read() == {"number": 1}


def test_both_damaged(tmp_path: Path) -> None:
    file = StateFile(tmp_path / "search.json")
    file.path.write_text("{")
    file.previous.write_text("")
    with pytest.raises(InputError, match="no state can be read"):
        file.read()


def test_full_disk_keeps_the_old_state(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    file = StateFile(tmp_path / "search.json")
    file.write({"number": 1})

    def full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(files.os, "fsync", full)
    with pytest.raises(InputError, match=r"No space left on device.*nothing finished is lost"):
        file.write({"number": 2})
    monkeypatch.undo()
    assert file.read() == {"number": 1}
