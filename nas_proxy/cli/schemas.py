"""The command that prints what a YAML file may hold, for editors that complete and check it."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Annotated, Any

import typer

if TYPE_CHECKING:
    from pydantic import BaseModel

__all__ = ["SCHEMAS", "app", "device_models", "device_schema", "experiment_schema"]

app = typer.Typer()
_DRAFT = "https://json-schema.org/draft/2020-12/schema"


def device_models() -> dict[str, type[BaseModel] | None]:
    """The model of each kind of device, those of plug-ins included; None for a kind that states none or is broken."""
    from nas_proxy import extensions
    from nas_proxy.errors import NasProxyError

    models: dict[str, type[BaseModel] | None] = {}
    for kind in extensions.names("device_kinds"):
        try:
            entry = extensions.lookup("device_kinds", kind)
        except NasProxyError:
            entry = None
        models[kind] = getattr(getattr(entry, "__self__", entry), "Spec", None)
    return models


def device_schema() -> dict[str, Any]:
    """JSON Schema of a device's YAML file: its field ``kind`` decides which other fields there are."""
    from pydantic.json_schema import models_json_schema

    models = device_models()
    known = [(model, "validation") for model in models.values() if model is not None]
    references, definitions = models_json_schema(known)  # pyright: ignore[reportArgumentType]
    branches = [
        {
            "if": {"properties": {"kind": {"const": kind}}, "required": ["kind"]},
            "then": references[model, "validation"],
        }
        for kind, model in models.items()
        if model is not None
    ]
    return {
        "$schema": _DRAFT,
        "title": "A device of nas-proxy",
        "type": "object",
        "properties": {"kind": {"enum": list(models), "description": "What kind of device this is."}},
        "required": ["kind"],
        "allOf": branches,
        **definitions,
    }


def experiment_schema() -> dict[str, Any]:
    """JSON Schema of an experiment, as ``nas-proxy run`` and ``nnictl create`` take it: NNI's keys, and our tuner's
    ``classArgs``. NNI checks the values of its own keys."""
    from nas_proxy.search.settings import SearchSettings

    settings = SearchSettings.model_json_schema()
    definitions = {**settings.pop("$defs"), "SearchSettings": settings}
    tuner = {"properties": {"classArgs": {"$ref": "#/$defs/SearchSettings"}}, "required": ["classArgs"]}
    return {
        "$schema": _DRAFT,
        "title": "An experiment of nas-proxy under NNI",
        "type": "object",
        "properties": {**{key: {} for key in _nni_keys()}, "tuner": {"type": "object", **tuner}},
        "required": ["tuner"],
        "$defs": definitions,
    }


def _nni_keys() -> list[str]:
    """The keys of NNI's configuration; none where NNI is not installed."""
    import dataclasses

    try:
        from nni.experiment.config import ExperimentConfig, utils
    except ImportError:
        return []
    return [utils.camel_case(field.name) for field in dataclasses.fields(ExperimentConfig)]


SCHEMAS: dict[str, Callable[[], dict[str, Any]]] = {"device": device_schema, "experiment": experiment_schema}


@app.command(rich_help_panel="Look up")
def schema(
    name: Annotated[
        str | None,
        typer.Argument(
            autocompletion=lambda incomplete: [name for name in SCHEMAS if name.startswith(incomplete)],
            help="What the YAML file describes: device or experiment. Without it, the command lists these names.",
        ),
    ] = None,
) -> None:
    """Print JSON Schema of a YAML file, so that an editor can complete and check what you write in it.

    Write it to a file, and name that file in the first line of your YAML, for instance as
    "# yaml-language-server: $schema=device.schema.json".
    """
    import json

    from nas_proxy.errors import UnknownNameError

    if name is None:
        print("\n".join(SCHEMAS))
        return
    if name not in SCHEMAS:
        raise UnknownNameError("schema", name, SCHEMAS)
    print(json.dumps(SCHEMAS[name](), indent=2))
