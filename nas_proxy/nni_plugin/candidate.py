"""What travels between tuner and trial: a candidate in NNI's parameters, and its accuracy in NNI's metric."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import TYPE_CHECKING, Any

from nas_proxy.errors import InputError
from nas_proxy.spaces import SearchSpace, get_space

if TYPE_CHECKING:
    import torch

__all__ = ["Candidate", "as_metric"]

#: NNI's parameters hold a candidate under this key, beside its choices by label.
_KEY = "nas_proxy"


@dataclass(frozen=True)
class Candidate:
    """An architecture to evaluate.

    Attributes:
        space: name of its search space.
        arch: its canonical text.
        latency_ms: predicted latency on each target.
        space_parameters: parameters of the space, such as channels.
    """

    space: str
    arch: str
    latency_ms: Mapping[str, float]
    space_parameters: Mapping[str, int] = field(default_factory=dict)

    def make_space(self) -> SearchSpace:
        """The search space, with its parameters."""
        return get_space(self.space, trusted=True, **self.space_parameters)

    def build(self, **parameters: Any) -> torch.nn.Module:
        """The trainable network; ``parameters`` override the space's, such as ``classes=10``."""
        space = self.make_space()
        return space.build(space.from_str(self.arch), **parameters)

    def to_parameters(self) -> dict[str, Any]:
        """NNI's parameters: the choices by label, as in NNI's search space, and the candidate itself."""
        space = self.make_space()
        return space.to_choices(space.from_str(self.arch)) | {_KEY: asdict(self)}

    @staticmethod
    def arch_in(parameters: Any, space: SearchSpace | None = None) -> str | None:
        """The canonical text in NNI's parameters, None where they are not of this package.

        With ``space``, choices by label alone will do too: those of data that users import into an experiment.
        """
        if not isinstance(parameters, Mapping):
            return None
        if isinstance(found := parameters.get(_KEY), Mapping):
            return found["arch"]
        if space is not None and set(parameters) == set(space.choices):
            return space.to_str(space.from_choices(parameters))
        return None

    @classmethod
    def from_parameters(cls, parameters: Any) -> Candidate:
        """The candidate in NNI's parameters.

        Raises:
            InputError: they come from another tuner.
        """
        if cls.arch_in(parameters) is None:
            raise InputError(
                f"the trial's parameters hold no {_KEY!r}: expected those of ProxyTuner, found {parameters!r}. "
                "Run the trial through an experiment whose tuner is nas_proxy.ProxyTuner."
            )
        return cls(**parameters[_KEY])


def as_metric(accuracy: float, latency_ms: Mapping[str, float]) -> dict[str, float]:
    """What a trial reports to NNI: ``default`` (the accuracy, which NNI maximises) and the predicted latencies."""
    return {"default": accuracy, "accuracy": accuracy} | {f"latency_ms/{name}": ms for name, ms in latency_ms.items()}
