"""Constants that a substitution makes: recipes over other constants, computed only when someone asks for the numbers.

A search looks at thousands of candidate graphs and keeps one. Merged weights of the others are never computed, yet two
that would be equal are known to be, by the hash of their recipe.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Sequence
from functools import cached_property
from typing import Any

import numpy as np

from nas_proxy.graph import Constant

__all__ = ["Derived", "derive", "evaluate"]

_FLOATS = {"float16", "bfloat16", "float32", "float64"}


class Derived(Constant):
    """``recipe(*arrays of sources, **parameters)``, of a shape and dtype known beforehand."""

    def __init__(
        self,
        recipe: Callable[..., np.ndarray],
        sources: Sequence[Constant],
        shape: tuple[int, ...],
        dtype: str,
        parameters: dict[str, Any],
    ) -> None:
        state = {"recipe": recipe, "sources": tuple(sources), "parameters": parameters}
        self.__dict__.update(state, _shape=tuple(int(d) for d in shape), _dtype=dtype)

    @property
    def shape(self) -> tuple[int, ...]:
        """Known before the values are."""
        return self.__dict__["_shape"]

    @property
    def dtype(self) -> str:
        """Known before the values are."""
        return self.__dict__["_dtype"]

    @cached_property
    def array(self) -> np.ndarray:  # type: ignore[override]
        """The values, computed when they are first asked for."""
        return self.compute(tuple(source.array for source in self.__dict__["sources"]), self.dtype)

    @cached_property
    def content_hash(self) -> str:
        """Equal for equal recipes of equal sources; no value is computed."""
        digest = hashlib.blake2b(f"{self.dtype}{self.shape}".encode(), digest_size=16)
        recipe = self.__dict__["recipe"]
        digest.update(f"{getattr(recipe, '__module__', '')}.{recipe.__qualname__}".encode())
        digest.update(repr(sorted(self.__dict__["parameters"].items())).encode())
        for source in self.__dict__["sources"]:
            digest.update(source.content_hash.encode())
        return digest.hexdigest()

    def compute(self, arrays: tuple[np.ndarray, ...], dtype: str) -> np.ndarray:
        """The recipe on these arrays."""
        made = np.ascontiguousarray(self.__dict__["recipe"](*arrays, **self.__dict__["parameters"])).astype(dtype)
        made = made.reshape(()) if not self.shape and made.size == 1 else made
        if made.shape != self.shape:
            raise AssertionError(f"{self.__dict__['recipe'].__qualname__} made {made.shape}, {self.shape} was stated")
        return made

    def __repr__(self) -> str:
        return f"Derived({self.__dict__['recipe'].__qualname__}, {self.shape}, {self.dtype})"


def derive(
    recipe: Callable[..., np.ndarray],
    *sources: Constant,
    shape: Sequence[int],
    dtype: str | None = None,
    **parameters: Any,
) -> Constant:
    """A constant computed from others. ``recipe`` is a function of a module, ``parameters`` have a plain ``repr``.

    Args:
        shape: of the result.
        dtype: of the result; that of the first source where it is left out.
    """
    return Derived(recipe, sources, tuple(shape), dtype or sources[0].dtype, parameters)


def evaluate(constant: Constant, dtype: str) -> np.ndarray:
    """The contents with every floating-point step of its recipes taken in ``dtype``; integers stay as they are."""
    if constant.dtype not in _FLOATS:
        return constant.array
    if isinstance(constant, Derived):
        sources = tuple(evaluate(source, dtype) for source in constant.__dict__["sources"])
        return constant.compute(sources, dtype)
    return constant.array.astype(dtype)
