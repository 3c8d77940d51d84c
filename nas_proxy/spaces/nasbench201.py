"""NAS-Bench-201: a cell of four nodes whose six edges each carry one of five operators (Dong & Yang, ICLR 2020).

The network is stem - N cells - residual reduction - N cells - residual reduction - N cells - classifier; all cells are
the same. What runs on a device depends on its compiler, so that the features count operators and costs three times:

- *executed*: every edge, as the reference implementation does, also ``none`` and edges that change nothing;
- *needed*: edges from which the output can be reached, what dead-code elimination leaves;
- *live*: edges on a path from the input to the output, what is left when constants are folded too.
"""

# What a caller hands in is checked, whatever its annotation says.
# pyright: reportUnnecessaryIsInstance=false

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cache, cached_property, partial
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from nas_proxy.errors import InputError, from_extra
from nas_proxy.spaces._base import FeatureColumn, SearchSpace
from nas_proxy.spaces._cost import TALLY, LayerTally, add, conv, linear, pool, tally

if TYPE_CHECKING:
    import torch

__all__ = ["EDGES", "OPERATORS", "NasBench201", "live_edges", "needed_edges"]

OPERATORS = ("none", "skip_connect", "nor_conv_1x1", "nor_conv_3x3", "avg_pool_3x3")
EDGES = ((0, 1), (0, 2), (1, 2), (0, 3), (1, 3), (2, 3))  # in the order of the canonical text
_NONE, _SKIP, _CONV_1X1, _CONV_3X3, _POOL = range(5)
_INCOMING = tuple([e for e, (_, target) in enumerate(EDGES) if target == node] for node in (1, 2, 3))
_COSTS = ("macs", "parameters", "bytes", "kernels")
_EXTENTS = {
    "executed": "every edge executed",
    "needed": "edges from which the output cannot be reached left out",
    "live": "edges on no path from input to output left out",
}


