"""What is done to a policy, and in which order: pruning, then distillation, then quantization."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Literal, cast

from nas_proxy.errors import InputError, UnknownNameError

__all__ = ["EPOCHS", "GRID", "Method", "Quantization", "parse_method"]

Quantization = Literal["PTDQ", "PTSQ", "QAT"]
EPOCHS = 30
_RATIOS = (0.05, 0.1, 0.2, 0.3, 0.5, 0.7)  # those of the paper
#: The methods that a sweep tries where neither its caller nor the task names others.
GRID: tuple[str, ...] = (
    "float32", "PTDQ", "PTSQ", "QAT",
    *(f"L{norm} {ratio}" for norm in (1, 2) for ratio in _RATIOS),
    *(f"L{norm} {ratio} + distil" for norm in (1, 2) for ratio in _RATIOS),
    *(f"L2 {ratio} + distil + PTDQ" for ratio in _RATIOS), "L2 0.75 + distil",
)  # fmt: skip

_STEPS = ("float32", "L1 RATIO", "L2 RATIO", "distil", "PTDQ", "PTSQ", "QAT")
_PRUNE, _DISTIL, _QUANTIZE = "L[12]", "distil", "PTDQ|PTSQ|QAT"


@dataclass(frozen=True)
class Method:
    """A composition. With nothing set a policy is only deployed, in float32.

    Attributes:
        norm: by which norm of their weights channels are ranked (1 or 2), where they are pruned.
        ratio: share of the channels of every layer that is removed.
        epochs: of distillation from the original on the observations; None for no distillation.
        quantization: post-training dynamic (PTDQ), static (PTSQ), or quantization-aware training (QAT); all int8.
    """

    norm: int | None = None
    ratio: float = 0.0
    epochs: int | None = None
    quantization: Quantization | None = None

    def __str__(self) -> str:
        steps = [] if self.norm is None else [f"L{self.norm} {self.ratio:g}"]
        if self.epochs is not None:
            steps.append("distil" if self.epochs == EPOCHS else f"distil {self.epochs}")
        return " + ".join(steps + ([self.quantization] if self.quantization else [])) or "float32"


def parse_method(text: str | Method) -> Method:
    """A method from text such as ``"PTDQ"``, ``"L2 0.3"`` or ``"L2 0.7 + distil 60 + PTDQ"``.

    Raises:
        UnknownNameError: a step is not known.
        InputError: a ratio is not between 0 and 1, or the steps are not in the order prune, distil, quantize.
    """
    if isinstance(text, Method):
        return text
    norm, ratio, epochs, quantization, last = None, 0.0, None, None, -1
    for step in (part.strip() for part in str(text).split("+")):
        word, *values = step.split() if step else [""]
        rank = next((i for i, p in enumerate((_PRUNE, _DISTIL, _QUANTIZE)) if re.fullmatch(p, word, re.I)), None)
        if rank is None and word.lower() == "float32" and text.strip().lower() == "float32":
            return Method()
        if rank is None:
            raise UnknownNameError("step of compression", step, _STEPS, hint=f"Found in {text!r}.")
        if rank <= last:
            raise InputError(
                f"{text!r}: expected each step at most once, in the order pruning, distillation, quantization; "
                f"found {step!r} too late. Write for example 'L2 0.5 + distil + PTDQ'."
            )
        last = rank
        if rank == 0:
            norm, ratio = int(word[1]), _ratio(step, values)
        elif rank == 1:
            epochs = _epochs(step, values)
        elif values:
            raise InputError(f"{step!r}: {word.upper()} takes no number. Write '{word.upper()}'.")
        else:
            quantization = cast(Quantization, word.upper())
    return Method(norm, ratio, epochs, quantization)


def _ratio(step: str, values: list[str]) -> float:
    try:
        (value,) = map(float, values)
    except ValueError:
        value = float("nan")
    if not 0 < value < 1:
        raise InputError(
            f"{step!r}: expected the share of channels to remove, above 0 and below 1, found "
            f"{' '.join(values) or 'none'}. Write for example '{step.split()[0]} 0.3'."
        )
    return value


def _epochs(step: str, values: list[str]) -> int:
    if not values:
        return EPOCHS
    if len(values) > 1 or not values[0].isdecimal() or int(values[0]) < 1:
        raise InputError(f"{step!r}: expected a whole number of epochs of at least 1. Write for example 'distil 60'.")
    return int(values[0])
