"""Where a layer is mapped: a spatial array of processing elements (PEs) under a buffer and DRAM."""

from __future__ import annotations

from typing import Annotated, Any, Literal

import numpy as np
from numpy.typing import NDArray
from pydantic import BeforeValidator, Field, field_validator, model_validator

from nas_proxy.errors import InputError, did_you_mean
from nas_proxy.mapping.layer import DIMS, TENSORS, Layer
from nas_proxy.schema import Spec

__all__ = ["LEVELS", "Accelerator", "Buffer", "Constraints", "Levels"]

#: Storage levels, inner to outer: register file of each PE, global buffer, DRAM.
LEVELS = ("RF", "GLB", "DRAM")


def _one_of(what: str, known: tuple[str, ...]) -> Any:
    def check(value: Any) -> Any:
        if isinstance(value, str) and value not in known:
            raise ValueError(f"unknown {what} {value!r}.{did_you_mean(value, known)} Known: {', '.join(known)}.")
        return value

    return BeforeValidator(check)


Dim = Annotated[str, _one_of("dimension", DIMS)]
Tensor = Annotated[str, _one_of("tensor", TENSORS)]
Positive = Annotated[float, Field(gt=0)]
NonNegative = Annotated[float, Field(ge=0)]


class Buffer(Spec):
    """One storage level.

    Attributes:
        capacity_words: words of each instance; one number where all tensors share a pool, or a number for each group
            of tensors, such as ``{W: 224, I: 12, O: 24}`` or ``{IO: 1000, W: 500}``. None: unbounded.
        read_energy_pj, write_energy_pj: energy of one word.
        read_words_per_cycle, write_words_per_cycle: bandwidth of each instance; None: unlimited.
        shared_port: reads and writes share one port, ``read_words_per_cycle`` wide.
        double_buffered: each kept tile takes its space twice, so that the next one loads while it is used.
    """

    capacity_words: int | dict[str, int] | None = None
    read_energy_pj: NonNegative
    write_energy_pj: NonNegative
    read_words_per_cycle: Positive | None = None
    write_words_per_cycle: Positive | None = None
    shared_port: bool = False
    double_buffered: bool = False

    @field_validator("capacity_words")
    @classmethod
    def _pools(cls, value: int | dict[str, int] | None) -> int | dict[str, int] | None:
        pools = value if isinstance(value, dict) else {"WIO": 1 if value is None else value}
        letters = "".join(pools)
        if sorted(letters) != sorted(TENSORS):
            raise ValueError(f"each of W, I, O must be in exactly one pool, found pools {', '.join(pools)}")
        if any(words < 1 for words in pools.values()):
            raise ValueError("capacities must be positive")
        return value

    @property
    def pools(self) -> tuple[tuple[str, float], ...]:
        """Tensors and words (infinite where unbounded) of each pool."""
        if self.capacity_words is None:
            return (("WIO", np.inf),)
        pools = self.capacity_words if isinstance(self.capacity_words, dict) else {"WIO": self.capacity_words}
        return tuple((tensors, float(words)) for tensors, words in pools.items())


class Levels(Spec):
    """The three storage levels; larger hierarchies are collapsed to them (each device file says how)."""

    RF: Buffer
    GLB: Buffer
    DRAM: Buffer


class Constraints(Spec):
    """What the silicon fixes of a mapping; None: free.

    Attributes:
        x, y: dimensions that may be unrolled over columns and rows.
        register_dims: dimensions that may iterate inside a PE (temporal loops of the register file).
        glb_keep: tensors that must be (``True``) or cannot be (``False``) kept in the global buffer.
    """

    x: tuple[Dim, ...] | None = None
    y: tuple[Dim, ...] | None = None
    register_dims: tuple[Dim, ...] | None = None
    glb_keep: dict[Tensor, bool] = Field(default_factory=dict)

    @field_validator("x", "y", "register_dims")
    @classmethod
    def _named_once(cls, dims: tuple[Dim, ...] | None) -> tuple[Dim, ...] | None:
        if twice := [d for i, d in enumerate(dims or ()) if d in (dims or ())[:i]]:
            raise ValueError(f"dimension {twice[0]!r} is named twice")
        return dims


