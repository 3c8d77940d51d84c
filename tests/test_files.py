"""Files are whole or absent."""

from __future__ import annotations

import math
import os
import stat

import pytest

from nas_proxy import files
from nas_proxy.errors import InputError


def test_written_file_has_ordinary_permissions_and_makes_its_folder(tmp_path):
    path = files.write_text(tmp_path / "new" / "a.txt", "héllo")
    assert path.read_text(encoding="utf-8") == "héllo"
    umask = os.umask(0)
    os.umask(umask)
    assert stat.S_IMODE(path.stat().st_mode) == 0o666 & ~umask


def test_failed_write_leaves_the_old_file_and_no_rubbish(tmp_path, monkeypatch):
    path = files.write_text(tmp_path / "a.txt", "old")

    def full_disk(*_):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", full_disk)
    with pytest.raises(OSError, match="No space left"):
        files.write_text(path, "new")
    assert path.read_text() == "old"
    assert os.listdir(tmp_path) == ["a.txt"]


def test_json_refuses_what_other_readers_cannot_take(tmp_path):
    with pytest.raises(ValueError, match="JSON compliant"):
        files.write_json(tmp_path / "a.json", {"x": math.nan})
    assert not (tmp_path / "a.json").exists()


def test_nothing_that_counts_is_replaced(tmp_path):
    measured, read, picture = (tmp_path / name for name in ("measured.csv", "read.csv", "picture.svg"))
    measured.write_text("# space: nasbench201\n\narch, latency_ms,target\n")
    read.write_text("arch,accuracy\n")
    picture.write_text("<svg/>")
    with pytest.raises(InputError, match="holds measurements"):
        files.require_free(measured)
    with pytest.raises(InputError, match="is read by this command"):
        files.require_free(tmp_path / "." / "read.csv", None, tmp_path / "absent", read)
    with pytest.raises(InputError, match=r"exists and is no \.html file"):
        files.require_free(picture, suffix=".html")
    files.require_free(measured, own_column="target")
    files.require_free(read, picture)
    files.require_free(tmp_path / "new.csv", suffix=".html")
    files.require_free(None, read)
