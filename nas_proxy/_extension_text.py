"""Names with options as text, ``marl(critic=false)``: read, checked and written back.

An option's value is a number, ``true``, ``false``, ``none``, a word, or text in quotes: double ones as in JSON, single
ones as it stands. Nothing in a text is ever executed.
"""

from __future__ import annotations

import dataclasses
import inspect
import json
import re
import typing
from collections.abc import Callable, Container, Iterable, Mapping
from pathlib import Path, PurePath
from typing import Any

from nas_proxy.errors import InputError, UnknownNameError

__all__ = ["REQUIRED", "Option", "fitted", "options_of", "parse_text", "require_known", "write_text"]

_NAME = r"[\w.+-]+(?::[\w.]+)?"
_TEXT = re.compile(rf"\s*(?P<name>{_NAME})\s*(?:\((?P<options>.*)\)\s*)?", re.DOTALL)
_OPTION = re.compile(
    r"""\s*(?P<name>[A-Za-z_]\w*)\s*=\s*(?:(?P<json>"(?:[^"\\]|\\.)*")|'(?P<plain>[^']*)'|(?P<bare>[^\s,()'"=]+))\s*(?:,|$)"""
)
_WORDS = {"true": True, "false": False, "none": None}


@dataclasses.dataclass(frozen=True)
class _Required:
    """The default of an option that has none."""

    def __repr__(self) -> str:
        return "..."


REQUIRED = _Required()


@dataclasses.dataclass(frozen=True)
class Option:
    """An option of a registered thing.

    Attributes:
        name: what it is called.
        default: its value where nothing is given, or ``REQUIRED``.
        kind: its type, as the code writes it; empty where it states none.
        help: a line on it; empty where its documentation has none.
    """

    name: str
    default: Any
    kind: str
    help: str

    def __str__(self) -> str:
        if self.default is REQUIRED:
            return f"{self.name}=..."
        plain = isinstance(self.default, str | int | float | tuple | PurePath | None)
        return f"{self.name}={_written(self.default) if plain else f'{type(self.default).__name__}()'}"


def parse_text(text: str) -> tuple[str, dict[str, Any]]:
    """The name in a text, and its options.

    Raises:
        InputError: the text is no name with options; says where it stops being one.
    """
    match = _TEXT.fullmatch(text)
    if match is None:
        base, _, rest = text.partition(":")
        example = f"{base}({rest})" if "=" in rest and re.fullmatch(_NAME, base) else "marl(critic=false)"
        raise InputError(
            f"{text!r}: expected a name, with options in brackets behind it: options are written {example}."
        )
    name, rest = match["name"], (match["options"] or "").strip()
    options: dict[str, Any] = {}
    while rest:
        found = _OPTION.match(rest)
        if found is None:
            raise InputError(
                f'{text!r}: expected options such as channels=4, critic=false or weights="my file", separated by '
                f"commas; found {rest[:60]!r}."
            )
        if found["name"] in options:
            raise InputError(f"{text!r}: the option {found['name']!r} is there twice: keep one.")
        options[found["name"]] = _value(found)
        rest = rest[found.end() :].strip()
    return name, options


def _value(found: re.Match[str]) -> Any:
    if found["json"] is not None:
        try:
            return json.loads(found["json"])
        except ValueError as error:
            raise InputError(f"{found['json']}: text in double quotes is written as in JSON: {error}.") from None
    if found["plain"] is not None:
        return found["plain"]
    bare = found["bare"]
    if bare.lower() in _WORDS:
        return _WORDS[bare.lower()]
    if re.fullmatch(r"[+-]?\d{1,300}", bare):
        return int(bare)
    return float(bare) if re.fullmatch(r"[+-]?(\d+\.?\d*|\.\d+)([eE][+-]?\d+)?", bare) else bare


def write_text(name: str, options: Mapping[str, Any]) -> str:
    """The text that :func:`parse_text` reads the same name and options from; free of blanks where no value has any."""
    stated = ",".join(f"{option}={_written(value)}" for option, value in options.items())
    return f"{name}({stated})" if stated else name


def _written(value: Any) -> str:
    if value is None or isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, int | float):
        return repr(value)
    text = str(value)
    found = _OPTION.fullmatch(f"x={text}") if isinstance(value, str | PurePath) else None
    as_it_is = found is not None and found["bare"] == text and isinstance(_value(found), str)
    return text if as_it_is or not isinstance(value, str | PurePath) else json.dumps(text, ensure_ascii=False)


