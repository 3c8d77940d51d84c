"""Descriptions and configurations from YAML, validated; every error names its field."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any, TypeVar

import yaml
from pydantic import BaseModel, ConfigDict, ValidationError

from nas_proxy.errors import InputError, did_you_mean

__all__ = ["Spec", "load_yaml", "parse"]


class Spec(BaseModel):
    """Base of all descriptions: frozen, numbers are finite, and unknown fields are errors."""

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)


S = TypeVar("S", bound=BaseModel)


def load_yaml(path: str | Path) -> dict[str, Any]:
    """The mapping in a YAML file.

    Raises:
        InputError: the file cannot be read, is not YAML (with line and column), or holds no mapping.
    """
    try:
        value = yaml.safe_load(Path(path).read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError) as error:
        raise InputError(f"{path}: cannot be read: {error}") from None
    except yaml.YAMLError as error:
        raise InputError(f"{path}: not valid YAML: {error}") from None
    if not isinstance(value, dict):
        raise InputError(f"{path}: expected a mapping of fields at the top, found {type(value).__name__}.")
    return value


def parse(model: type[S], data: Mapping[str, Any], source: str | Path) -> S:
    """``data`` as a ``model``; all problems are reported at once, each with its field and the closest known name.

    Raises:
        InputError: a field is missing, unknown or of the wrong kind. ``source`` is named in the message.
    """
    try:
        return model.model_validate(data)
    except ValidationError as error:
        lines = []
        for problem in error.errors():
            field = ".".join(str(part) for part in problem["loc"]) or "(top)"
            message = problem["msg"]
            if problem["type"] == "extra_forbidden":
                message = "unknown field." + _closest(str(problem["loc"][-1]), model, problem["loc"][:-1])
            elif problem["type"] != "missing":
                message += f" (found {problem['input']!r})"
            lines.append(f"  {field}: {message}")
        raise InputError(f"{source}: {len(lines)} problem(s):\n" + "\n".join(lines)) from None


def _closest(name: str, model: type[BaseModel], parents: tuple[int | str, ...]) -> str:
    """Did-you-mean for an unknown field, found by walking the model down to the field's parent."""
    current: Any = model
    for part in parents:
        fields = getattr(current, "model_fields", {})
        if part in fields:
            current = _inner_model(fields[part].annotation)
    known = [f.alias or n for n, f in getattr(current, "model_fields", {}).items()]
    return did_you_mean(name, known) + (f" Known: {', '.join(sorted(known))}." if known else "")


def _inner_model(annotation: Any) -> Any:
    """The first pydantic model inside an annotation such as ``tuple[Level, ...]`` or ``Level | None``."""
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return annotation
    for argument in getattr(annotation, "__args__", ()):
        if (found := _inner_model(argument)) is not None:
            return found
    return None
