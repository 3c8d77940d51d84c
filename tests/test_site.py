"""The documentation as a site: what is looked for is found, and the reference has every name and every command."""

from __future__ import annotations

import functools
import json
import re
import shutil
import subprocess
import sys
import threading
import tomllib
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest
import typer
import yaml
from filelock import FileLock

import nas_proxy
from nas_proxy import cli
from nas_proxy.search.settings import SearchSettings, Source, Target

ROOT = Path(__file__).parents[1]
CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")


class QuietHandler(SimpleHTTPRequestHandler):
    """Serves files, and does not write down every request."""

    def log_message(self, *_: object) -> None:
        pass


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory, worker_id: str) -> Path:
    """The site, built once for all workers of pytest-xdist."""
    own = tmp_path_factory.getbasetemp()
    folder = (own if worker_id == "master" else own.parent) / "site"
    with FileLock(f"{folder}.lock"):
        if not folder.exists():
            command = [sys.executable, "-m", "mkdocs", "build", "--strict", "--site-dir", str(folder)]
            done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True)
            if done.returncode != 0:
                shutil.rmtree(folder, ignore_errors=True)
                pytest.fail(done.stdout + done.stderr)
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


@pytest.mark.skipif(CHROMIUM is None, reason="no chromium: apt-get install chromium")
def test_the_search_works_in_a_browser_without_a_network(site: Path) -> None:
    playwright = pytest.importorskip("playwright.sync_api", reason="no playwright: pip install 'nas-proxy[dev]'")
    serve = functools.partial(QuietHandler, directory=str(site))
    with ThreadingHTTPServer(("127.0.0.1", 0), serve) as server, playwright.sync_playwright() as started:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        browser = started.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])
        page = browser.new_page()
        asked: list[str] = []
        page.on("request", lambda request: asked.append(request.url))
        page.goto(f"http://127.0.0.1:{server.server_port}/")
        for word, title in {"Jetson": "Measure my device", "API": "API", "tuner": "nas_proxy.nni_plugin"}.items():
            page.locator("input.md-search__input").fill("")
            page.locator("input.md-search__input").press_sequentially(word)
            found = page.locator(".md-search-result__item h1", has_text=title)
            playwright.expect(found.first).to_be_attached(timeout=30_000)
        browser.close()
        server.shutdown()
    assert not [
        url for url in asked if not url.startswith((f"http://127.0.0.1:{server.server_port}/", "data:", "blob:"))
    ]


def test_every_public_name_is_in_the_reference(site: Path) -> None:
    index = (site / "reference" / "api" / "index.html").read_text()
    for name in dir(nas_proxy):
        if not name.startswith("_"):
            assert re.search(rf'href="[\w/]+/(?:#nas_proxy\.[\w.]+)?"[^>]*><code>{name}</code>', index), name


def test_every_command_is_in_the_reference(site: Path) -> None:
    page = (site / "reference" / "commands" / "index.html").read_text()
    assert page.count("<h1") == 1  # no line of a help text is taken for a heading
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


def test_the_picture_of_the_floors_is_what_is_checked() -> None:
    drawn = [sys.executable, "-c", "import _floors; print(_floors.picture(), end='')"]
    picture = subprocess.run(drawn, cwd=ROOT / "docs", check=True, capture_output=True, text=True).stdout
    assert (ROOT / "docs" / "images" / "floors.svg").read_text() == picture, "run `python docs/_floors.py`"
