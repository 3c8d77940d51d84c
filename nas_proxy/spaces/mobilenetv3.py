"""The Once-for-All family of MobileNetV3 (Cai et al., ICLR 2020): kernel, expansion, depth and resolution.

Five stages of up to four mobile blocks; stages 1, 3 and 4 have squeeze-and-excitation.
"""

# What a caller hands in is checked, whatever its annotation says.
# pyright: reportUnnecessaryIsInstance=false

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cache, cached_property
from typing import TYPE_CHECKING, Any, ClassVar, TypedDict

import numpy as np
from numpy.typing import NDArray

from nas_proxy.errors import InputError, from_extra
from nas_proxy.spaces._base import FeatureColumn, SearchSpace
from nas_proxy.spaces._cost import TALLY, add, conv, halve, inverted_residual, linear, pool, tally
from nas_proxy.spaces._mobilenetv3_stages import (
    EXPANDED_CHANNELS,
    HEAD_CHANNELS,
    STAGES,
    STEM_CHANNELS,
    LayerPosition,
    inner_channels,
)

if TYPE_CHECKING:
    import torch

__all__ = ["Arch", "MobileNetV3"]


class Arch(TypedDict):
    """Kernel sizes and expansions of 5 x 4 layers, layers of each stage, image size.

    A stage of ``d`` layers uses the first ``d`` of its four entries; the others count for nothing.
    """

    ks: list[int]
    e: list[int]
    d: list[int]
    r: int


KERNELS, EXPANSIONS, DEPTHS = (3, 5, 7), (3, 4, 6), (2, 3, 4)
RESOLUTIONS = tuple(range(128, 257, 4))
_DEEPEST = max(DEPTHS)
_LAYERS = len(STAGES) * _DEEPEST
_OPTIONS: dict[str, tuple[tuple[int, ...], int]] = {
    "ks": (KERNELS, _LAYERS),
    "e": (EXPANSIONS, _LAYERS),
    "d": (DEPTHS, len(STAGES)),
}
_PER_STAGE = ("macs_pointwise", "macs_depthwise", "bytes_pointwise", "bytes_depthwise", "kernels")
_TALLY_INDEX = {column.name: i for i, column in enumerate(TALLY)}


def _positions() -> tuple[LayerPosition, ...]:
    found: list[LayerPosition] = []
    channels, halvings = STEM_CHANNELS, 1
    for index, stage in enumerate(STAGES):
        for layer in range(_DEEPEST):
            found.append(LayerPosition(index, channels, stage.channels, stage.stride if layer == 0 else 1, halvings))
            channels, halvings = stage.channels, halvings + (found[-1].stride == 2)
    return tuple(found)


POSITIONS = _positions()


