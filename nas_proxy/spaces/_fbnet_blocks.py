"""The blocks of FBNet: their shapes, and where they stand."""

from __future__ import annotations

from dataclasses import dataclass

__all__ = ["HEAD_CHANNELS", "STEM_CHANNELS", "Block", "BlockPosition"]

STEM_CHANNELS = 16
HEAD_CHANNELS = 1984


@dataclass(frozen=True)
class Block:
    """Shape of one of the nine operators."""

    kernel: int
    expansion: int
    groups: int

    @classmethod
    def named(cls, operator: str) -> Block:
        """``"k5_e1_g2"`` to kernel 5, expansion 1, groups 2."""
        values = {part[0]: int(part[1:]) for part in operator.split("_")}
        return cls(values["k"], values["e"], values.get("g", 1))


@dataclass(frozen=True)
class BlockPosition:
    """Where a layer is: its stage, channels in and out, stride and the size of its input."""

    stage: int
    channels_in: int
    channels_out: int
    stride: int
    size: int

    @property
    def keeps_shape(self) -> bool:
        return self.stride == 1 and self.channels_in == self.channels_out
