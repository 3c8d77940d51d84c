"""Records on disk: several writers, half a line, and nobody's home."""

from __future__ import annotations

import json
import re
import subprocess
import sys
import types
from pathlib import Path

import platformdirs
import pytest

from nas_proxy import cache
from nas_proxy.cache import Records, default_folder, digest, source_digest
from nas_proxy.devices.operator_times import default_table
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


def test_tests_stay_out_of_the_users_cache() -> None:
    users = platformdirs.user_cache_path("nas-proxy", appauthor=False)
    code = (
        "from nas_proxy.cache import default_folder; print(default_folder())\n"
        "from nas_proxy.devices.operator_times import default_table; print(default_table())"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    paths = [default_folder(), default_table(), *map(Path, done.stdout.split())]
    assert all(path.is_relative_to(default_folder()) for path in paths)
    assert not default_folder().is_relative_to(users)


def test_nothing_else_asks_where_caches_are() -> None:
    asking = re.compile('XDG_CACHE|NAS_PROXY_CACHE"\\]|[.]cache/|user_cache|platformdirs')
    sources = Path(cache.__file__).parent.rglob("*.py")
    assert [path.name for path in sources if asking.search(path.read_text())] == ["cache.py"]


def test_source_digest_follows_every_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    package = tmp_path / "strangers_package"
    (package / "inner" / "__pycache__").mkdir(parents=True)
    (package / "__init__.py").write_text("")
    (package / "inner" / "__init__.py").write_text("A = 1")
    monkeypatch.syspath_prepend(str(tmp_path))

    def now() -> str:
        source_digest.cache_clear()
        return source_digest("strangers_package.inner")

    seen = [now()]
    (package / "inner" / "__pycache__" / "a.pyc").write_text("compiled")
    assert now() == seen[0]
    for file, text in ("inner/__init__.py", "A = 2"), ("weights.safetensors", "1"), ("weights.safetensors", "2"):
        (package / file).write_text(text)
        seen.append(now())
    assert len(set(seen)) == 4, "what a module imports from its own package counts, too"
    assert source_digest("strangers_package.inner", "nas_proxy.cache") != seen[-1]


def test_source_digest_of_what_is_in_no_file(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "typed_by_hand", types.ModuleType("typed_by_hand"))
    first = source_digest("typed_by_hand")
    assert source_digest("typed_by_hand") == first
    source_digest.cache_clear()
    assert source_digest("typed_by_hand") != first


def test_digest_does_not_depend_on_the_order_of_fields() -> None:
    assert digest({"a": 1, "b": 2}) == digest({"b": 2, "a": 1}) != digest({"a": 1, "b": 3})
