"""The reference, made from the code: the API, the commands, the fields of YAML files, and what is known by name."""

from __future__ import annotations

import importlib
import json
import pkgutil
import re
from collections.abc import Iterator, Mapping
from types import ModuleType
from typing import Any

import typer
from typer.cli import get_docs_for_click

import nas_proxy
from nas_proxy import cli, extensions
from nas_proxy.cli.schemas import device_models
from nas_proxy.errors import MissingDependencyError
from nas_proxy.search.settings import SearchSettings

NOT_API = {"cli", "trial"}  # they are run, not imported


def api() -> dict[str, str]:
    """An index, and a page for each public package or module of ``nas_proxy``; every name stands once."""
    paths: dict[int, str] = {}  # of what is documented, by identity
    pages = {"reference/api/index.md": ""}
    index = ["# API: the modules of `nas_proxy`\n", f"{nas_proxy.__doc__}\n", "| module | what it holds |", "|---|---|"]
    for info in pkgutil.iter_modules(nas_proxy.__path__):
        if info.name.startswith("_") or info.name in NOT_API:
            continue
        modules = dict(_modules(f"nas_proxy.{info.name}"))
        sections = [section for name, module in modules.items() for section in _section(name, module, paths)]
        pages[f"reference/api/{info.name}.md"] = "\n".join(sections)
        index.append(f"| [`{info.name}`]({info.name}.md) | {_first_sentence(modules[f'nas_proxy.{info.name}'])} |")
    index += ["\nWhat most people need can be had from `nas_proxy` itself:\n", "| name | what it is |", "|---|---|"]
    for thing in (getattr(nas_proxy, name) for name in dir(nas_proxy)):
        if path := paths.get(id(thing)):
            index.append(f"| [`{path.rpartition('.')[2]}`][{path}] | {_first_sentence(thing)} |")
    pages["reference/api/index.md"] = "\n".join(index)
    return pages


def _modules(name: str) -> Iterator[tuple[str, ModuleType | None]]:
    """A module, then the public ones below it; None for one that needs a library which is not installed."""
    try:
        module = importlib.import_module(name)
    except MissingDependencyError:
        yield name, None
        return
    yield name, module
    for info in pkgutil.iter_modules(getattr(module, "__path__", []), f"{name}."):
        if not info.name.rpartition(".")[2].startswith("_"):
            yield from _modules(info.name)


def _section(name: str, module: ModuleType | None, paths: dict[int, str]) -> Iterator[str]:
    """A heading, what the module says of itself, and the names of its ``__all__`` that no earlier section had."""
    below = "." in name.removeprefix("nas_proxy.")
    heading = f"{'##' if below else '#'} `{name}`\n"
    if module is None:
        yield f"{heading}\n::: {name}\n    options: {{show_root_heading: false, show_root_toc_entry: false}}\n"
        return
    new = {
        id(thing): f"{name}.{public}"
        for public in getattr(module, "__all__", [])
        if id(thing := getattr(module, public)) not in paths and not isinstance(thing, ModuleType)
    }
    paths |= new
    if new or not below:
        yield f"{heading}\n{(module.__doc__ or '').strip()}\n"
    yield from (f"::: {path}\n" for path in new.values())


def _first_sentence(thing: object) -> str:
    return _words(re.split(r"(?<=\.)\s|\n\n", (thing.__doc__ or "").strip())[0])


def commands() -> str:
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


def configuration() -> str:
    """The fields of an experiment and of each kind of device, from the models that check them."""
    lines = [
        "# Configuration\n",
        "What may stand in YAML files. A field without a default must be given. A field that is unknown, or of a wrong",
        "type, is an error that names it. `nas-proxy schema` prints the same as JSON Schema, so that your editor can",
        "[complete and check](../add-a-device.md#let-your-editor-help) what you write.\n",
        "## Experiments: the tuner's `classArgs`\n",
        "The other keys of an experiment are NNI's.\n",
        *_fields(SearchSettings.model_json_schema()),
    ]
    for kind, model in device_models().items():
        lines += [f"## Devices of kind `{kind}`\n", extensions.describe("device_kinds", kind), ""]
        lines += _fields(model.model_json_schema()) if model else ["This kind does not say which fields it has.\n"]
    return "\n".join(lines)


def _fields(schema: Mapping[str, Any]) -> Iterator[str]:
    """A table of the fields of a model, then one for each model inside it."""
    yield from _table(schema)
    for name, inner in schema.get("$defs", {}).items():
        if "properties" in inner:
            yield f"`{name}`: {_words(inner.get('description', ''))}\n"
            yield from _table(inner)


def _table(schema: Mapping[str, Any]) -> Iterator[str]:
    yield from ("| field | type | default | what it is |", "|---|---|---|---|")
    for name, field in schema["properties"].items():
        default = "required" if name in schema.get("required", []) else f"`{json.dumps(field.get('default'))}`"
        yield f"| `{name}` | {_type(field)} | {default} | {_words(field.get('description', ''))} |"
    yield ""


def _type(field: Mapping[str, Any]) -> str:
    """A type of JSON Schema in words, with the limits of a number."""
    if "$ref" in field:
        return f"`{field['$ref'].rpartition('/')[2]}`"
    if alternatives := field.get("anyOf") or field.get("allOf") or field.get("oneOf"):
        return " or ".join(dict.fromkeys(map(_type, alternatives)))
    if "const" in field or "enum" in field:
        return " or ".join(f"`{value}`" for value in field.get("enum", [field.get("const")]))
    if field.get("type") == "array":
        return f"list of {_type(field.get('items', {}))}"
    if field.get("type") == "object":
        return f"mapping to {_type(field.get('additionalProperties', {}))}"
    signs = {"minimum": "≥", "exclusiveMinimum": ">", "maximum": "≤", "exclusiveMaximum": "<"}
    limits = "".join(f" {sign} {field[limit]}" for limit, sign in signs.items() if limit in field)
    kind = str(field.get("type", "anything"))
    return {"string": "text", "null": "none", "boolean": "true or false"}.get(kind, kind) + limits


def extension_points() -> str:
    """All names at each extension point, with their options."""
    lines = ["# What is known by name\n", "`nas-proxy list` shows the same, and what plug-ins add.\n"]
    for point in extensions.POINTS.values():
        says = f"{point.says[0].upper()}{point.says[1:]}"
        lines += [
            f"## `{point.name}`\n",
            f"{says}. [Write your own](../{point.page}.md); `{point.suite}.CHECKS` tests it.\n",
            "| name | what it is | options |",
            "|---|---|---|",
        ]
        for name in extensions.names(point.name):
            options = "<br>".join(f"`{_words(str(option))}`" for option in extensions.options(point.name, name))
            lines.append(f"| `{name}` | {_words(extensions.describe(point.name, name))} | {options} |")
        lines.append("")
    return "\n".join(lines)


def _words(text: str) -> str:
    """A text as it can stand in a cell of a table."""
    return " ".join(text.split()).replace("|", "\\|")
