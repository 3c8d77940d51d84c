"""Any NNI model space as a search space, without writing a feature of it.

Building a candidate of an NNI space takes a second, so features cannot come from built candidates. A few are built
once, on the meta device, and what each choice contributes to multiply-accumulates, activations, parameters and
kernels is learnt from them (see :mod:`nas_proxy.spaces._contributions`). After that a sample costs microseconds.
"""

from __future__ import annotations

import contextlib
import copy
import itertools
import json
import math
import operator
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np
import torch
from numpy.typing import NDArray

from nas_proxy.errors import InputError, whole_number
from nas_proxy.spaces._base import FeatureColumn, SearchSpace
from nas_proxy.spaces._contributions import Contributions
from nas_proxy.spaces._kinds import COMPUTE, KINDS
from nas_proxy.spaces._trace import KernelCall, built_on_meta, trace

if TYPE_CHECKING:
    from nni.nas.nn.pytorch import ModelSpace

__all__ = ["NniSpace", "space_from_nni"]

_LARGEST_CHOICE = 4096
_BATCH, _WITHIN = 16, 0.9
_LEARNT = (
    *(FeatureColumn(f"macs_{kind}", f"multiply-accumulates of {what}", "MAC") for kind, what in COMPUTE.items()),
    *(FeatureColumn(f"bytes_{kind}", f"activation traffic of {what}", "bytes") for kind, what in KINDS.items()),
    *(FeatureColumn(f"kernels_{kind}", f"number of {what}", "kernels") for kind, what in KINDS.items()),
    FeatureColumn("weights", "weights of all kernels", "values"),
)
_TOTALS = (
    FeatureColumn("macs", "multiply-accumulates of all kernels", "MAC"),
    FeatureColumn("bytes", "activation traffic of all kernels", "bytes"),
    FeatureColumn("kernels", "kernels executed", "kernels"),
)
_COLUMN = {column.name: i for i, column in enumerate(_LEARNT)}
_SUMS = np.array([[column.name.startswith(f"{total.name}_") for total in _TOTALS] for column in _LEARNT], dtype=float)