@dataclass(frozen=True)
class MobileNetV3(SearchSpace[Arch]):
    """The Once-for-All family of MobileNetV3: kernel, expansion, depth and resolution.

    Architectures are mappings ``{"ks": [20], "e": [20], "d": [5], "r": int}``, see :class:`Arch`.

    Args:
        classes: outputs of the classifier.
        input_channels: channels of the input.
    """

    classes: int = 1000
    input_channels: int = 3

    name: ClassVar[str] = "mobilenetv3"
    choices = {  # noqa: RUF012
        **{f"{key}_{i}": options for key, (options, n) in _OPTIONS.items() for i in range(n)},
        "r": RESOLUTIONS,
    }

    # -- encoding ----------------------------------------------------------------------------------------------------

    def encode(self, archs: Sequence[Arch]) -> NDArray[np.int64]:
        """Codes in canonical form: layers that do not exist have code 0."""
        for arch in archs:
            _check(arch)
        codes = [
            [
                *(KERNELS.index(k) if _exists(arch, i) else 0 for i, k in enumerate(arch["ks"])),
                *(EXPANSIONS.index(e) if _exists(arch, i) else 0 for i, e in enumerate(arch["e"])),
                *(DEPTHS.index(depth) for depth in arch["d"]),
                RESOLUTIONS.index(arch["r"]),
            ]
            for arch in archs
        ]
        return np.array(codes, dtype=np.int64).reshape(len(archs), len(self.choices))

    def decode(self, codes: NDArray[np.integer]) -> list[Arch]:
        """As :meth:`SearchSpace.decode`."""
        ks, e, d, r = np.split(np.asarray(codes), [_LAYERS, 2 * _LAYERS, 2 * _LAYERS + len(STAGES)], axis=1)
        exists = _existing(d)
        return [
            Arch(ks=kernels, e=expansions, d=depths, r=resolution)
            for kernels, expansions, depths, resolution in zip(
                np.take(KERNELS, np.where(exists, ks, 0)).tolist(),
                np.take(EXPANSIONS, np.where(exists, e, 0)).tolist(),
                np.take(DEPTHS, d).tolist(),
                np.take(RESOLUTIONS, r[:, 0]).tolist(),
                strict=True,
            )
        ]

    def to_str(self, arch: Arch) -> str:
        """Resolution, then the layers of each stage that exist: ``r224|k3e6-k5e4|...``."""
        _check(arch)
        stages = [
            "-".join(f"k{arch['ks'][i]}e{arch['e'][i]}" for i in range(stage * _DEEPEST, stage * _DEEPEST + depth))
            for stage, depth in enumerate(arch["d"])
        ]
        return "|".join([f"r{arch['r']}", *stages])

    def from_str(self, text: str) -> Arch:
        """As :meth:`SearchSpace.from_str`."""
        expected = f"a text such as {self.to_str(self.decode(np.zeros((1, len(self.choices)), int))[0])!r}"
        if not isinstance(text, str):
            raise InputError(f"mobilenetv3: expected {expected}, found {text!r}.")
        resolution, *stages = text.split("|")
        if len(stages) != len(STAGES):
            raise InputError(f"mobilenetv3: expected {expected}, found {len(stages)} stages in {text!r}.")
        arch = Arch(ks=[], e=[], d=[], r=_number(resolution, "r", text))
        for stage in stages:
            layers = stage.split("-")
            for layer in layers:
                kernel, mark, expansion = layer.partition("e")
                arch["ks"].append(_number(kernel, "k", text))
                arch["e"].append(_number(mark + expansion, "e", text))
            for key, options in (("ks", KERNELS), ("e", EXPANSIONS)):
                arch[key] += [options[0]] * (_DEEPEST - len(layers))
            arch["d"].append(len(layers))
        _check(arch)
        return arch

    # -- features ----------------------------------------------------------------------------------------------------

    @cached_property
    def feature_columns(self) -> tuple[FeatureColumn, ...]:  # pyright: ignore[reportIncompatibleVariableOverride]
        """Resolution, options used, layers and costs of each stage, costs of the whole network."""
        tallied = {column.name: column for column in TALLY}
        return (
            FeatureColumn("resolution", "height and width of the input image", "pixels"),
            *(FeatureColumn(f"count_k{k}", f"layers with a kernel of {k}x{k}", "layers") for k in KERNELS),
            *(FeatureColumn(f"count_e{e}", f"layers that expand the channels {e} times", "layers") for e in EXPANSIONS),
            *(FeatureColumn(f"depth_{i}", f"layers in stage {i}", "layers") for i in range(len(STAGES))),
            *(TALLY[int(i)] for i in _varying()),
            *(
                FeatureColumn(f"stage{i}_{name}", f"{tallied[name].meaning}, of stage {i}", tallied[name].unit)
                for name in _PER_STAGE
                for i in range(len(STAGES))
            ),
        )

    def features(self, archs: Sequence[Arch]) -> NDArray[np.float64]:
        """As :meth:`SearchSpace.features`."""
        codes = self.encode(archs)
        ks, e, d, r = np.split(codes, [_LAYERS, 2 * _LAYERS, 2 * _LAYERS + len(STAGES)], axis=1)
        exists = _existing(d)
        operator = np.where(exists, ks * len(EXPANSIONS) + e, len(KERNELS) * len(EXPANSIONS))
        stages = np.empty((len(codes), len(STAGES), len(TALLY)))
        outside = np.empty((len(codes), len(TALLY)))
        for code in np.unique(r):
            rows = np.flatnonzero(r[:, 0] == code)
            cost = _table(RESOLUTIONS[int(code)])[np.arange(_LAYERS), operator[rows]]  # (rows, layers, len(TALLY))
            stages[rows] = cost.reshape(len(rows), len(STAGES), _DEEPEST, len(TALLY)).sum(axis=2)
            outside[rows] = self._outside(RESOLUTIONS[int(code)])
        return np.column_stack(
            [
                np.take(RESOLUTIONS, r),
                *((exists & (ks == k)).sum(axis=1) for k in range(len(KERNELS))),
                *((exists & (e == k)).sum(axis=1) for k in range(len(EXPANSIONS))),
                np.take(DEPTHS, d),
                (outside + stages.sum(axis=1))[:, _varying()],
                *(stages[:, :, _TALLY_INDEX[name]] for name in _PER_STAGE),
            ]
        ).astype(np.float64)

    def _outside(self, resolution: int) -> NDArray[np.float64]:
        """Cost of stem, first block, head and classifier, ``(len(TALLY),)``."""
        stem, last = halve(resolution), halve(resolution, 2**5)
        return tally(
            [
                conv(self.input_channels, STEM_CHANNELS, 3, resolution, stride=2),
                conv(STEM_CHANNELS, STEM_CHANNELS, 3, stem, groups=STEM_CHANNELS),
                conv(STEM_CHANNELS, STEM_CHANNELS, 1, stem),
                add(STEM_CHANNELS, stem),
                conv(STAGES[-1].channels, EXPANDED_CHANNELS, 1, last),
                pool(EXPANDED_CHANNELS, last, 1),
                conv(EXPANDED_CHANNELS, HEAD_CHANNELS, 1, 1, batch_norm=False),
                linear(HEAD_CHANNELS, self.classes),
            ]
        )

    # -- network -----------------------------------------------------------------------------------------------------

    def input_shape(self, arch: Arch) -> tuple[int, int, int]:
        """As :meth:`SearchSpace.input_shape`."""
        _check(arch)
        return (self.input_channels, arch["r"], arch["r"])

    def build(self, arch: Arch, **parameters: Any) -> torch.nn.Module:
        """The network of an architecture, of timm's blocks; ``parameters`` override the space's own.

        Raises:
            MissingDependencyError: torch or timm is not installed.
        """
        space = self.with_parameters(**parameters)
        _check(arch)
        with from_extra("timm", "a network of mobilenetv3"):
            from nas_proxy.spaces._mobilenetv3_network import MobileNetV3Network

        layers = [(POSITIONS[i], arch["ks"][i], arch["e"][i]) for i in range(_LAYERS) if _exists(arch, i)]
        return MobileNetV3Network(layers, space.classes, space.input_channels)


