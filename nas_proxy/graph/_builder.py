"""A graph in the making: what the translations of operators write to."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np

from nas_proxy.graph._tensor_graph import Constant, Node, Value

__all__ = ["GraphBuilder", "Untranslatable"]


class Untranslatable(Exception):
    """An ATen operator, or a use of one, that has no direct translation."""


class GraphBuilder:
    """Collects nodes while an exported program is walked; what the translations in :mod:`._aten` write to."""

    def __init__(self) -> None:
        self.nodes: list[Node] = []
        self.values: dict[str, Value] = {}
        self.scope = "node"  # the module being translated, after which nodes are named
        self._constants: dict[tuple[object, ...], str] = {}
        self._producers: dict[str, Node] = {}
        self._taken: dict[str, int] = {}

    def unique(self, name: str) -> str:
        """``name``, numbered where it is taken."""
        count = self._taken.get(name, 0)
        self._taken[name] = count + 1
        return f"{name}_{count}" if count else name

    def emit(
        self,
        operator: str,
        inputs: Sequence[str],
        shape: Sequence[int],
        dtype: str,
        **attributes: Any,
    ) -> str:
        """Add a node with one output of this shape and dtype; returns the output's name."""
        return self._add(operator, inputs, [Value("", tuple(int(d) for d in shape), dtype)], attributes)[0]

    def emit_parts(
        self, operator: str, inputs: Sequence[str], parts: Sequence[Any], **attributes: Any
    ) -> tuple[str, ...]:
        """Add a node with several outputs (``shape`` and ``dtype`` of each); returns their names."""
        return self._add(operator, inputs, [Value("", part.shape, part.dtype) for part in parts], attributes)

    def _add(
        self, operator: str, inputs: Sequence[str], makes: Sequence[Value], attributes: dict[str, Any]
    ) -> tuple[str, ...]:
        name = self.unique(f"{self.scope}/{operator}")
        outputs = tuple(f"{name}:{i}" for i in range(len(makes)))
        node = Node(name, operator, tuple(inputs), outputs, attributes)
        self.nodes.append(node)
        self.values |= {output: replace(value, name=output) for output, value in zip(outputs, makes, strict=True)}
        self._producers |= dict.fromkeys(outputs, node)
        return outputs

    def producer(self, name: str) -> Node | None:
        """The node that makes a value."""
        return self._producers.get(name)

    def constant(self, array: np.ndarray, name: str = "constant") -> str:
        """Add a constant; small equal ones are one."""
        array = np.asarray(array)
        memory = array.__array_interface__["data"][0], array.strides
        key = (array.dtype.str, array.shape, array.tobytes() if array.size <= 64 else memory)
        if key not in self._constants:
            constant = Constant(array)
            name = self.unique(name)
            self.values[name] = Value(name, constant.shape, constant.dtype, constant)
            self._constants[key] = name
        return self._constants[key]

    def ints(self, values: Sequence[int]) -> str:
        """A constant int64 vector: axes, shapes, positions."""
        return self.constant(np.array(list(values), np.int64))

    def shape(self, name: str) -> tuple[int, ...]:
        """Of a value by name."""
        return self.values[name].shape

    def array(self, name: str) -> np.ndarray | None:
        """Contents of a constant, None of anything else."""
        constant = self.values[name].constant
        return constant.array if constant is not None else None
