"""The documentation as a site: what is looked for is found, and the reference has every name and every command."""

from __future__ import annotations

import json
import re
import subprocess
import sys
import tomllib
from pathlib import Path
from typing import Any

import pytest
import typer
import yaml

import nas_proxy
from nas_proxy import cli
from nas_proxy.search.settings import SearchSettings, Source, Target

ROOT = Path(__file__).parents[1]


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("site")
    command = [sys.executable, "-m", "mkdocs", "build", "--strict", "--site-dir", str(folder)]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr
    return folder


@pytest.mark.parametrize(
    ("word", "page"),
    [
        ("Jetson", "measure-my-device/"),
        ("Raspberry", "measure-my-device/"),
        ("API", "reference/api/"),
        ("tuner", "nni/"),
        ("hypervolume", "terms/"),
        ("schema", "reference/configuration/"),
        ("marl-without-critic", "reference/extensions/"),
        ("--target", "reference/commands/"),
    ],
)
def test_the_search_finds(site: Path, word: str, page: str) -> None:
    entries = json.loads((site / "search" / "search_index.json").read_text())["docs"]
    found = [entry["location"] for entry in entries if word.lower() in f"{entry['title']} {entry['text']}".lower()]
    assert any(location.startswith(page) for location in found), found


def test_every_public_name_is_in_the_reference(site: Path) -> None:
    index = (site / "reference" / "api" / "index.html").read_text()
    for name in dir(nas_proxy):
        if not name.startswith("_"):
            assert re.search(rf'href="[\w/]+/(?:#nas_proxy\.[\w.]+)?"[^>]*><code>{name}</code>', index), name


def test_every_command_is_in_the_reference(site: Path) -> None:
    page = (site / "reference" / "commands" / "index.html").read_text()
    group: Any = typer.main.get_command(cli.app)
    with group.make_context("nas-proxy", [], resilient_parsing=True) as context:
        for name in group.list_commands(context):
            command = group.get_command(context, name)
            assert (f'id="nas-proxy-{name}"' in page) != bool(command and command.hidden), name


def test_every_field_of_an_experiment_is_in_the_reference(site: Path) -> None:
    page = (site / "reference" / "configuration" / "index.html").read_text()
    for model in (SearchSettings, Source, Target):
        for name in model.model_fields:
            assert f"<td><code>{name}</code></td>" in page, name


def test_nothing_is_fetched_from_elsewhere(site: Path) -> None:
    for page in site.rglob("*.html"):
        assert not re.search(r'<(?:script|img|link|iframe)\b[^>]*(?:src|href)="(?:https?:)?//', page.read_text()), page


def test_the_version_is_the_same_everywhere() -> None:
    version = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["version"]
    assert yaml.safe_load((ROOT / "CITATION.cff").read_text())["version"] == version
    newest = re.search(r"^## (\S+)", (ROOT / "CHANGELOG.md").read_text(), re.MULTILINE)
    assert newest
    assert newest[1] == version


@pytest.mark.skipif("importlinter" not in (ROOT / "pyproject.toml").read_text(), reason="floors are not checked yet")
def test_the_picture_of_the_floors_is_what_is_checked() -> None:
    drawn = [sys.executable, "-c", "import _floors; print(_floors.picture(), end='')"]
    picture = subprocess.run(drawn, cwd=ROOT / "docs", check=True, capture_output=True, text=True).stdout
    assert (ROOT / "docs" / "images" / "floors.svg").read_text() == picture, "run `python docs/_floors.py`"