def _exists(arch: Mapping[str, Any], layer: int) -> bool:
    return layer % _DEEPEST < arch["d"][layer // _DEEPEST]


def _existing(depth_codes: NDArray[np.integer]) -> NDArray[np.bool_]:
    """Which of the 20 layers exist: ``(n, 5)`` depth codes to ``(n, 20)`` booleans."""
    depths = np.take(DEPTHS, depth_codes)
    return (np.arange(_DEEPEST) < depths[:, :, None]).reshape(len(depths), _LAYERS)


@cache
def _table(resolution: int) -> NDArray[np.float64]:
    """Cost at a resolution of each kernel and expansion at each layer, ``(20, 10, len(TALLY))``; the last is none."""

    def cost(at: LayerPosition, kernel: int, expansion: int) -> NDArray[np.float64]:
        inner = inner_channels(at.channels_in, expansion)
        squeezed = inner_channels(inner, 1 / 4) if STAGES[at.stage].squeeze else 0
        size = halve(resolution, 2**at.halvings)
        return tally(
            inverted_residual(at.channels_in, inner, at.channels_out, kernel, size, at.stride, c_squeezed=squeezed)
        )

    nothing = np.zeros(len(TALLY))
    return np.array([[*(cost(at, k, e) for k in KERNELS for e in EXPANSIONS), nothing] for at in POSITIONS])


@cache
def _varying() -> NDArray[np.int64]:
    """Which of ``TALLY`` the layers have at all."""
    return np.flatnonzero(_table(RESOLUTIONS[0]).any(axis=(0, 1)))


def _check(arch: Mapping[str, Any]) -> None:
    """Raise the error that says where ``arch`` is not an architecture."""
    if not isinstance(arch, Mapping) or set(arch) != {"ks", "e", "d", "r"}:
        raise InputError(f"mobilenetv3: expected a mapping with 'ks' (20), 'e' (20), 'd' (5) and 'r', found {arch!r}.")
    for key in ("d", "ks", "e"):  # depths first: they say which of the others count
        options, n = _OPTIONS[key]
        values: Sequence[Any] = arch[key]
        if not isinstance(values, Sequence) or len(values) != n:
            raise InputError(f"mobilenetv3: {key}: expected {n} values, found {values!r}.")
        for i, value in enumerate(values):
            if value not in options and (key == "d" or _exists(arch, i)):
                raise InputError(f"mobilenetv3: {key}[{i}]: expected one of {options}, found {value!r}.")
    if arch["r"] not in RESOLUTIONS:
        raise InputError(
            f"mobilenetv3: r: expected {RESOLUTIONS[0]}, {RESOLUTIONS[1]}, ... {RESOLUTIONS[-1]}, found {arch['r']!r}."
        )


def _number(word: str, letter: str, text: str) -> int:
    digits = word.removeprefix(letter)
    if digits == word or not digits.isdecimal():
        raise InputError(f"mobilenetv3: expected {letter!r} and a number, found {word!r} in {text!r}.")
    return int(digits)
