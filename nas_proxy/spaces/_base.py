"""What a search space is: named choices, the architectures they make, their features and their networks."""

from __future__ import annotations

import itertools
import math
from abc import ABC, abstractmethod
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, fields, is_dataclass, replace
from typing import TYPE_CHECKING, Any, ClassVar, Generic, Self, cast

import numpy as np
from numpy.typing import NDArray
from typing_extensions import TypeVar  # its default: SearchSpace alone is one of any architectures

from nas_proxy.errors import InputError, UnknownNameError, whole_number

if TYPE_CHECKING:
    import torch

__all__ = ["FeatureColumn", "SearchSpace"]

Arch = TypeVar("Arch", default=Any)
_ENUMERABLE = 2_000_000
_POOL = 2_000


@dataclass(frozen=True)
class FeatureColumn:
    """One documented column of :meth:`SearchSpace.features`."""

    name: str
    meaning: str
    unit: str


class SearchSpace(ABC, Generic[Arch]):
    """Architectures as vectors of choices.

    A space names its choices (``choices``: label -> options, in order); sampling, enumeration, NNI's search-space JSON
    and evolutionary search all work on the vector of option indices, the *code*. A subclass says how a code becomes an
    architecture and back, what its features are and how its network is built.

    Architectures are plain values (a string, a tuple, a mapping), so that they can be stored anywhere.

    A space with parameters (channels, classes, image size) is a frozen dataclass of positive integers.
    """

    name: ClassVar[str]
    choices: Mapping[str, tuple[Any, ...]]
    feature_columns: tuple[FeatureColumn, ...]

    # -- what a subclass says ----------------------------------------------------------------------------------------

    @abstractmethod
    def encode(self, archs: Sequence[Arch]) -> NDArray[np.int64]:
        """Codes of architectures: integers of shape ``(n, len(choices))``, also where ``n`` is 0.

        Raises:
            InputError: an architecture is not of this space (says which position and what was allowed).
        """

    @abstractmethod
    def decode(self, codes: NDArray[np.integer]) -> list[Arch]:
        """Architectures of codes of shape ``(n, len(choices))``, in canonical form."""

    @abstractmethod
    def to_str(self, arch: Arch) -> str:
        """The canonical text of an architecture; two architectures are the same iff their texts are."""

    @abstractmethod
    def from_str(self, text: str) -> Arch:
        """The architecture of a canonical text.

        Raises:
            InputError: the text is not an architecture of this space (says which position and what was allowed).
        """

    @abstractmethod
    def features(self, archs: Sequence[Arch]) -> NDArray[np.float64]:
        """Features of shape ``(n, len(feature_names))``, also where ``n`` is 0, from the encoding alone: no module is
        built."""

    @abstractmethod
    def build(self, arch: Arch, **parameters: Any) -> torch.nn.Module:
        """A trainable network of an architecture; ``parameters`` override the space's own for this network.

        Its input is a batch of :meth:`input_shape`, its output has the shape ``(batch, classes)``.

        Raises:
            InputError: the architecture is not of this space.
        """

    @abstractmethod
    def input_shape(self, arch: Arch) -> tuple[int, ...]:
        """Shape of one input of an architecture's network; of an image ``(channels, height, width)``."""

    def valid(self, codes: NDArray[np.integer]) -> NDArray[np.bool_]:
        """Which codes ``(n, len(choices))`` are architectures, ``(n,)``: all, unless a space says otherwise."""
        return np.ones(len(codes), dtype=bool)

    # -- what follows ------------------------------------------------------------------------------------------------

    @property
    def feature_names(self) -> tuple[str, ...]:
        """Names of the columns of :meth:`features`; ``feature_columns`` says what each means."""
        return tuple(column.name for column in self.feature_columns)

    @property
    def parameters(self) -> dict[str, Any]:
        """The space's parameters by name."""
        return {field.name: getattr(self, field.name) for field in fields(self)} if is_dataclass(self) else {}

    def with_parameters(self, **parameters: Any) -> Self:
        """The same space with some parameters changed.

        Raises:
            UnknownNameError: the space has no such parameter; the message names the closest.
            InputError: a value is not a positive integer.
        """
        for name in parameters:
            if name not in self.parameters:
                raise UnknownNameError(f"parameter of {self.name}", name, self.parameters)
        return replace(cast(Any, self), **parameters) if parameters else self

    def __post_init__(self) -> None:
        for name, value in self.parameters.items():
            if type(value) is not int or value < 1:
                raise InputError(f"{self.name}: {name} must be a positive integer, found {value!r}.")

    def one_hot(self, archs: Sequence[Arch]) -> NDArray[np.float64]:
        """One column an option of every choice, 1 where the architecture takes it, ``(n, options)``."""
        codes = self.encode(archs)
        columns = [codes[:, [i]] == np.arange(len(options)) for i, options in enumerate(self.choices.values())]
        return np.concatenate(columns, axis=1).astype(np.float64) if columns else np.zeros((len(archs), 0))

    @property
    def size(self) -> int:
        """Number of codes. (Several codes may be one architecture where choices can be idle.)"""
        return math.prod(len(options) for options in self.choices.values())

    def sample(self, n: int, seed: int) -> list[Arch]:
        """``n`` distinct architectures, drawn uniformly over codes.

        Raises:
            InputError: the space has fewer, or a number is no integer or negative.
        """
        n = whole_number(n, "the number of architectures to sample")
        found: dict[str, Arch] = {}
        for codes in self._random_codes(np.random.default_rng(whole_number(seed, "the seed")), batch=n):
            found |= {self.to_str(arch): arch for arch in self.decode(codes)}
            if len(found) >= n:
                return list(found.values())[:n]
        raise InputError(f"cannot sample {n} distinct architectures of {self.name}: found only {len(found)}.")

    def _random_codes(self, rng: np.random.Generator, batch: int) -> Iterator[NDArray[np.int64]]:
        """Batches of codes: each code once where the space can be listed, else drawn independently."""
        cardinalities = [len(options) for options in self.choices.values()]
        if self.enumerable:
            order = rng.permutation(self.size)
            for start in range(0, self.size, max(batch, 1)):
                codes = np.stack(np.unravel_index(order[start : start + batch], cardinalities), axis=1)
                yield codes[self.valid(codes)]
        else:
            for _ in range(100):
                codes = rng.integers(0, cardinalities, size=(batch, len(cardinalities)))
                yield codes[self.valid(codes)]

    def enumerate(self) -> list[Arch]:
        """All architectures, in lexicographic order of their codes.

        Raises:
            InputError: the space is too large to be listed.
        """
        if not self.enumerable:
            raise InputError(
                f"{self.name} has {self.size:.3g} architectures, too many to enumerate: use sample(n, seed) instead."
            )
        codes = np.array(list(itertools.product(*(range(len(options)) for options in self.choices.values()))))
        archs = self.decode(codes[self.valid(codes)])
        return list({self.to_str(arch): arch for arch in archs}.values())

    @property
    def enumerable(self) -> bool:
        """Whether :meth:`enumerate` can list the space."""
        return self.size <= _ENUMERABLE

    def pool(self, seed: int = 0) -> list[Arch]:
        """What to choose from: all architectures, or 2,000 at random where there are too many to list."""
        return self.enumerate() if self.enumerable else self.sample(_POOL, seed)

    def to_choices(self, arch: Arch) -> dict[str, Any]:
        """An architecture as NNI parameters, ``{label: option}``."""
        code = self.encode([arch])[0]
        return {label: options[i] for (label, options), i in zip(self.choices.items(), code, strict=True)}

    def from_choices(self, parameters: Mapping[str, Any]) -> Arch:
        """The architecture of NNI parameters ``{label: option}``.

        Raises:
            InputError: a label is missing or unknown, or an option is not among its choices.
        """
        if set(parameters) != set(self.choices):
            missing, extra = set(self.choices) - set(parameters), set(parameters) - set(self.choices)
            raise InputError(
                f"parameters are not of {self.name}: missing labels {sorted(missing)}, unknown labels {sorted(extra)}."
            )
        for label, options in self.choices.items():
            if parameters[label] not in options:
                raise InputError(f"{label}: expected one of {list(options)}, found {parameters[label]!r}.")
        code = [options.index(parameters[label]) for label, options in self.choices.items()]
        return self.decode(np.array([code]))[0]

    def nni_search_space(self) -> dict[str, Any]:
        """NNI's search-space JSON of this space (also in ``search_spaces/<name>.json``)."""
        return {label: {"_type": "choice", "_value": list(options)} for label, options in self.choices.items()}
