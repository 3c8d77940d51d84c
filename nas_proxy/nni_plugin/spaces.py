"""Between NNI's search spaces and samples, and this package's spaces and architectures."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from nas_proxy.errors import InputError
from nas_proxy.spaces import SearchSpace

if TYPE_CHECKING:
    from nas_proxy.search import LatencyModel

__all__ = ["require_search_space", "sample_of", "space_of"]


def space_of(latency: LatencyModel, space: SearchSpace | None, model_space: Any) -> SearchSpace:
    """The search space of a latency model: the one given, or the one the model was fitted on.

    Raises:
        InputError: it is not known, or has other choices than NNI's ``model_space``.
    """
    space = space or getattr(latency, "space", None) or getattr(getattr(latency, "proxy", None), "space", None)
    if space is None:
        raise InputError(f"{latency!r} does not say its search space: give it as space=space_from_nni(model_space).")
    labels = {str(label) for label, mutable in model_space.simplify().items() if not _is_constraint(mutable)}
    if labels != set(space.choices):
        missing, unknown = sorted(labels - set(space.choices)), sorted(set(space.choices) - labels)
        raise InputError(
            f"the latency model is of {space.name}, which is not the model space that is searched: its choices lack "
            f"{missing} and have {unknown} besides. Fit it on space_from_nni(model_space)."
        )
    return space


def sample_of(sample: Mapping[str, Any], space: SearchSpace) -> Any:
    """The architecture of an NNI sample, whose keys are NNI's own kind of string.

    Raises:
        InputError: the sample is not of the space.
    """
    return space.from_choices({str(label): option for label, option in sample.items() if str(label) in space.choices})


def require_search_space(space: SearchSpace, found: Any) -> None:
    """Raises InputError unless ``found``, of NNI's configuration, is the JSON of ``space``."""
    if json.dumps(found, sort_keys=True) != json.dumps(space.nni_search_space(), sort_keys=True):
        raise InputError(
            f"the experiment's search space is not that of {space.name}: "
            f"give search_spaces/{space.name}.json, as it is, as `searchSpaceFile`."
        )


def _is_constraint(mutable: Any) -> bool:
    from nni.mutable.annotation import MutableAnnotation

    return isinstance(mutable, MutableAnnotation)