@dataclass(frozen=True)
class NasBench201(SearchSpace[str]):
    """NAS-Bench-201: a cell of four nodes whose six edges each carry one of five operators.

    Architectures are canonical texts, ``|op~0|+|op~0|op~1|+|op~0|op~1|op~2|``: for each node the operator on the
    edge from each earlier node.

    Args:
        channels: channels of the first stage; they double in each of the two reductions.
        cells: cells in each of the three stages.
        classes: outputs of the classifier.
        image_size: height and width of the input, a multiple of 4.
        input_channels: channels of the input.
    """

    channels: int = 16
    cells: int = 5
    classes: int = 10
    image_size: int = 32
    input_channels: int = 3

    name: ClassVar[str] = "nasbench201"
    choices = {f"edge_{source}_{target}": OPERATORS for source, target in EDGES}  # noqa: RUF012

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.image_size % 4:
            raise InputError(f"nasbench201: image_size must be a multiple of 4, found {self.image_size}.")

    # -- encoding ----------------------------------------------------------------------------------------------------

    def encode(self, archs: Sequence[str]) -> NDArray[np.int64]:
        """As :meth:`SearchSpace.encode`."""
        number = _numbers()
        try:
            flat = [number[arch] for arch in archs]
        except (KeyError, TypeError):
            for arch in archs:
                self.from_str(arch)  # says what is wrong
            raise
        return np.stack(np.unravel_index(np.array(flat, dtype=np.int64), [len(OPERATORS)] * len(EDGES)), axis=1)

    def decode(self, codes: NDArray[np.integer]) -> list[str]:
        """As :meth:`SearchSpace.decode`."""
        texts: list[str] = []
        for code in np.asarray(codes):
            e01, e02, e12, e03, e13, e23 = (OPERATORS[int(i)] for i in code)
            texts.append(f"|{e01}~0|+|{e02}~0|{e12}~1|+|{e03}~0|{e13}~1|{e23}~2|")
        return texts

    def to_str(self, arch: str) -> str:
        """As :meth:`SearchSpace.to_str`."""
        return self.from_str(arch)

    def from_str(self, text: str) -> str:
        """As :meth:`SearchSpace.from_str`."""
        if not isinstance(text, str):
            raise InputError(
                f"nasbench201: expected a text such as '{self.decode(np.zeros((1, 6), int))[0]}', "
                f"found {text!r} of type {type(text).__name__}."
            )
        if text not in _numbers():
            raise InputError(f"nasbench201: {_problem(text)} in {text!r}.")
        return text

    # -- features ----------------------------------------------------------------------------------------------------

    @cached_property
    def feature_columns(self) -> tuple[FeatureColumn, ...]:  # pyright: ignore[reportIncompatibleVariableOverride]
        """Operators and costs, counted three times (see the module), then depths and what is live."""
        tallied = {column.name: column for column in TALLY}
        columns: list[FeatureColumn] = []
        for which, what in _EXTENTS.items():
            columns += [FeatureColumn(f"{which}_{op}", f"{op} edges of the cell, {what}", "edges") for op in OPERATORS]
            columns += [
                FeatureColumn(f"{which}_{name}", f"{tallied[name].meaning}, {what}", tallied[name].unit)
                for name in _COSTS
            ]
        return (
            *(column for column in columns if column.name not in {"needed_none", "live_none"}),
            FeatureColumn("depth_convolutions", "convolutions on the longest live path of the cell", "layers"),
            FeatureColumn("depth_operators", "operators other than skip on the longest live path", "layers"),
            FeatureColumn("depth_macs", "most multiply-accumulates on one live path through the network", "MAC"),
            FeatureColumn("live_nodes", "nodes of the cell, besides its input, on a live path", "nodes"),
            FeatureColumn("live_additions", "additions of the cell left when dead edges are left out", "additions"),
            FeatureColumn("depends_on_input", "1 if the output depends on the input, else 0 (can be folded)", "0 or 1"),
        )

    def features(self, archs: Sequence[str]) -> NDArray[np.float64]:
        """As :meth:`SearchSpace.features`."""
        codes = self.encode(archs)
        operators = codes[:, :, None] == np.arange(len(OPERATORS))  # (n, edge, operator)
        live = live_edges(codes)
        live_additions = _additions(live)
        columns: list[NDArray[Any]] = []
        for kept, additions in [
            (np.ones_like(live), np.full(len(codes), 3)),
            (needed := needed_edges(codes), _additions(needed)),
            (live, live_additions),
        ]:
            counts = (operators & kept[:, :, None]).sum(axis=1)
            cost = self._outside + counts @ self._edge_costs + additions[:, None] * self._addition
            columns += [counts if not columns else counts[:, 1:], cost]
        return np.column_stack(
            [
                *columns,
                _longest_path(np.isin(codes, (_CONV_1X1, _CONV_3X3)), live),
                _longest_path(codes != _SKIP, live),
                self._outside[_COSTS.index("macs")]
                + _longest_path(self._edge_costs[codes, _COSTS.index("macs")], live),
                np.stack([live[:, edges].any(axis=1) for edges in _INCOMING], axis=1).sum(axis=1),
                live_additions,
                live.any(axis=1),
            ]
        ).astype(np.float64)

    @property
    def _stages(self) -> list[tuple[int, int]]:
        """Channels and image size of each stage."""
        return [(self.channels * 2**i, self.image_size // 2**i) for i in range(3)]

    @cached_property
    def _edge_costs(self) -> NDArray[np.float64]:
        """Cost over the whole network of one edge of the cell, by operator: ``(5, len(_COSTS))``."""
        return np.stack([self._in_every_cell(partial(_edge, operator)) for operator in range(len(OPERATORS))])

    @cached_property
    def _addition(self) -> NDArray[np.float64]:
        """Cost over the whole network of one addition in the cell: ``(len(_COSTS),)``."""
        return self._in_every_cell(lambda channels, size: [add(channels, size)])

    @cached_property
    def _outside(self) -> NDArray[np.float64]:
        """Cost of all that is not in cells: ``(len(_COSTS),)``."""
        layers = [conv(self.input_channels, self.channels, 3, self.image_size)]
        for channels, size in self._stages[:-1]:
            layers += [
                conv(channels, 2 * channels, 3, size, stride=2),
                conv(2 * channels, 2 * channels, 3, size // 2),
                pool(channels, size, size // 2),
                conv(channels, 2 * channels, 1, size // 2, batch_norm=False),
                add(2 * channels, size // 2),
            ]
        channels, size = self._stages[-1]
        cost = _pick(tally([*layers, pool(channels, size, 1), linear(channels, self.classes)]))
        cost[_COSTS.index("parameters")] += 2 * channels  # the batch normalisation before the classifier
        return cost

    def _in_every_cell(self, layers: Callable[[int, int], list[LayerTally]]) -> NDArray[np.float64]:
        return self.cells * np.sum([_pick(tally(layers(*stage))) for stage in self._stages], axis=0)

    # -- network -----------------------------------------------------------------------------------------------------

    def input_shape(self, arch: str) -> tuple[int, int, int]:
        """As :meth:`SearchSpace.input_shape`."""
        return (self.input_channels, self.image_size, self.image_size)

    def build(self, arch: str, *, prune: bool = False, **parameters: Any) -> torch.nn.Module:
        """The network of a cell, as published: every edge is executed.

        Args:
            arch: canonical text.
            prune: build the live edges only; the others add at most a constant to the output.
            parameters: override the space's own, e.g. ``channels=4``.

        Raises:
            MissingDependencyError: torch is not installed.
        """
        space = self.with_parameters(**parameters)
        code = self.encode([arch])
        kept = live_edges(code)[0] if prune else np.ones(len(EDGES), dtype=bool)
        with from_extra("torch", "a network of nasbench201"):
            from nas_proxy.spaces._nasbench201_network import NasBench201Network

        edges = [(*edge, OPERATORS[int(op)]) for edge, op, keep in zip(EDGES, code[0], kept, strict=True) if keep]
        return NasBench201Network(edges, space.channels, space.cells, space.classes, space.input_channels)


def needed_edges(codes: NDArray[np.integer]) -> NDArray[np.bool_]:
    """Which edges the output is computed from, ``(n, 6)``: those that dead-code elimination leaves."""
    used = codes != _NONE
    _, _, e12, _, e13, e23 = used.T
    reaches_output = {1: e13 | (e12 & e23), 2: e23, 3: np.ones_like(e23)}
    return used & np.stack([reaches_output[target] for _, target in EDGES], axis=1)


def live_edges(codes: NDArray[np.integer]) -> NDArray[np.bool_]:
    """Which edges are on a path from the cell's input to its output, ``(n, 6)``: those that influence the output."""
    e01, e02, e12, *_ = (codes != _NONE).T
    reached_from_input = {0: np.ones_like(e01), 1: e01, 2: e02 | (e01 & e12)}
    return needed_edges(codes) & np.stack([reached_from_input[source] for source, _ in EDGES], axis=1)


def _additions(kept: NDArray[np.bool_]) -> NDArray[np.int64]:
    """Additions in a cell of the kept edges ``(n, 6)``: one fewer than the edges into a node."""
    return np.sum([np.maximum(kept[:, edges].sum(axis=1) - 1, 0) for edges in _INCOMING], axis=0)


def _longest_path(weight: NDArray[Any], live: NDArray[np.bool_]) -> NDArray[np.float64]:
    """Largest sum of weights ``(n, 6)`` on a live path; 0 where the cell's output does not depend on its input."""
    w01, w02, w12, w03, w13, w23 = np.where(live, weight, -np.inf).T
    node_2 = np.maximum(w02, w01 + w12)
    longest = np.maximum(w03, np.maximum(w01 + w13, node_2 + w23))
    return np.where(np.isfinite(longest), longest, 0.0)


def _edge(operator: int, channels: int, size: int) -> list[LayerTally]:
    if operator == _CONV_1X1:
        return [conv(channels, channels, 1, size)]
    if operator == _CONV_3X3:
        return [conv(channels, channels, 3, size)]
    return [pool(channels, size, size)] if operator == _POOL else []


def _pick(total: NDArray[np.float64]) -> NDArray[np.float64]:
    return total[[i for i, column in enumerate(TALLY) if column.name in _COSTS]]


@cache
def _numbers() -> dict[str, int]:
    """Canonical text to position in the lexicographic order of codes."""
    shape = [len(OPERATORS)] * len(EDGES)
    codes = np.stack(np.unravel_index(np.arange(math.prod(shape)), shape), axis=1)
    return {text: i for i, text in enumerate(NasBench201().decode(codes))}


def _problem(text: str) -> str:
    """Where ``text`` stops being a cell, and what was expected there."""
    nodes = text.split("+")
    if len(nodes) != 3:
        return f"expected the edges of 3 nodes joined by '+', found {len(nodes)}"
    for target, node in enumerate(nodes, start=1):
        edges = node[1:-1].split("|")
        if not (node.startswith("|") and node.endswith("|")) or len(edges) != target:
            return f"node {target}: expected {target} edge(s) 'operator~source' between '|', found {node!r}"
        for source, edge in enumerate(edges):
            operator, _, origin = edge.partition("~")
            if operator not in OPERATORS:
                return f"edge {source}->{target}: expected one of {', '.join(OPERATORS)}, found {operator!r}"
            if origin != str(source):
                return f"edge {source}->{target}: expected '{operator}~{source}', found {edge!r}"
    raise AssertionError(f"{text!r} is a cell")
