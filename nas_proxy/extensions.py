"""The one way to extend: extension points, the names known at each, and what may be asked of a name.

An entry is a class or function that, called with options, gives an object that satisfies the contract of its point (a
ready object will do as well). It is known by name if it ships, if an installed package has an entry point of the group
``nas_proxy.<point>`` for it, or if it was given to :func:`register` in this process. Besides, whoever calls may name
any ``module:attribute``; data never can. Nothing is imported before it is asked for.
"""

from __future__ import annotations

import functools
import importlib
import inspect
import logging
import operator
import re
import sys
from importlib import metadata
from typing import Any

from nas_proxy._extension_points import POINTS, Point
from nas_proxy._extension_text import (
    REQUIRED,
    Option,
    fitted,
    options_of,
    parse_text,
    require_known,
    write_text,
)
from nas_proxy.errors import InputError, NasProxyError, UnknownNameError

__all__ = [
    "POINTS",
    "REQUIRED",
    "Option",
    "Point",
    "contract",
    "describe",
    "every",
    "first_sentence",
    "get",
    "lookup",
    "modules",
    "name_of",
    "names",
    "options",
    "parse_text",
    "register",
    "source",
    "stated",
    "write_text",
]

_log = logging.getLogger(__name__)
_PLAIN = re.compile(r"[\w.+-]+")
_SENTENCE = re.compile(r".*?[.?!](?=\s+[A-Z]|$)")


_registered: dict[str, dict[str, Any]] = {name: {} for name in POINTS}


def register(point: str, name: str, entry: Any) -> None:
    """Make an entry known by name in this process; a later one replaces an earlier one of the same name.

    Commands, workers and NNI's trials are other processes. A package that declares an entry point of the group
    ``nas_proxy.<point>`` is known to all of them::

        [project.entry-points."nas_proxy.mappers"]
        mine = "my_package:MyMapper"

    Args:
        point: one of ``POINTS``.
        name: letters, digits and ``. _ + -``.
        entry: a class, a function, an object that satisfies the contract, or ``"module:attribute"`` of one of these.

    Raises:
        UnknownNameError: there is no such extension point.
        InputError: the name has other characters.
    """
    what = _with_article(_point(point).what)
    if not _PLAIN.fullmatch(name):
        raise InputError(f"the name of {what}: expected letters, digits and . _ + -, found {name!r}.")
    _registered[point][name] = entry


def names(point: str) -> list[str]:
    """All names known at a point, sorted: of what ships, of plug-ins, and of what this process has registered.

    Raises:
        UnknownNameError: there is no such extension point.
    """
    known = {**_point(point).builtin, **_plug_ins(point), **_registered[point]}
    return sorted(name for name in known if ":" not in name)


def get(point: str, what: Any, *arguments: Any, trusted: bool = True, **given: Any) -> Any:
    """An object of an extension point, made of a text such as ``"marl(critic=false)"``.

    Args:
        point: one of ``POINTS``.
        what: a name with options or, from whoever calls, ``module:attribute`` with options; an object that satisfies
            the contract comes back as it is.
        arguments: what the point hands to every entry, before the options.
        trusted: False for a text that was read from data: it may name what is known, and no ``module:attribute``.
        given: options besides those in the text, which they replace.

    Raises:
        UnknownNameError: no such extension point, name or option; the message names the closest.
        InputError: ``module:attribute`` cannot be imported, a plug-in cannot be loaded, an option is missing or of the
            wrong type, or what is made does not satisfy the contract (says what it lacks).
    """
    found = _point(point)
    if not isinstance(what, str):
        if isinstance(what, contract(point)):
            return what
        example = min(found.builtin)
        raise InputError(
            f"expected {_with_article(found.what)} or the name of one, such as {example!r}; found {what!r}."
        )
    name, in_text = parse_text(what)
    entry, called = lookup(point, name, trusted=trusted), f"{found.what} {name}"
    if isinstance(entry, contract(point)) and not isinstance(entry, type):
        entry = functools.partial(_itself, entry)
    if not callable(entry):
        raise _unfit(found, f"{called} is", entry)
    require_known(called, entry, in_text | given, found.handed)
    options = fitted(called, entry, in_text) | given
    try:
        inspect.signature(entry).bind(*arguments, **options)
    except ValueError:  # it has no signature
        pass
    except TypeError as error:
        handed = f"{_with_article(found.what)} is called with ({', '.join(found.handed)}), then its options"
        raise InputError(f"{called}: {error}{f'; {handed}' if found.handed else ''}.") from None
    made = entry(*arguments, **options)
    if not isinstance(made, contract(point)):
        raise _unfit(found, f"{called} gives", made)
    return made


