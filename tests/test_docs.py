"""Every block of code in the README and the docs does what the page says, in the order of the page."""

from __future__ import annotations

import os
import pkgutil
import re
import shlex
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import redirect_stdout
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
import typer
import yaml

from nas_proxy import cli, extensions, resources
from nas_proxy.devices import get_device
from nas_proxy.search.settings import SearchSettings

ROOT = Path(__file__).parents[1]
PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md"))]
PAGES.remove(ROOT / "docs" / "other-hosts.md")  # tests/adapters/test_host_examples.py runs it
PICTURES = {"text", "console-output"}  # what a program prints

#: What is run elsewhere, and where.
ELSEWHERE = {
    "nas-proxy run": "tests/nni_plugin",
    "nas-proxy report": "tests/report",
    "nas-proxy compress": "tests/compression",
    "nnictl": "tests/nni_plugin/test_run.py",
    "--backend ray": "tests/devices",
    "export --space timm": "tests/devices",
    "--proxy ...": "tests/ranking",
    "pip install": ".ci/check-wheel",
    "NasExperiment(": "examples/proxy_strategy.py",
    "RangeProfilerFilter(": "examples/latency_profiler.py",
}
#: Shown as it is used, run with less.
SMALLER = {
    r"-n 60\b": "-n 12",
    r"-n 20\b": "-n 5",
    r"-n 200\b": "-n 3",
    r"--jobs -1": "--jobs 1",
    r"3, 224, 224\)": "3, 32, 32)",
}


@dataclass
class Reader:
    """Someone who follows a page in an empty folder; ``names`` are what a page's Python takes for granted."""

    folder: Path
    measurements: Callable[..., Path]
    names: dict[str, Any] = field(default_factory=dict)
    before_each: Callable[[], None] = lambda: None

    def follow(self, language: str, code: str) -> None:
        self.before_each()
        for shown, run in SMALLER.items():
            code = re.sub(shown, run, code)
        if language == "python" and not any(known in code for known in ELSEWHERE):
            exec(compile(code, "<page>", "exec"), self.names)
        elif language == "python":
            compile(code, "<page>", "exec")
        elif language == "yaml":
            self._file(code)
        elif language in ("bash", "console"):
            for command in _commands(code):
                self._command(command)
        else:
            assert language in PICTURES, f"a block in {language or 'no language'}: say which it is"

    def _command(self, command: str) -> None:
        if any(known in command for known in ELSEWHERE):
            return
        program, *arguments = shlex.split(command, comments=True)
        if program == "make":
            subprocess.run(["make", "--dry-run", *arguments], cwd=ROOT, check=True, capture_output=True)
        elif program == "pytest":
            assert all((ROOT / path).exists() for path in arguments if not path.startswith("-"))
        else:
            assert program == "nas-proxy", command
            arguments, output = (arguments[:-2], arguments[-1]) if ">" in arguments else (arguments, os.devnull)
            with open(output, "w") as file, redirect_stdout(file):
                typer.main.get_command(cli.app)(arguments, standalone_mode=False)

    def _file(self, code: str) -> None:
        data = yaml.safe_load(code)
        if "kind" in data:
            path = self.folder / "page.yaml"
            path.write_text(code)
            get_device(path)
        else:
            SearchSettings.read(data["tuner"]["classArgs"], base=self.folder)


def _commands(code: str) -> Iterator[str]:
    for line in code.replace("\\\n", " ").splitlines():
        if line := line.removeprefix("$ ").strip():
            yield line


def _blocks(page: Path) -> list[tuple[str, str]]:
    return re.findall(r"^```(\w*)\n(.*?)^```$", page.read_text(encoding="utf-8"), re.MULTILINE | re.DOTALL)


def _timm_results(reader: Reader) -> None:
    """timm's tables, downloaded, and a network of the reader's own."""
    for path in reader.measurements("timm").glob("*.csv"):
        shutil.copy(path, reader.folder)
    (reader.folder / "mynetworks.py").write_text(
        "from torch import nn\n\ndef small_net():\n    return nn.Conv2d(3, 4, 3)\n"
    )
    _measured_in(reader, reader.folder / "phone.csv")


def _small_network(reader: Reader) -> None:
    """``net`` and ``model.onnx``."""
    import torch
    from torch import nn

    from nas_proxy.graph import from_torch, save_onnx

    layers = [nn.Conv2d(3, 8, 3, 2, 1), nn.BatchNorm2d(8), nn.ReLU(), nn.Conv2d(8, 8, 3, padding=1)]
    reader.names["net"] = nn.Sequential(*layers, nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(8, 4)).eval()
    with torch.no_grad():
        save_onnx(from_torch(reader.names["net"], (1, 3, 32, 32)), reader.folder / "model.onnx")


def _my_space(reader: Reader) -> None:
    """The page's first block, saved as the page says."""
    (reader.folder / "my_space.py").write_text(_blocks(ROOT / "docs" / "add-a-space.md")[0][1])


def _measured_there(reader: Reader) -> None:
    _measured_in(reader, reader.folder / "to-measure" / "latencies.csv")


