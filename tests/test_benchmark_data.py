"""``python -m benchmarks.data``, tried on a repository on this disk."""

from __future__ import annotations

import hashlib
import subprocess
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from benchmarks import data
from benchmarks.data import MissingDataError, Published, get, read_table


@pytest.fixture
def published(tmp_path: Path) -> Published:
    """A file of a repository's first commit, which its second changes."""
    repository = tmp_path / "published"
    (repository / "data").mkdir(parents=True)

    def git(*arguments: str) -> str:
        names = ["-c", "user.name=a", "-c", "user.email=a@b.c", "-c", "commit.gpgsign=false"]
        done = subprocess.run(["git", *names, *arguments], cwd=repository, check=True, capture_output=True, text=True)
        return done.stdout.strip()

    git("init", "--quiet")
    git("config", "uploadpack.allowFilter", "true")
    git("config", "uploadpack.allowAnySHA1InWant", "true")
    (repository / "large.bin").write_bytes(b"not wanted")
    for text in ("measured", "measured again"):
        (repository / "data" / "phone.csv").write_text(text)
        git("add", ".")
        git("commit", "--quiet", "-m", text)
    sha256 = hashlib.sha256(b"measured").hexdigest()
    first = git("rev-parse", "HEAD~1")
    return Published("phones/phone.csv", sha256, repository.as_uri(), first, "data/phone.csv", note="")


def test_a_file_is_fetched_from_its_commit_once(published: Published, tmp_path: Path) -> None:
    folder = tmp_path / "data"
    assert get([published], folder) == []
    assert [path.relative_to(folder) for path in folder.rglob("*") if path.is_file()] == [Path(published.file)]
    assert (folder / published.file).read_text() == "measured"
    assert get([replace(published, repository="file:///nowhere")], folder) == []  # it is there: nothing is fetched


def test_what_is_published_but_not_what_the_table_says_is_not_taken(published: Published, tmp_path: Path) -> None:
    [problem] = get([replace(published, sha256="0" * 64)], tmp_path / "data")
    assert "not taken" in problem
    assert not (tmp_path / "data").exists()


def test_a_file_that_was_changed_is_said_and_kept(published: Published, tmp_path: Path) -> None:
    path = tmp_path / published.file
    path.parent.mkdir()
    path.write_text("mine")
    [problem] = get([published], tmp_path)
    assert "remove it to fetch it again" in problem
    assert path.read_text() == "mine"


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"repository": "file:///nowhere"}, "1 file(s) of file:///nowhere: git fetch failed"),
        ({"path": "data/other.csv"}, "has no data/other.csv at commit"),
        ({"commit": "", "note": "the commit is not known"}, "cannot be fetched: the commit is not known"),
    ],
)
def test_what_cannot_be_fetched_is_said(
    published: Published, tmp_path: Path, change: dict[str, str], said: str
) -> None:
    [problem] = get([replace(published, **change)], tmp_path / "data")
    assert said in problem


def test_the_table_says_of_every_file_where_it_is_from_or_why_that_is_not_known() -> None:
    files = read_table()
    assert len({file.file for file in files}) == len(files)
    for file in files:
        assert len(file.sha256) == 64
        assert not Path(file.file).is_absolute()
        assert ".." not in Path(file.file).parts
        assert (file.repository.startswith("https://") and len(file.commit) == 40 and file.path) or file.note


def test_measurements_that_are_here_are_those_of_the_table(measurements: Callable[..., Path]) -> None:
    folder = measurements()
    files = [file for file in read_table() if (folder / file.file).exists()]
    assert get(files, folder) == []


def test_absent_measurements_name_the_command(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("NAS_PROXY_DATA", str(tmp_path))
    with pytest.raises(MissingDataError, match=r"python -m benchmarks\.data"):
        data.measurements("help", "fbnet")