def _itself(ready: Any) -> Any:
    return ready


def every(point: str) -> list[Any]:
    """What all names of a point make, in their order; a plug-in that is broken is logged and left out."""
    made: list[Any] = []
    for name in names(point):
        try:
            made.append(get(point, name))
        except NasProxyError as error:
            if not source(point, name):
                raise
            _log.warning("%s", error)
    return made


def lookup(point: str, name: str, *, trusted: bool = True) -> Any:
    """The entry of a name: the class, function or object itself. What a caller names as ``module:attribute`` is known
    by that name from then on, to data as well.

    Raises:
        UnknownNameError: there is no such extension point or name; the message names the closest.
        InputError: ``module:attribute`` cannot be imported, a plug-in cannot be loaded, or two have the same name.
    """
    found = _point(point)
    if (entry := _registered[point].get(name, found.builtin.get(name))) is not None:
        return _imported(entry) if isinstance(entry, str) else entry
    if name in (plug_ins := _plug_ins(point)):
        return _loaded(found, plug_ins[name])
    if ":" not in name:
        raise UnknownNameError(found.what, name, names(point), "" if trusted else _advice(found, name))
    for entry in _registered[point].values():
        if _own_text(entry) == name:
            return _imported(entry) if isinstance(entry, str) else entry
    if not trusted:
        raise UnknownNameError(found.what, name, names(point), _advice(found, name))
    try:
        entry = _registered[point][name] = _imported(name)
    except (ImportError, AttributeError, TypeError, ValueError) as error:  # TypeError: a relative module
        raise InputError(
            f"{found.what} {name}: expected a known name or an importable module:attribute; found: {error}."
        ) from error
    return entry


def modules(point: str, text: str) -> tuple[str, ...]:
    """Modules whose code decides what a text with its options gives: of the entry (which may be a function of one
    package that makes an object of another), and of the object.

    Raises:
        UnknownNameError, InputError: as :func:`get`.
    """
    entry = lookup(point, parse_text(text)[0])
    while isinstance(entry, functools.partial):
        entry = entry.func
    return entry.__module__, type(get(point, text)).__module__


def _advice(point: Point, name: str) -> str:
    """What to do where data names what is not known."""
    own = name if ":" in name else "module:attribute"
    say = f"name it in the command ({point.flag} {own}), or" if point.flag else ""
    refused = f"{name} is code, and data cannot have code run. " if ":" in name else ""
    return f"{refused}If it is your own, {say} install it as a plug-in (entry point nas_proxy.{point.name})."


def stated(point: str, text: str) -> str:
    """``text``, which was read from data, if it names what is known.

    Raises:
        UnknownNameError: it does not, or it names a ``module:attribute`` that no caller has named.
    """
    lookup(point, parse_text(text)[0], trusted=False)
    return text


def name_of(point: str, entry: Any) -> str:
    """The name by which every process knows an entry, a class or function, or its ``module:attribute``.

    What only this process can know, of a notebook for instance, has the name that it was registered by.
    """
    own = _own_text(entry)
    known = {**_point(point).builtin, **{name: found[0].value for name, found in _plug_ins(point).items()}}
    called = getattr(entry, "name", None)
    if called in known and lookup(point, called) is entry:
        return called
    if (name := next((name for name, text in known.items() if text == own), None)) is not None:
        return name
    nowhere = own.partition(":")[0] not in sys.modules or own.startswith("__main__:")
    return called if nowhere and isinstance(called, str) and _registered[point].get(called) is entry else own


def _own_text(entry: Any) -> str:
    if isinstance(entry, str):
        return entry
    return f"{getattr(entry, '__module__', '')}:{getattr(entry, '__qualname__', '')}"


