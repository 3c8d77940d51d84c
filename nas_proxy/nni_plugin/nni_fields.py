"""The keys of NNI's configuration and their types, by NNI's own classes: an error names the key as it is written.

NNI checks them too, but speaks of attributes of its classes, and of an unknown platform in Python's words only.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Literal, Union, get_args, get_origin

from nas_proxy.errors import InputError, UnknownNameError, naming

__all__ = ["require_fields"]

_WORDS = {bool: "true or false", int: "a whole number", str: "a text", Path: "a text", list: "a list"}


def require_fields(path: Path, config: Mapping[str, Any]) -> None:
    """Check the keys of a configuration and the types of their values.

    Raises:
        UnknownNameError: NNI has no such key or platform; the message names the file, the place and the closest.
        InputError: a value is of another type, or a key is missing.
    """
    from nni.experiment.config import ExperimentConfig

    with naming(path):
        _check_mapping([ExperimentConfig], config, "")


def _check_mapping(kinds: Sequence[type], value: Any, place: str) -> None:
    """Check a mapping that is to become one of NNI's classes ``kinds``, the first of which is their base."""
    from nni.experiment.config import utils
    from nni.experiment.config.training_service import TrainingServiceConfig

    if not isinstance(value, Mapping):
        raise InputError(f"{place}: expected a mapping of keys to values, found {value!r}.")
    fields = {utils.case_insensitive(field.name): field for kind in kinds for field in dataclasses.fields(kind)}
    given = {utils.case_insensitive(str(key)): key for key in value}
    for plain, key in given.items():
        if plain not in fields:
            known = {utils.camel_case(field.name) for field in fields.values()}
            raise UnknownNameError(f"key in {place}" if place else "key", key, known)
        if value[key] is not None:
            _check(fields[plain].type, value[key], f"{place}.{key}" if place else key)
    # what a training service lacks comes from the experiment
    inherited = {field.name for field in dataclasses.fields(TrainingServiceConfig)} - {"platform"}
    for field in dataclasses.fields(kinds[0]):
        key = given.get(utils.case_insensitive(field.name))
        required = field.default is dataclasses.MISSING and field.name not in inherited
        if required and (key is None or (value[key] is None and type(None) not in get_args(field.type))):
            name = utils.camel_case(field.name)
            raise InputError(f"{f'{place}.{name}' if place else name} is missing.")


def _check(hint: Any, value: Any, place: str) -> None:
    """Check a value against the type of its field."""
    from nni.experiment.config import utils
    from nni.experiment.config.base import ConfigBase
    from nni.experiment.config.training_service import TrainingServiceConfig

    kinds = get_args(hint) if get_origin(hint) is Union else (hint,)
    nested = [kind for kind in kinds if isinstance(kind, type) and issubclass(kind, ConfigBase)]
    if nested == [TrainingServiceConfig]:
        _check_mapping(_training_services(value, place), value, place)
    elif nested:
        _check_mapping([*nested, *_subclasses(nested[0])], value, place)
    elif get_origin(hint) is list and isinstance(value, list):
        for index, entry in enumerate(value):
            _check(get_args(hint)[0], entry, f"{place}.{index}")
    elif not utils.is_instance(value, hint):
        raise InputError(f"{place}: expected {_words(hint)}, found {value!r}.")


def _training_services(value: Any, place: str) -> list[type]:
    """The class for a training service's platform; all of them where that is not stated."""
    from nni.experiment.config import utils
    from nni.experiment.config.training_service import TrainingServiceConfig

    known = [TrainingServiceConfig, *_subclasses(TrainingServiceConfig)]
    if not isinstance(value, Mapping) or "platform" not in value:
        return known
    found = utils.load_training_service_config({"platform": value["platform"]})  # the user's own, too
    if not isinstance(found, TrainingServiceConfig):
        raise UnknownNameError(f"{place}.platform", value["platform"], [kind.platform for kind in known[1:]])
    return [type(found)]


def _subclasses(kind: type) -> list[Any]:
    return [found for child in kind.__subclasses__() for found in (child, *_subclasses(child))]


def _words(hint: Any) -> str:
    """A type in words."""
    if get_origin(hint) is Literal:
        return " or ".join(map(repr, get_args(hint)))
    if get_origin(hint) is Union:
        return " or ".join(dict.fromkeys(_words(part) for part in get_args(hint) if part is not type(None)))
    return _WORDS.get(get_origin(hint) or hint, "a mapping of keys to values")