def options_of(factory: Callable[..., Any], handed: Container[str] = ()) -> tuple[Option, ...]:
    """The options of a class or function, in its order, but for those it is ``handed`` anyway.

    Those of a class with a pydantic model ``Spec`` are the fields of that.
    """
    model: Any = getattr(getattr(factory, "__self__", factory), "Spec", None)
    if model is not None:
        return tuple(
            Option(
                name,
                REQUIRED if field.is_required() else field.default,
                _kind(field.annotation),
                field.description or "",
            )
            for name, field in model.model_fields.items()
            if name not in {"kind", "description", "sources"}
        )
    said = _said(factory)
    return tuple(
        Option(
            name,
            REQUIRED if parameter.default is parameter.empty else parameter.default,
            _kind(parameter.annotation),
            said.get(name, ""),
        )
        for name, parameter in _parameters(factory).items()
        if parameter.kind is not parameter.VAR_KEYWORD and name not in handed
    )


def _parameters(factory: Callable[..., Any]) -> dict[str, inspect.Parameter]:
    """What can be given by name; a parameter of kind ``VAR_KEYWORD`` stands for any name."""
    try:
        parameters = inspect.signature(factory).parameters
    except (TypeError, ValueError):  # written in C, without a signature
        return {"options": inspect.Parameter("options", inspect.Parameter.VAR_KEYWORD)}
    unnamed = {inspect.Parameter.POSITIONAL_ONLY, inspect.Parameter.VAR_POSITIONAL}
    return {name: parameter for name, parameter in parameters.items() if parameter.kind not in unnamed}


def _kind(annotation: Any) -> str:
    if annotation is inspect.Parameter.empty:
        return ""
    return annotation.__name__ if isinstance(annotation, type) else str(annotation).replace("typing.", "")


def _said(factory: Any) -> dict[str, str]:
    """What the sections ``Args:`` and ``Attributes:`` of the documentation say of each name, its first line."""
    text = inspect.getdoc(getattr(factory, "func", factory)) or ""
    return {
        name.strip(): line.replace("``", "")
        for names, line in re.findall(r"^    (\w+(?:, \w+)*): (.*)$", text, re.MULTILINE)
        for name in names.split(",")
    }


def require_known(what: str, factory: Callable[..., Any], options: Iterable[str], handed: Container[str] = ()) -> None:
    """Check the names of options.

    Raises:
        UnknownNameError: there is no such option; names the closest, and all with their defaults.
    """
    parameters = _parameters(factory)
    if any(parameter.kind is parameter.VAR_KEYWORD for parameter in parameters.values()):
        return
    for name in options:
        if name not in parameters or name in handed:
            known = options_of(factory, handed)
            defaults = ", ".join(map(str, known))
            hint = f"With their defaults: {defaults}." if known else ""
            raise UnknownNameError(f"option of {what}", name, [option.name for option in known], hint)


def fitted(what: str, factory: Callable[..., Any], stated: Mapping[str, Any]) -> dict[str, Any]:
    """Options that a text states, of the types that a factory takes; a path that is wanted is made of text.

    Raises:
        InputError: a value is of another type than the option's.
    """
    hints = _hints(factory)
    return {name: _fitting(f"{what}: {name}", value, hints.get(name, Any)) for name, value in stated.items()}


def _hints(factory: Any) -> dict[str, Any]:
    function = getattr(factory, "func", factory)
    try:
        return typing.get_type_hints(function.__init__ if isinstance(function, type) else function)
    except (NameError, TypeError, AttributeError):  # types that only a type checker knows
        return {}


def _fitting(where: str, value: Any, hint: Any) -> Any:
    from pydantic import ConfigDict, TypeAdapter, ValidationError
    from pydantic.errors import PydanticUserError

    try:
        kind: TypeAdapter[Any] = TypeAdapter(hint, config=ConfigDict(strict=True, arbitrary_types_allowed=True))
    except PydanticUserError:  # not a plain type
        return value
    for attempt in (value, Path(value)) if isinstance(value, str) else (value,):
        try:
            kind.validate_python(attempt)
        except ValidationError:
            continue
        return attempt
    raise InputError(f"{where}: expected {_kind(hint)}, found {_written(value)}.")
