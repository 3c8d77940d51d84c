"""The target devices of a search: their latency models and limits."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from nas_proxy.errors import InputError, UnknownNameError
from nas_proxy.ties import SAME, rounded

__all__ = ["LatencyModel", "Targets"]

_DIGITS = 12


class LatencyModel(Protocol):
    """Anything that predicts latencies, such as :class:`nas_proxy.ranking.TargetLatencyModel`."""

    def predict(self, archs: Sequence[Any]) -> Any:
        """Latencies in ms, ``(n,)``."""
        ...


class Targets:
    """Latency models by the target's name, and limits in ms for all, some or none of them.

    Raises:
        InputError: there is no target, or a limit is not a positive number.
        UnknownNameError: a limit is for no target; the message names the closest.
    """

    def __init__(self, models: Mapping[str, LatencyModel], limits_ms: Mapping[str, float] | None = None) -> None:
        if not models:
            raise InputError("a search needs the latency model of at least one target, found none.")
        self.models = dict(models)
        self.limits_ms = {name: _limit(name, limit, self.models) for name, limit in (limits_ms or {}).items()}
        self._limit = np.array([self.limits_ms.get(name, np.inf) for name in self.models])

    @property
    def names(self) -> list[str]:
        """Names of the targets, in the order of the columns of their latencies."""
        return list(self.models)

    @property
    def limited(self) -> NDArray[np.bool_]:
        """Which targets have a limit, ``(targets,)``."""
        return np.isfinite(self._limit)

    def predict(self, archs: Sequence[Any]) -> NDArray[np.float64]:
        """Latencies in ms, ``(n, targets)``.

        Raises:
            InputError: a model gives something other than one positive number per architecture.
        """
        columns = []
        for name, model in self.models.items():
            column = np.asarray(model.predict(archs), dtype=np.float64)
            if column.shape != (len(archs),):
                raise InputError(
                    f"the latency model of {name!r} must give one latency for each of {len(archs)} architectures, "
                    f"found an array of shape {column.shape}."
                )
            bad = np.flatnonzero(~(np.isfinite(column) & (column > 0)))
            if len(bad):
                raise InputError(
                    f"the latency model of {name!r} must give positive latencies in ms; for {archs[bad[0]]!r} it "
                    f"gives {column[bad[0]]}."
                )
            columns.append(column)
        # the last bits depend on what else is predicted with it; proposals and states must not
        return rounded(np.stack(columns, axis=1), _DIGITS)

    def feasible(self, latency_ms: NDArray[np.float64]) -> NDArray[np.bool_]:
        """Which latencies ``(n, targets)`` keep every limit, ``(n,)``."""
        return np.all(latency_ms <= self._limit * (1 + SAME), axis=1)

    def slowness(self, latency_ms: NDArray[np.float64]) -> NDArray[np.float64]:
        """Largest share of a limit that latencies ``(n, targets)`` take, ``(n,)``; without limits their mean log."""
        if self.limited.any():
            return (latency_ms / self._limit).max(axis=1)
        return np.log(latency_ms).mean(axis=1)

    def infeasible(self, text: str, latency_ms: NDArray[np.float64]) -> InputError:
        """The error that nothing meets the limits: ``text`` and its latencies ``(targets,)`` come closest."""
        wanted = ", ".join(f"{name} <= {limit:g} ms" for name, limit in self.limits_ms.items())
        found = ", ".join(
            f"{ms:.6g} ms on {name}" for name, ms in zip(self.names, latency_ms, strict=True) if name in self.limits_ms
        )
        fastest = "the fastest predicted" if len(self.limits_ms) == 1 else "the one predicted closest to all of them"
        return InputError(
            f"no candidate is predicted to meet the limits ({wanted}): {fastest} is {text}, with {found}. "
            "Raise the limits, or search a space of smaller networks."
        )


def _limit(name: str, limit: float, models: Mapping[str, Any]) -> float:
    if name not in models:
        raise UnknownNameError("target with a limit", name, models)
    if not (isinstance(limit, int | float | np.number) and 0 < limit < np.inf):
        raise InputError(
            f"the limit of {name!r} must be a positive number of ms, found {limit!r}: leave it out for none."
        )
    return float(limit)