class NniSpace(SearchSpace[dict[str, Any]]):
    """Architectures are NNI samples, ``{label: option}``; see :func:`space_from_nni` for the arguments.

    For commands, which know a space as ``module:Class``, write a subclass whose constructor takes no arguments.

    Attributes:
        relative_error: of the learnt multiply-accumulates: nine of ten candidates, predicted before they were learnt
            from, were nearer.
        n_built: how many candidates were built to learn.
    """

    name: ClassVar[str] = "nni"

    def __init__(
        self,
        model_space: ModelSpace,
        input_shape: tuple[int, ...] = (3, 224, 224),
        *,
        seed: int = 0,
        tolerance: float = 0.01,
        most: int = 256,
    ) -> None:
        self.model_space = model_space
        self.name = f"nni:{type(model_space).__name__}"  # pyright: ignore[reportAttributeAccessIssue]
        self.choices, self._constraints = _choices(model_space)
        self._index = [{_key(option): i for i, option in enumerate(o)} for o in self.choices.values()]
        self._nested = [any(_key(option) is not option for option in o) for o in self.choices.values()]
        self._shape = tuple(whole_number(size, f"{self.name}: input_shape", least=1) for size in input_shape)
        self._shapes_only = copy.deepcopy(model_space).to("meta")
        self.relative_error = math.inf
        self._learn(seed, tolerance, most)

    # -- encoding ----------------------------------------------------------------------------------------------------

    def encode(self, archs: Sequence[Mapping[str, Any]]) -> NDArray[np.int64]:
        """As :meth:`SearchSpace.encode`."""
        codes = np.empty((len(archs), len(self.choices)), dtype=np.int64)
        try:
            for column, (label, index) in enumerate(zip(self.choices, self._index, strict=True)):
                options = map(operator.itemgetter(label), archs)
                codes[:, column] = list(map(index.__getitem__, map(_key, options) if self._nested[column] else options))
        except (KeyError, TypeError):
            for arch in archs:
                self._check(arch)
            raise
        if not self.valid(codes).all():
            for arch in archs:
                self._check(arch)
        return codes

    def decode(self, codes: NDArray[np.integer]) -> list[dict[str, Any]]:
        """As :meth:`SearchSpace.decode`."""
        return [
            {label: copy.copy(options[i]) for (label, options), i in zip(self.choices.items(), code, strict=True)}
            for code in np.asarray(codes).tolist()
        ]

    def valid(self, codes: NDArray[np.integer]) -> NDArray[np.bool_]:
        """As :meth:`SearchSpace.valid`."""
        if not self._constraints:
            return super().valid(codes)
        samples = self.decode(codes)
        return np.array([self._violation(sample) is None for sample in samples], dtype=bool)

    def to_str(self, arch: Mapping[str, Any]) -> str:
        """JSON, labels in the order of the space."""
        self._check(arch)
        return json.dumps({label: arch[label] for label in self.choices})

    def from_str(self, text: str) -> dict[str, Any]:
        """As :meth:`SearchSpace.from_str`."""
        try:
            arch = json.loads(text)
        except (TypeError, ValueError) as error:
            raise InputError(
                f"{self.name}: expected a JSON object {{label: option}}, found {text!r}: {error}"
            ) from None
        self._check(arch)
        return self.decode(self.encode([arch]))[0]

    def _check(self, arch: Any) -> None:
        if not isinstance(arch, Mapping):
            raise InputError(f"{self.name}: expected a mapping of labels to options, found {arch!r}.")
        try:
            self.from_choices(arch)
        except InputError as error:
            raise InputError(f"{self.name}: {error}") from None
        if (violation := self._violation(dict(arch))) is not None:
            raise InputError(f"{self.name}: the space's constraints forbid this sample: {violation}")

    def _violation(self, sample: dict[str, Any]) -> Exception | None:
        return next((v for c in self._constraints if (v := c.check_contains(sample)) is not None), None)

    # -- features ----------------------------------------------------------------------------------------------------

    def features(self, archs: Sequence[Mapping[str, Any]]) -> NDArray[np.float64]:
        """As :meth:`SearchSpace.features`."""
        costs = self._contributions.predict(self.encode(archs))
        return np.hstack([costs @ _SUMS, costs[:, self._seen]])

    def _learn(self, seed: int, tolerance: float, most: int) -> None:
        """Build candidates in batches until nine of ten of a batch are predicted within ``tolerance`` beforehand."""
        archs = self._examples(seed, most)
        codes, examples = self.encode(archs), []
        for start in range(0, len(archs), _BATCH):
            costs = [self._costs(arch) for arch in archs[start : start + _BATCH]]
            if examples:
                predicted = (self._contributions.predict(codes[start : start + _BATCH]) @ _SUMS)[:, 0]
                macs = [sum(amount for (_, column), amount in cost.items() if _SUMS[column, 0]) for cost in costs]
                self.relative_error = float(np.quantile(np.abs(predicted / macs - 1), _WITHIN))
            examples += costs
            self._fit(codes[: len(examples)], examples)
            if self.relative_error <= tolerance:
                break

    def _examples(self, seed: int, most: int) -> list[dict[str, Any]]:
        if self.enumerable:
            archs = self.enumerate()
            order = np.random.default_rng(seed).permutation(len(archs))
            return [archs[i] for i in order[:most]]
        return self.sample(most, seed)

    def _fit(self, codes: NDArray[np.int64], examples: Sequence[Mapping[tuple[str, int], float]]) -> None:
        keys = sorted(set().union(*examples))
        terms = np.array([[example.get(key, 0.0) for key in keys] for example in examples])
        columns = np.array([column for _, column in keys])
        cardinalities = [len(options) for options in self.choices.values()]
        self._contributions = Contributions(codes, cardinalities, terms, columns, len(_LEARNT))
        self._seen = np.unique(columns)
        self.feature_columns = (*_TOTALS, *(_LEARNT[i] for i in self._seen))
        self.n_built = len(examples)

    def _costs(self, arch: Mapping[str, Any]) -> dict[tuple[str, int], float]:
        """Costs of a candidate's modules, by module and column."""
        try:
            kernels = self._kernels(arch)
        except Exception as error:  # of the user's code
            guilty = self._guilty(arch)
            advice = (
                f"It runs with another option of {guilty!r}: leave the option {arch[guilty]!r} out of that choice, or "
                "forbid it by a constraint."
                if guilty
                else "Give the shape of one input of the space as input_shape, such as (channels, height, width)."
            )
            raise InputError(
                f"{self.name}: the candidate {self.to_str(arch)} does not run on an input of shape {self._shape}: "
                f"{type(error).__name__}: {error}. {advice}"
            ) from error
        costs: dict[tuple[str, int], float] = {}
        for kernel in kernels:
            for name, amount in (
                (f"macs_{kernel.kind}", kernel.macs),
                (f"bytes_{kernel.kind}", kernel.bytes_read + kernel.bytes_written),
                (f"kernels_{kernel.kind}", 1),
                ("weights", kernel.weights),
            ):
                if amount:
                    key = (kernel.module, _COLUMN[name])
                    costs[key] = costs.get(key, 0.0) + amount
        return costs

    def _kernels(self, arch: Mapping[str, Any]) -> tuple[KernelCall, ...]:
        with built_on_meta():
            network = self._shapes_only.freeze(dict(arch))
            image = torch.empty(1, *self._shape)
        return trace(network, image).kernels

    def _guilty(self, arch: Mapping[str, Any]) -> str | None:
        """The first choice with another option of which a candidate that does not run would run; None: there is none.

        Two other options of each are tried, for each takes as long as a candidate.
        """
        for label, options in self.choices.items():
            for option in [option for option in options if _key(option) != _key(arch[label])][:2]:
                other = {**arch, label: option}
                if self._violation(other) is None:
                    with contextlib.suppress(Exception):
                        self._kernels(other)
                        return label
        return None

    # -- network -----------------------------------------------------------------------------------------------------

    def input_shape(self, arch: Mapping[str, Any]) -> tuple[int, ...]:
        """As :meth:`SearchSpace.input_shape`."""
        return self._shape

    def build(self, arch: Mapping[str, Any], **parameters: Any) -> torch.nn.Module:
        """The model space frozen to ``arch``."""
        self.with_parameters(**parameters)
        self._check(arch)
        return self.model_space.freeze(dict(arch))


