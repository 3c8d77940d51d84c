"""The report in a real browser that has no network."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from report_page import Page as Report

CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
SECTIONS = ("answer", "front", "proxy", "search", "finalists", "measured")
CHARTS = ("front-chart", "scatter-chart", "heat-chart", "search-chart", "gain-chart", "layer-chart")

pytestmark = pytest.mark.skipif(CHROMIUM is None, reason="no chromium: apt-get install chromium")


@pytest.fixture(scope="module")
def browser() -> Iterator[Any]:
    playwright = pytest.importorskip("playwright.sync_api", reason="no playwright: pip install 'nas-proxy[dev]'")
    with playwright.sync_playwright() as started:
        browser = started.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])
        yield browser
        browser.close()


class Opened:
    """The report, opened in a context of its own; all that goes wrong or is asked of a network is kept."""

    def __init__(self, browser: Any, path: Path, **context: Any) -> None:
        self.context = browser.new_context(offline=True, **context)
        self.page = self.context.new_page()
        self.complaints: list[str] = []
        self.requests: list[str] = []
        self.page.on("console", lambda message: self.complaints.append(message.text))
        self.page.on("pageerror", lambda error: self.complaints.append(str(error)))
        self.page.on("request", lambda request: self.requests.append(request.url))
        self.page.goto(path.as_uri())
        self.page.wait_for_selector("html[data-ready]", state="attached")

    def text(self, selector: str) -> str:
        return self.page.inner_text(selector)

    def front(self) -> list[float]:
        """Latencies of the front as drawn."""
        return list(self.page.evaluate("Array.from(document.getElementById('front-chart').data[1].x)"))

    def drawn(self) -> dict[str, int]:
        """Marks of each chart that are on the page: points, bars, tiles and lines."""
        marks = ".point, .points path, .js-line, .hm image"
        script = "([id, marks]) => document.getElementById(id).querySelectorAll(marks).length"
        return {chart: self.page.evaluate(script, [chart, marks]) for chart in CHARTS}


def _opened(browser: Any, page: Report, **context: Any) -> Iterator[Opened]:
    found = Opened(browser, page.path, viewport={"width": 1280, "height": 900}, **context)
    yield found
    assert found.complaints == []
    assert [url for url in found.requests if not url.startswith(("file:", "data:"))] == []
    found.context.close()


@pytest.fixture(scope="module")
def light(browser: Any, page: Report) -> Iterator[Opened]:
    yield from _opened(browser, page, color_scheme="light")


@pytest.fixture(scope="module")
def dark(browser: Any, page: Report) -> Iterator[Opened]:
    yield from _opened(browser, page, color_scheme="dark")


def test_every_section_is_filled(light: Opened) -> None:
    for section in SECTIONS:
        assert len(light.text(f"#{section}")) > 100, section
    drawn = light.drawn()
    assert all(drawn.values()), drawn


def test_choosing_another_device_changes_the_front(light: Opened, page: Report) -> None:
    light.page.select_option("#front-device", label="eyeriss")
    before = light.front()
    assert "latency on eyeriss" in light.text("#front-chart")
    assert not light.page.is_visible("#pipeline")
    light.page.select_option("#front-device", label="edge-tpu-x4")
    assert light.front() != before
    assert "latency on edge-tpu-x4" in light.text("#front-chart")
    assert light.page.input_value("#search-device") == "1"  # all choices of the device follow
    assert light.page.is_visible("#pipeline")
    assert "input 4" in light.text("#stage-chart")
    chosen = light.page.locator("#finalist option:checked").text_content()
    assert chosen == f"edge-tpu-x4: #{page.data['targets'][1]['recommendation']['network']['number']}"


def test_hover_and_lasso(light: Opened, page: Report) -> None:
    light.page.select_option("#front-device", label="eyeriss")
    chart = light.page.locator("#front-chart")
    chart.scroll_into_view_if_needed()
    point = chart.locator(".scatterlayer .trace").nth(1).locator(".point").first
    point.hover(force=True)
    light.page.wait_for_selector("#front-chart .hoverlayer .hovertext", state="attached")
    number = page.data["targets"][0]["front"]["numbers"][0]
    assert f"#{number} " in (chart.locator(".hoverlayer").text_content() or "")
    chart.locator(".modebar-btn[data-title='Lasso Select']").click()
    box = chart.locator(".nsewdrag").first.bounding_box()
    assert box is not None
    mouse, (x, y, w, h) = light.page.mouse, (box["x"], box["y"], box["width"], box["height"])
    mouse.move(x + 2, y + 2)
    mouse.down()
    for right, down in ((0.99, 0.01), (0.99, 0.99), (0.01, 0.99), (0.01, 0.01)):
        mouse.move(x + right * w, y + down * h, steps=3)
    mouse.up()
    light.page.wait_for_selector("#chosen table")
    assert light.page.locator("#chosen tbody tr").count() >= 3


def test_finalists_are_chosen(light: Opened) -> None:
    light.page.select_option("#finalist", index=8)
    assert "rewriting" in light.text("#gain-chart")
    assert light.page.locator("#measure option[disabled]").count() == 2  # a host tells neither energy nor pace
    assert "fuse-conv-bn 3×" in light.text("#spent")
    light.page.click("#gain-chart >> xpath=ancestor::div >> summary")
    assert "rewriting alone" in light.text("#gain-table")


def test_keyboard_alone(light: Opened) -> None:
    light.page.evaluate("document.activeElement.blur()")
    light.page.focus(".skip")
    assert light.page.evaluate("document.activeElement.getBoundingClientRect().left") >= 0
    light.page.select_option("#front-device", label="eyeriss")
    light.page.focus("#front-device")
    light.page.keyboard.press("ArrowDown")
    assert "latency on edge-tpu-x4" in light.text("#front-chart")
    assert light.page.evaluate("getComputedStyle(document.activeElement).outlineStyle") == "solid"
    light.page.focus("#front summary")
    light.page.keyboard.press("Enter")
    assert "architecture" in light.text("#front-table")
    charts = light.page.evaluate("document.querySelectorAll('.chart').length")
    assert light.page.evaluate("document.querySelectorAll('details.alternative').length") >= charts


def test_dark_and_light(dark: Opened) -> None:
    colours = """() => [getComputedStyle(document.body).backgroundColor,
        document.getElementById('front-chart').layout.font.color]"""
    night, day = ["rgb(20, 24, 28)", "#98a3ae"], ["rgb(251, 251, 250)", "#626c76"]
    assert dark.page.evaluate(colours) == night
    dark.page.emulate_media(color_scheme="light")  # the system changes its mind
    dark.page.wait_for_selector("#theme:text('Dark')")
    assert dark.page.evaluate(colours) == day
    dark.page.click("#theme")
    assert dark.page.evaluate(colours) == night
    dark.page.emulate_media(color_scheme="dark")
    dark.page.click("#theme")
    assert dark.page.evaluate(colours) == day
    dark.page.click("#theme")


def test_paper_is_light_and_shows_the_tables(dark: Opened, tmp_path: Path) -> None:
    state = """() => [document.querySelectorAll('details:not([open])').length,
        document.getElementById('front-chart').layout.font.color]"""
    before = dark.page.evaluate(state)
    assert before[0] > 5
    dark.page.evaluate("() => dispatchEvent(new Event('beforeprint'))")
    assert dark.page.evaluate(state) == [0, "#626c76"]
    dark.page.evaluate("() => dispatchEvent(new Event('afterprint'))")
    assert dark.page.evaluate(state) == before
    dark.page.pdf(path=tmp_path / "report.pdf")
    assert (tmp_path / "report.pdf").stat().st_size > 10_000


def test_narrow_pages_do_not_scroll_sideways(dark: Opened) -> None:
    dark.page.set_viewport_size({"width": 360, "height": 700})
    for _ in range(50):  # charts follow the window a moment later
        if (width := dark.page.evaluate("document.documentElement.scrollWidth")) <= 360:
            break
        dark.page.wait_for_timeout(100)
    assert width <= 360
