"""What an evaluation gave: an accuracy, or something that is none."""

from __future__ import annotations

import math
import numbers
from collections.abc import Mapping
from typing import Any

from nas_proxy.errors import InputError

__all__ = ["InvalidAccuracyError", "as_accuracy"]


class InvalidAccuracyError(InputError):
    """An evaluation gave something that is no finite number."""


def as_accuracy(value: Any) -> float:
    """The accuracy in what an evaluation returned or a trial reported: a number, or a mapping with ``default``.

    Raises:
        InvalidAccuracyError: it is no number, or not finite.
    """
    number = value.get("default") if isinstance(value, Mapping) else value
    if isinstance(number, bool) or not isinstance(number, numbers.Real):
        raise InvalidAccuracyError(f"expected a number as accuracy, found {number!r} ({type(number).__name__}).")
    if not math.isfinite(number):
        raise InvalidAccuracyError(f"expected a finite accuracy, found {number!r}.")
    return float(number)