def space_from_nni(
    model_space: ModelSpace,
    input_shape: tuple[int, ...] = (3, 224, 224),
    *,
    seed: int = 0,
    tolerance: float = 0.01,
    most: int = 256,
) -> NniSpace:
    """Make an NNI model space a search space.

    Args:
        model_space: any NNI model space of categorical choices.
        input_shape: of one input: of an image ``(channels, height, width)``, of a signal ``(channels, length)``.
        seed: of the candidates that are built to learn from.
        tolerance: relative error of multiply-accumulates; where nine of ten are nearer, no more candidates are built.
        most: largest number of candidates to build; each takes about half a second.

    Raises:
        InputError: a choice is continuous, or a candidate does not run on an input of ``input_shape`` (says whether
            that is because of one of its choices, and of which).
    """
    return NniSpace(model_space, input_shape, seed=seed, tolerance=tolerance, most=most)


def _choices(model_space: ModelSpace) -> tuple[dict[str, tuple[Any, ...]], list[Any]]:
    """Options by label, and the constraints between them."""
    from nni.mutable import Categorical, CategoricalMultiple
    from nni.mutable.annotation import Constraint

    choices: dict[str, tuple[Any, ...]] = {}
    constraints = []
    for label, mutable in model_space.simplify().items():
        if isinstance(mutable, Constraint):
            constraints.append(mutable)
        elif isinstance(mutable, Categorical):
            choices[str(label)] = tuple(mutable.values)
        elif isinstance(mutable, CategoricalMultiple):
            choices[str(label)] = tuple(itertools.islice(mutable.grid(), _LARGEST_CHOICE + 1))
        else:
            raise InputError(
                f"{label}: expected a choice among listed options, found {mutable!r}. Replace it by a choice of values."
            )
        if label in choices and len(choices[label]) > _LARGEST_CHOICE:
            raise InputError(f"{label}: {mutable!r} has more than {_LARGEST_CHOICE} options; choose fewer at once.")
    if not choices:
        raise InputError(f"{type(model_space).__name__} has no choices: is it a ModelSpace with labelled mutables?")
    return choices, constraints


def _key(option: Any) -> Any:
    """What an option is known by: itself, or its text where it cannot be a key (and a tuple is as a list)."""
    return json.dumps(option) if isinstance(option, list | tuple | dict) else option
