"""Settings of mappers, refused where a search could only crash or never end."""

from __future__ import annotations

import math
from typing import Any

from nas_proxy.errors import InputError, UnknownNameError, whole_number

__all__ = ["check_name", "check_settings"]


def check_settings(mapper: Any, counts: str, shares: str = "", **least: float) -> None:
    """Check the fields of a mapper.

    Args:
        mapper: a dataclass.
        counts: names of fields that are whole numbers of at least 1.
        shares: names of fields between 0 and 1.
        least: the smallest value of other fields.

    Raises:
        InputError: a field is out of its bounds; names it.
    """
    kind = type(mapper).__name__
    for field in counts.split():
        whole_number(getattr(mapper, field), f"{kind}: {field}", least=1)
    bounds = dict.fromkeys(shares.split(), (0.0, 1.0)) | {field: (low, math.inf) for field, low in least.items()}
    for field, (low, high) in bounds.items():
        value = getattr(mapper, field)
        if isinstance(value, bool) or not low <= value <= high:
            wanted = f"at least {low:g}" if high == math.inf else f"between {low:g} and {high:g}"
            raise InputError(f"{kind}: {field} must be {wanted}, found {value!r}.")


def check_name(mapper: Any, field: str, known: tuple[str, ...]) -> None:
    """Check that a field is one of the known names.

    Raises:
        UnknownNameError: it is not; names the closest.
    """
    if (value := getattr(mapper, field)) not in known:
        raise UnknownNameError(f"value of {field} in {type(mapper).__name__}", value, known)
