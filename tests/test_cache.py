"""Records on disk: several writers, half a line, and nobody's home."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

from nas_proxy.cache import Records, default_folder, digest
from nas_proxy.errors import InputError


def test_values_come_back_also_to_others(tmp_path: Path) -> None:
    ours, others = (Records(tmp_path / "a.jsonl") for _ in range(2))
    assert ours.get("x") is None
    others.put("x", {"n": [1, 2]})
    assert ours.get("x") == {"n": [1, 2]}
    ours.put("x", 3)
    assert Records(tmp_path / "a.jsonl").get("x") == 3


def test_half_a_line_is_passed_over_and_not_continued(tmp_path: Path) -> None:
    path = tmp_path / "a.jsonl"
    Records(path).put("x", 1)
    with path.open("a") as file:
        file.write('{"key": "y", "val')  # killed here
    records = Records(path)
    assert (records.get("x"), records.get("y")) == (1, None)
    records.put("z", 2)
    assert [Records(path).get(key) for key in "xyz"] == [1, None, 2]


def test_lines_that_are_something_else_are_passed_over(tmp_path: Path) -> None:
    path = tmp_path / "a.jsonl"
    path.write_bytes(b'[1]\n\xff\xfe\n{"key": "x", "value": 1}\n{"key": "y"}\n')
    assert (Records(path).get("x"), Records(path).get("y")) == (1, None)


def test_several_processes_lose_nothing(tmp_path: Path) -> None:
    code = "import sys; from nas_proxy.cache import Records; r = Records(sys.argv[1])\n"
    code += "for i in range(50): r.put(f'{sys.argv[2]} {i}', 'long' * 1000)"
    command = [sys.executable, "-c", code, str(tmp_path / "a.jsonl")]
    running = [subprocess.Popen([*command, str(which)]) for which in range(2)]
    assert [process.wait() for process in running] == [0, 0]
    lines = (tmp_path / "a.jsonl").read_text().splitlines()
    assert len({json.loads(line)["key"] for line in lines}) == 100


def test_a_folder_that_cannot_be_written(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(InputError, match=r"results cannot be kept there.*--cache"):
        Records(tmp_path / "file" / "a.jsonl").put("x", 1)


def test_default_folder(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("NAS_PROXY_CACHE", "/own")
    assert default_folder() == Path("/own")
    monkeypatch.delenv("NAS_PROXY_CACHE")
    monkeypatch.setenv("XDG_CACHE_HOME", "/xdg")
    assert default_folder() == Path("/xdg/nas-proxy")


def test_digest_does_not_depend_on_the_order_of_fields() -> None:
    assert digest({"a": 1, "b": 2}) == digest({"b": 2, "a": 1}) != digest({"a": 1, "b": 3})
