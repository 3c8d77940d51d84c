"""Mappings found before: a file for each accelerator, shared by all processes and runs."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from nas_proxy import extensions
from nas_proxy.cache import Records, digest, source_digest
from nas_proxy.mapping.accelerator import Accelerator
from nas_proxy.mapping.cost_model import CostModel
from nas_proxy.mapping.layer import Layer
from nas_proxy.mapping.mappings import Mappings
from nas_proxy.mapping.problem import Problem, SearchResult

__all__ = ["CODE", "MappingCache", "fingerprint"]

#: The code that mappings come from, besides the mapper's own: this package, and what its critic predicts with.
CODE = ("nas_proxy.mapping", "nas_proxy.gaussian_process", "nas_proxy.ties")


def fingerprint(accelerator: Accelerator) -> str:
    """The same for accelerators on which every mapping costs the same."""
    return digest(accelerator.model_dump(mode="json", include=set(Accelerator.model_fields) - {"description"}))


class MappingCache:
    """Search results by layer shape, objective, mapper and its code, evaluations and seed, for one accelerator.

    A mapping is kept as plain numbers; its costs are counted anew when it is read, and where they are not what they
    were, or it does not fit, the record counts as absent: what is served is always what the cost model says today.

    Args:
        folder: where the file of the accelerator is.
        accelerator: by its numbers; its name does not count.
    """

    def __init__(self, folder: str | Path, accelerator: Accelerator) -> None:
        self.records = Records(Path(folder) / f"mappings-{fingerprint(accelerator)}.jsonl")

    def get(self, problem: Problem, mapper: str, seed: int) -> SearchResult | None:
        """The result of that search, or None where it is not known."""
        layer, accelerator = problem.model.layer, problem.model.accelerator
        found = self.records.get(_key(problem, mapper, seed))
        if found is None:
            return None
        try:
            arrays = (np.array([found[name]]) for name in ("factors", "order", "keep"))
            mapping = Mappings(*arrays)
            mapping.check(layer, accelerator)
            costs = CostModel(layer, accelerator).evaluate(mapping)
            history = np.full(problem.budget, np.nan)
            for evaluation, value in found["improvements"]:
                history[evaluation:] = value
            spent = int(found["evaluations"])
            bound = -np.inf if found["log_bound"] is None else float(found["log_bound"])
            result = SearchResult(mapping, costs, float(history[-1]), history, spent, problem.max_cycles, bound)
        except (ValueError, KeyError, TypeError, IndexError):
            return None
        return result if costs.valid[0] and np.isclose(problem.value(costs)[0], result.value, atol=1e-9) else None

    def put(self, problem: Problem, mapper: str, seed: int, result: SearchResult) -> None:
        """Keep the result of a search."""
        better = np.flatnonzero(np.diff(result.history, prepend=np.inf))
        value = {
            "layer": _shape(problem.model.layer),
            "factors": result.mapping.factors[0].tolist(),
            "order": result.mapping.order[0].tolist(),
            "keep": result.mapping.keep[0].tolist(),
            "improvements": [[int(i), float(result.history[i])] for i in better],
            "evaluations": result.evaluations,
            "log_bound": result.log_bound if np.isfinite(result.log_bound) else None,
        }
        self.records.put(_key(problem, mapper, seed), value)


def _key(problem: Problem, mapper: str, seed: int) -> str:
    search = problem.objective, problem.max_cycles, problem.budget, mapper, seed
    code = source_digest(*CODE, *extensions.modules("mappers", mapper))
    return digest(_shape(problem.model.layer), *search, code)


def _shape(layer: Layer) -> dict[str, Any]:
    return {"kind": layer.kind, "bounds": layer.bounds.tolist(), "stride": layer.stride, "dilation": layer.dilation}
