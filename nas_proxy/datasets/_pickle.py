"""Numbers out of pickles and torch files that others wrote, without running anything of theirs.

A pickle is a program: it may import any object and call it. What ``torch.save`` writes is one, in a zip archive or, by
old versions, after a number that says so; neither needs torch to be read. This reader knows the few names that numpy's
numbers are made of, answers each with a decoder of its own (numpy itself never sees the file's arguments), and refuses
all others. What comes out is plain: numbers, texts, lists, tuples and dicts.
"""

from __future__ import annotations

import io
import pickle
import re
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any, BinaryIO, Never

import numpy as np

from nas_proxy.datasets._read import require_file
from nas_proxy.errors import InputError

__all__ = ["load_numbers"]

_OLD_TORCH = 0x1950A86A20F9469CFC6C
_NUMERIC = re.compile(r"[<>|=]?[biuf][1248]")


class _Refused(pickle.UnpicklingError):
    """The file asks for something that is no number."""


class _Sealed:
    """An object that the file can call but not change."""

    __slots__ = ("_function",)

    def __init__(self, function: Callable[..., Any]) -> None:
        self._function = function

    def __call__(self, *arguments: Any) -> Any:
        return self._function(*arguments)

    def __setstate__(self, state: Any) -> Never:
        raise pickle.UnpicklingError("the file tries to change the reader")


class _DType:
    """A numeric ``numpy.dtype``: its letter and size, and the byte order that its state brings."""

    __slots__ = ("_code", "_order")

    def __init__(self, code: Any, *_flags: Any) -> None:
        if not isinstance(code, str) or not _NUMERIC.fullmatch(code):
            raise pickle.UnpicklingError(f"numpy type {code!r} is no number")
        self._code, self._order = code.lstrip("<>|="), "="

    def __setstate__(self, state: Any) -> None:
        self._order = state[1] if state[1] in ("<", ">") else "="

    def decode(self, data: Any) -> np.ndarray:
        return np.frombuffer(data, dtype=self._order + self._code)


class _Array(list):
    """A numeric ``numpy.ndarray`` of one dimension, as a list that is filled when its state comes."""

    __slots__ = ()

    def __setstate__(self, state: Any) -> None:
        _, shape, dtype, _, data = state
        self[:] = _values(data, dtype, shape)


def _values(data: Any, dtype: Any, shape: Any, _order: Any = None) -> list[int | float | bool]:
    if not isinstance(dtype, _DType):
        raise pickle.UnpicklingError(f"expected a numpy type, found {type(dtype).__name__}")
    values = dtype.decode(data).tolist()
    if shape != (len(values),):
        raise pickle.UnpicklingError(f"an array of shape {shape!r}; expected one dimension, {len(values)} numbers")
    return values


def _scalar(dtype: Any, data: Any) -> int | float | bool:
    return _values(data, dtype, (1,))[0]


def _encode(text: Any, encoding: Any) -> bytes:
    """How Python 3 writes bytes for Python 2."""
    if not isinstance(text, str) or encoding != "latin1":
        raise pickle.UnpicklingError(f"encoding {encoding!r}")
    return text.encode("latin1")


_ADMITTED: dict[tuple[str, str], Callable[..., Any]] = {
    ("_codecs", "encode"): _encode,
    ("numpy", "dtype"): _DType,
    ("numpy", "ndarray"): lambda *_: None,  # never called: an argument of _reconstruct
    **{
        (f"numpy.{core}.{name}", function): decoder
        for core in ("core", "_core")
        for name, function, decoder in (
            ("multiarray", "scalar", _scalar),
            ("multiarray", "_reconstruct", lambda *_: _Array()),
            ("numeric", "_frombuffer", _values),
        )
    },
}


class _NumbersOnly(pickle.Unpickler):
    def find_class(self, module: str, name: str) -> _Sealed:
        if (module, name) not in _ADMITTED:
            raise _Refused(f"it asks for {module}.{name}")
        return _Sealed(_ADMITTED[module, name])


def load_numbers(path: str | Path, what: str) -> Any:
    """The numbers, texts, lists and dicts in a pickle, or in what ``torch.save`` made of them.

    numpy's numbers become Python's, its arrays become lists.

    Raises:
        InputError: the file is missing or damaged, or asks for anything else, such as a tensor (names it; it was not
            run).
    """
    path = require_file(path, what)
    try:
        with open(path, "rb") as file:
            return _load(_program(file))
    except OSError as error:
        raise InputError(f"{path}: cannot be read: {error}") from None
    except _Refused as error:
        raise InputError(
            f"{path}: expected {what} as plain numbers, texts, lists and dicts; not loaded, because {error}, which "
            "could run code."
        ) from None
    except Exception as error:  # a damaged pickle fails in many ways
        raise InputError(
            f"{path}: expected {what}; not loaded, because it is truncated or neither a pickle nor a torch file "
            f"({type(error).__name__}: {error})."
        ) from None


def _program(file: BinaryIO) -> BinaryIO:
    """The pickle in a torch file; any other file as it is."""
    if not zipfile.is_zipfile(file):
        file.seek(0)
        return file
    with zipfile.ZipFile(file) as archive:
        [entry] = (entry for entry in archive.infolist() if entry.filename.endswith("/data.pkl"))
        if entry.compress_type != zipfile.ZIP_STORED:  # torch never compresses; a bomb would
            raise ValueError("its data are compressed")
        return io.BytesIO(archive.read(entry))


def _load(program: BinaryIO) -> Any:
    value = _NumbersOnly(program).load()
    if value != _OLD_TORCH:
        return value
    for _ in ("version", "machine"):
        _NumbersOnly(program).load()
    return _NumbersOnly(program).load()