def contract(point: str) -> type:
    """The class that everything made at a point is an instance of."""
    return _imported(_point(point).contract)


def options(point: str, name: str) -> tuple[Option, ...]:
    """The options of a name with their defaults, types, and a line on each where it is documented.

    Raises:
        UnknownNameError, InputError: as :func:`lookup`.
    """
    entry = lookup(point, name)
    return options_of(entry, _point(point).handed) if callable(entry) else ()


def describe(point: str, name: str) -> str:
    """A sentence on a name, empty where it has none: the first of its documentation; or why it cannot be loaded.

    Raises:
        UnknownNameError: there is no such extension point or name; the message names the closest.
    """
    try:
        return _described(lookup(point, name))
    except UnknownNameError:
        raise
    except (ImportError, NasProxyError) as error:
        return str(error) if isinstance(error, NasProxyError) else f"not installed: {error}"


def _described(entry: Any) -> str:
    if isinstance(entry, functools.partial):
        return f"{_described(entry.func)} With {write_text('', entry.keywords)[1:-1]}."
    of_class = getattr(entry, "__self__", None)  # a class that makes itself of a description
    if isinstance(says := getattr(entry, "says", None), str):
        return first_sentence(says)
    return first_sentence(inspect.getdoc(of_class if isinstance(of_class, type) else entry) or "")


def first_sentence(text: str) -> str:
    """The first sentence of a documentation, on one line and without markup."""
    paragraph = " ".join(text.strip().split("\n\n")[0].split()).replace("``", "")
    return sentence[0] if (sentence := _SENTENCE.match(paragraph)) else paragraph


def source(point: str, name: str) -> str:
    """Who made a name known: empty for this package itself, ``"this process"``, or a plug-in and its version."""
    if name in _registered[point]:
        return "this process"
    return "" if name in _point(point).builtin else " and ".join(map(_package, _plug_ins(point)[name]))


def _point(name: str) -> Point:
    if name not in POINTS:
        raise UnknownNameError("extension point", name, POINTS)
    return POINTS[name]


def _imported(text: str) -> Any:
    module, _, attribute = text.partition(":")
    return operator.attrgetter(attribute)(importlib.import_module(module))


@functools.cache
def _plug_ins(point: str) -> dict[str, list[metadata.EntryPoint]]:
    """Entry points of installed packages by name; usually one each."""
    found: dict[str, list[metadata.EntryPoint]] = {}
    for entry in metadata.entry_points(group=f"nas_proxy.{point}"):
        if entry.name in POINTS[point].builtin or not _PLAIN.fullmatch(entry.name):
            _log.warning("%s: %s %r cannot be called so: another name is needed", _package(entry), point, entry.name)
        else:
            found.setdefault(entry.name, []).append(entry)
    return found


def _loaded(point: Point, entries: list[metadata.EntryPoint]) -> Any:
    [entry, *others] = entries
    if others:
        raise InputError(
            f"{point.what} {entry.name}: {' and '.join(map(_package, entries))} both have one of this name: uninstall "
            f"one of them, or say which: {' or '.join(other.value for other in entries)}."
        )
    try:
        return entry.load()
    except Exception as error:
        raise InputError(
            f"{point.what} {entry.name}: {_package(entry)} cannot be loaded: {type(error).__name__}: {error}."
        ) from error


def _package(entry: metadata.EntryPoint) -> str:
    return f"{entry.dist.name} {entry.dist.version}" if entry.dist else "a package without a name"


def _with_article(noun: str) -> str:
    return f"{'an' if noun[0] in 'AEIOaeio' else 'a'} {noun}"


def _unfit(point: Point, found: str, what: Any) -> InputError:
    wanted = contract(point.name)
    message = f"{found} {type(what).__name__}: expected {_with_article(wanted.__name__)}"
    if getattr(wanted, "_is_protocol", False):
        members = {name for base in wanted.__mro__ for name in (*vars(base), *vars(base).get("__annotations__", ()))}
        members = sorted(name for name in members - set(dir(object)) if not name.startswith("_"))
        return InputError(f"{message} with {', '.join(members)}.")
    return InputError(f"{message}, an instance of {point.contract.replace(':', '.')} or of a subclass.")
