"""Every help text can be read alone, and a command costs no library before it is called."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from typing import Any

import pytest
import typer

from nas_proxy.cli import app
from nas_proxy.devices import Workers
from nas_proxy.errors import InputError


def _commands(command: Any, name: str) -> Iterator[tuple[str, Any]]:
    for key, found in getattr(command, "commands", {}).items():
        yield from _commands(found, f"{name} {key}".strip())
    if name:
        yield name, command


COMMANDS = dict(_commands(typer.main.get_command(app), ""))


@pytest.mark.parametrize("name", COMMANDS)
def test_every_option_says_what_it_is_in_sentences(name):
    command = COMMANDS[name]
    assert command.help
    for parameter in command.params:
        if parameter.name in ("help", "install_completion", "show_completion"):
            continue
        said = parameter.help
        assert said, f"{name} {parameter.name} has no help"
        assert said[0].isupper(), f"{name} {parameter.name}: {said}"
        assert said.endswith("."), f"{name} {parameter.name}: {said}"
        for word in ("likewise", "Of the ", "those"):
            assert not said.startswith(word), f"{name} {parameter.name}: {said}"


def test_the_help_of_backend_names_those_that_are_taken():
    [option] = [each for each in COMMANDS["measure"].params if each.name == "backend"]
    with pytest.raises(InputError) as refused:
        Workers(2, "nothing")
    known = str(refused.value).partition("Known: ")[2].rstrip(".").split(", ")
    assert {"loky", "ray"} <= set(known)
    assert [name for name in known if name not in option.help] == []


@pytest.mark.parametrize("arguments", [["--help"], ["list"], ["measure", "--help"]])
def test_no_heavy_library_at_start(arguments):
    heavy = ("torch", "pandas", "scipy", "sklearn", "nni", "onnx", "matplotlib", "numba")
    program = (
        "import sys\nfrom nas_proxy.cli import app\n"
        f"try: app({arguments!r})\nexcept SystemExit: pass\n"
        f"print([name for name in {heavy!r} if name in sys.modules], file=sys.stderr)"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert done.stderr.strip() == "[]"