def _measured_in(reader: Reader, path: Path) -> None:
    """Someone fills in the CSV as soon as it is there: here, with latencies in proportion to the line's number."""

    def fill() -> None:
        lines = path.read_text().splitlines() if path.exists() else []
        done = [re.sub(r",$", f",{1 + i / 7}", line) for i, line in enumerate(lines)]
        path.write_text("\n".join(done) + "\n") if done else None

    reader.before_each = fill


def _hasty_devices(folder: Path) -> Path:
    """The shipped devices, but this machine is timed only as long as a median with an interval takes."""
    shutil.copytree(ROOT / "devices", folder)
    for path in folder.glob("host-*.yaml"):
        text = re.sub(r"(min_turns|max_turns): \d+", r"\1: 6", path.read_text())
        text = re.sub(r"min_seconds: [\d.]+", "min_seconds: 0.0", text)
        path.write_text(re.sub(r"(warm_up_runs|runs_per_turn): \d+", r"\1: 1", text))
    return folder


def _phone(reader: Reader) -> None:
    (reader.folder / "my-phone.csv").write_text("arch,latency_ms\n" + f"{'|nor_conv_1x1~0|+' + _CELL},2.5\n")


_CELL = "|none~0|none~1|+|skip_connect~0|none~1|none~2|"
PREPARE: dict[str, Callable[[Reader], None]] = {
    "add-a-space.md": _my_space,
    "add-a-device.md": _phone,
    "measure-my-device.md": _measured_there,
    "how-the-ranking-works.md": lambda reader: reader.names.update(DATA=reader.measurements()),
    "rank-pretrained-networks.md": _timm_results,
    "mapping.md": _small_network,
    "scheduling.md": _small_network,
    "rewriting.md": _small_network,
}


PROSE = [*PAGES, ROOT / "CONTRIBUTING.md", ROOT / "benchmarks" / "README.md"]


@pytest.mark.filterwarnings("ignore")  # what other libraries say while they are imported
@pytest.mark.parametrize("page", PROSE, ids=lambda page: f"{page.parent.name}-{page.stem}")
def test_what_a_page_names_is_there(page: Path) -> None:
    """Files and names of the project in code spans; a moved module makes a page wrong otherwise."""
    text = re.sub(r"^```.*?^```$", "", page.read_text(encoding="utf-8"), flags=re.MULTILINE | re.DOTALL)
    spans = re.findall(r"`([^`\n]+)`", text)
    for path in (span for span in spans if re.fullmatch(r"(nas_proxy|benchmarks|tests|docs|configs)/[\w/.-]+", span)):
        assert (ROOT / path).exists(), path
    for name in (found[0] for span in spans if (found := re.match(r"nas_proxy(\.\w+)+", span))):
        if name.removeprefix("nas_proxy.") not in extensions.POINTS:  # a group of entry points
            pkgutil.resolve_name(name)


@pytest.mark.filterwarnings("ignore")  # what other libraries say while they are imported
@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.stem)
def test_page(page: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, measurements: Callable[..., Path]) -> None:
    devices = _hasty_devices(tmp_path / "devices")
    folder = tmp_path / "reader"
    folder.mkdir()
    monkeypatch.chdir(folder)
    monkeypatch.setenv("NAS_PROXY_CACHE", str(tmp_path / "cache"))
    monkeypatch.setenv("COLUMNS", "120")
    find = resources._folder
    monkeypatch.setattr(resources, "_folder", lambda kind: devices if kind == "devices" else find(kind))
    monkeypatch.setattr(sys, "path", [str(folder), *sys.path])
    reader = Reader(folder, measurements)
    PREPARE.get(page.name, lambda _: None)(reader)
    for language, code in _blocks(page):
        reader.follow(language, code)


def test_what_the_page_on_extensions_writes_passes_the_conformance_suites(
    measurements: Callable[..., Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its tests, run."""
    monkeypatch.chdir(tmp_path)
    reader = Reader(tmp_path, measurements)
    for language, code in _blocks(ROOT / "docs" / "write-your-own.md"):
        reader.follow(language, code)
    tests = [function for name, function in reader.names.items() if name.startswith("test_my_")]
    assert len(tests) == 7
    for function in tests:
        [mark] = function.pytestmark
        for check in mark.args[1]:
            function(check)


def test_the_space_on_the_page_on_spaces_passes_the_conformance_suite() -> None:
    """Its first example and its test, run."""
    names: dict[str, Any] = {}
    python = [code for language, code in _blocks(ROOT / "docs" / "add-a-space.md") if language == "python"]
    for code in python[:2]:
        exec(compile(code, "<page>", "exec"), names)
    [mark] = names["test_my_space"].pytestmark
    for check in mark.args[1]:
        names["test_my_space"](check)


def test_the_device_on_the_page_on_devices_passes_the_conformance_suite(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its test, run."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("NAS_PROXY_CACHE", str(tmp_path / "cache"))
    reader = Reader(tmp_path, lambda *_: tmp_path)
    for language, code in _blocks(ROOT / "docs" / "add-a-device.md"):
        if language == "python":
            reader.follow(language, code)
    function = reader.names["test_my_chip"]
    [mark] = function.pytestmark
    for check in mark.args[1]:
        function(check)