class Accelerator(Spec):
    """A spatial accelerator. Capacities and bandwidths are in words of ``word_bits``; energies in pJ.

    Attributes:
        pe_rows, pe_cols: the array, Y and X axis; each PE does one MAC a cycle.
        mac_energy_pj: energy of one multiply-accumulate.
        noc_energy_pj: energy of a word between buffer and one PE (every receiver of a multicast pays).
        leakage_pj_per_cycle: static energy of the whole chip.
        spatial_reduction: partial sums are added on their way out of the array; otherwise each PE's are written.
        systolic: operands ripple through the array: each new set of weights costs ``rows + cols - 2`` cycles of skew,
            and ``rows`` more to load, unless ``weights_preloaded`` behind the previous ones.
        prologue: add the time before the first MAC (first tiles in) and after the last (last tile out).
        layer_kinds: what it can run.
    """

    kind: Literal["spatial"] = "spatial"
    description: str = ""
    word_bits: Annotated[int, Field(gt=0)]
    clock_mhz: Positive = 1000.0
    pe_rows: Annotated[int, Field(gt=0)]
    pe_cols: Annotated[int, Field(gt=0)]
    mac_energy_pj: NonNegative
    noc_energy_pj: NonNegative = 0.0
    leakage_pj_per_cycle: NonNegative = 0.0
    spatial_reduction: bool = True
    systolic: bool = False
    weights_preloaded: bool = False
    prologue: bool = False
    layer_kinds: tuple[Literal["conv", "dwconv", "gemm", "fc"], ...] = ("conv", "dwconv", "gemm", "fc")
    constraints: Constraints = Constraints()
    levels: Levels

    @model_validator(mode="before")
    @classmethod
    def _levels_known(cls, data: Any) -> Any:
        for name in data.get("levels") or () if isinstance(data, dict) else ():
            if name not in LEVELS:
                hint, known = did_you_mean(name, LEVELS), ", ".join(LEVELS)
                raise ValueError(f"unknown level {name!r} in 'levels'.{hint} Known: {known}.")
        return data

    @model_validator(mode="after")
    def _room_for_one(self) -> Accelerator:
        for name in LEVELS[:2]:
            buffer: Buffer = getattr(self.levels, name)
            for tensors, words in buffer.pools:
                kept = [t for t in tensors if name == "RF" or self.constraints.glb_keep.get(t) is not False]
                needed = len(kept) * (2 if buffer.double_buffered else 1)
                if words < needed:
                    raise ValueError(
                        f"levels.{name}.capacity_words: {words:.0f} words cannot hold one element of each of "
                        f"{', '.join(kept)}" + (" twice (double_buffered)" if buffer.double_buffered else "")
                    )
        return self

    @property
    def num_pes(self) -> int:
        """PEs of the array."""
        return self.pe_rows * self.pe_cols

    def check(self, layer: Layer) -> None:
        """Refuse a layer of a kind that this accelerator cannot run.

        Raises:
            InputError: names the kind and what can be run.
        """
        if layer.kind not in self.layer_kinds:
            raise InputError(
                f"this accelerator cannot run {layer.kind} layers ({layer}): it runs {', '.join(self.layer_kinds)}."
            )

    def allowed(self, slot: str) -> NDArray[np.bool_]:
        """Which of :data:`~nas_proxy.mapping.layer.DIMS` may have a factor in slot ``X``, ``Y`` or ``RF``, (8,)."""
        dims = {"X": self.constraints.x, "Y": self.constraints.y, "RF": self.constraints.register_dims}.get(slot)
        return np.array([dims is None or d in dims for d in DIMS])
