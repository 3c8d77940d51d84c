"""Pages of the site that are kept elsewhere or made from the code, so that they say what the code does.

The README is the site's start, and three other pages lie where people look for them in a repository. The reference is
made from the ``__all__`` of every public module, from the command line, and from the models that check YAML files.
"""

from __future__ import annotations

import importlib
import pkgutil
import posixpath
import re
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType
from typing import Any

import typer
from mkdocs.structure.files import File
from typer.cli import get_docs_for_click

import nas_proxy
from nas_proxy import cli

ROOT = Path(__file__).parents[1]
#: Pages of the site, and where they are kept.
ELSEWHERE = {
    "index.md": "README.md",
    "figures.md": "benchmarks/README.md",
    "contributing.md": "CONTRIBUTING.md",
    "changelog.md": "CHANGELOG.md",
}
NOT_API = {"cli", "trial"}  # they are run, not imported


def on_config(config):
    """The pages of the API join the navigation."""
    [reference] = [group["Reference"] for group in config["nav"] if "Reference" in group]
    reference.append({"API": list(_api())})
    return config


def on_files(files, config):
    made = {page: (ROOT / source).read_text(encoding="utf-8") for page, source in ELSEWHERE.items()}
    made |= _api() | {"reference/commands.md": _commands()}
    for page, content in made.items():
        files.append(File.generated(config, page, content=content))
    return files


def on_page_markdown(markdown, page, **_):
    """Links are written as they are in the repository; on the site some pages lie elsewhere."""
    uri = page.file.src_uri
    folder = posixpath.dirname(ELSEWHERE.get(uri, f"docs/{uri}"))
    pages = {source: page for page, source in ELSEWHERE.items()}

    def on_site(link: re.Match[str]) -> str:
        path = posixpath.normpath(posixpath.join(folder, link[1]))
        path = pages.get(path, path.removeprefix("docs/"))
        return f"]({posixpath.relpath(path, posixpath.dirname(uri) or '.')}"

    return re.sub(r"\]\((?!\w+:)([^)#\s]+)", on_site, markdown)


def on_page_content(html, **_):
    """Sphinx's roles in docstrings become links to what they name."""
    role = r":(?:class|func|meth|mod|attr|data|exc|obj):<code>~?([\w.]+)</code>"
    return re.sub(
        role, lambda m: f'<autoref optional identifier="{m[1]}"><code>{m[1].split(".")[-1]}</code></autoref>', html
    )


def _api() -> dict[str, str]:
    """An index, and a page for each public package or module of ``nas_proxy``; every name stands once."""
    paths: dict[int, str] = {}  # of what is documented, by identity
    pages = {"reference/api/index.md": ""}
    index = ["# API: the modules of `nas_proxy`\n", f"{nas_proxy.__doc__}\n", "| module | what it holds |", "|---|---|"]
    for info in pkgutil.iter_modules(nas_proxy.__path__):
        if info.name.startswith("_") or info.name in NOT_API:
            continue
        modules = list(_modules(f"nas_proxy.{info.name}"))
        if sections := [section for module in modules for section in _section(module, paths)]:
            pages[f"reference/api/{info.name}.md"] = "\n".join(sections)
            index.append(f"| [`{info.name}`]({info.name}.md) | {_first_sentence(modules[0])} |")
    index += ["\nWhat most people need can be had from `nas_proxy` itself:\n", "| name | what it is |", "|---|---|"]
    for thing in (getattr(nas_proxy, name) for name in dir(nas_proxy)):
        if path := paths.get(id(thing)):
            index.append(f"| [`{path.rpartition('.')[2]}`][{path}] | {_first_sentence(thing)} |")
    pages["reference/api/index.md"] = "\n".join(index)
    return pages


def _modules(name: str) -> Iterator[ModuleType]:
    """A module, then the public ones below it."""
    module = importlib.import_module(name)
    yield module
    for info in pkgutil.iter_modules(getattr(module, "__path__", []), f"{name}."):
        if not info.name.rpartition(".")[2].startswith("_"):
            yield from _modules(info.name)


def _section(module: ModuleType, paths: dict[int, str]) -> Iterator[str]:
    """A heading, what the module says of itself, and the names of its ``__all__`` that no earlier section had."""
    new = {
        id(thing): f"{module.__name__}.{name}"
        for name in getattr(module, "__all__", [])
        if id(thing := getattr(module, name)) not in paths and not isinstance(thing, ModuleType)
    }
    paths |= new
    below = "." in module.__name__.removeprefix("nas_proxy.")
    if new or not below:
        yield f"{'##' if below else '#'} `{module.__name__}`\n\n{(module.__doc__ or '').strip()}\n"
    yield from (f"::: {path}\n" for path in new.values())


def _first_sentence(thing: object) -> str:
    text = re.split(r"(?<=\.)\s|\n\n", (thing.__doc__ or "").strip())[0]
    return " ".join(text.split()).replace("|", "\\|")


def _commands() -> str:
    """Every command with its arguments and options, as ``--help`` shows them."""
    group: Any = typer.main.get_command(cli.app)
    lines = [f"# Commands\n\n{group.help}\n"]
    pages = []
    with group.make_context("nas-proxy", [], resilient_parsing=True) as context:
        for name in group.list_commands(context):
            command = group.get_command(context, name)
            if not command.hidden:
                lines.append(f"- [`{name}`](#nas-proxy-{name}): {_first_sentence(command.callback or group)}")
                pages.append(get_docs_for_click(obj=command, ctx=context, indent=1, name=name, call_prefix="nas-proxy"))
    return "\n".join([*lines, "", *pages])
