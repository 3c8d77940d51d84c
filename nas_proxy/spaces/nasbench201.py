"""NAS-Bench-201: a cell of four nodes whose six edges each carry one of five operators (Dong & Yang, ICLR 2020).

The network is stem - N cells - residual reduction - N cells - residual reduction - N cells - classifier; all cells are
the same. The reference implementation executes every edge, also those that cannot influence the output. Runtimes
that optimise the graph drop some of them, so the features count both the *executed* and the *live* operators.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache, cached_property
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from nas_proxy.errors import InputError
from nas_proxy.spaces._base import FeatureColumn, SearchSpace
from nas_proxy.spaces._cost import TALLY, Layer, add, conv, linear, pool, tally

if TYPE_CHECKING:
    import torch

__all__ = ["EDGES", "OPERATORS", "NasBench201", "live_edges"]

OPERATORS = ("none", "skip_connect", "nor_conv_1x1", "nor_conv_3x3", "avg_pool_3x3")
EDGES = ((0, 1), (0, 2), (1, 2), (0, 3), (1, 3), (2, 3))  # in the order of the canonical text
_NONE, _SKIP, _CONV_1X1, _CONV_3X3, _POOL = range(5)
_COSTS = ("macs", "parameters", "bytes", "kernels")


@dataclass(frozen=True)
class NasBench201(SearchSpace[str]):
    """Architectures are canonical texts, ``|op~0|+|op~0|op~1|+|op~0|op~1|op~2|``: for each node the operator on the
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
        number = _numbers()
        try:
            flat = [number[arch] for arch in archs]
        except (KeyError, TypeError):
            for arch in archs:
                self.from_str(arch)  # says what is wrong
            raise
        return np.stack(np.unravel_index(np.array(flat, dtype=np.int64), [len(OPERATORS)] * len(EDGES)), axis=1)

    def decode(self, codes: NDArray[np.integer]) -> list[str]:
        texts = []
        for code in np.asarray(codes).tolist():
            e01, e02, e12, e03, e13, e23 = (OPERATORS[i] for i in code)
            texts.append(f"|{e01}~0|+|{e02}~0|{e12}~1|+|{e03}~0|{e13}~1|{e23}~2|")
        return texts

    def to_str(self, arch: str) -> str:
        return self.from_str(arch)

    def from_str(self, text: str) -> str:
        if not isinstance(text, str):
            raise InputError(
                f"nasbench201: expected a text such as '{self.decode(np.zeros((1, 6), int))[0]}', "
                f"found {text!r} of type {type(text).__name__}."
            )
        text = text.strip()
        if text in _numbers():
            return text
        _explain(text)
        raise AssertionError(text)

    # -- features ----------------------------------------------------------------------------------------------------

    @cached_property
    def feature_columns(self) -> tuple[FeatureColumn, ...]:  # pyright: ignore[reportIncompatibleVariableOverride]
        units = {column.name: column for column in TALLY}
        return (
            *(FeatureColumn(f"executed_{op}", f"{op} edges in the cell", "edges") for op in OPERATORS),
            *(
                FeatureColumn(f"live_{op}", f"{op} edges on a path from the input to the output of the cell", "edges")
                for op in OPERATORS[1:]
            ),
            *(
                FeatureColumn(f"executed_{name}", f"{units[name].meaning}, every edge executed", units[name].unit)
                for name in _COSTS
            ),
            *(
                FeatureColumn(f"live_{name}", f"{units[name].meaning}, dead edges left out", units[name].unit)
                for name in _COSTS
            ),
            FeatureColumn("depth_convolutions", "convolutions on the longest live path of the cell", "layers"),
            FeatureColumn("depth_operators", "operators other than skip on the longest live path", "layers"),
            FeatureColumn("depth_macs", "largest sum of multiply-accumulates on a live path of the network", "MAC"),
            FeatureColumn("live_nodes", "nodes of the cell, besides its input, that are on a live path", "nodes"),
            FeatureColumn("live_additions", "additions left when dead edges are left out", "additions"),
        )

    def features(self, archs: Sequence[str]) -> NDArray[np.float64]:
        codes = self.encode(archs)
        executed = codes[:, :, None] == np.arange(len(OPERATORS))  # (n, edge, operator)
        alive = live_edges(codes)
        live = (executed & alive[:, :, None]).sum(axis=1)[:, 1:]
        executed = executed.sum(axis=1)
        cost, constant, addition = self._costs
        in_degree = np.stack([alive[:, [0]].sum(1), alive[:, 1:3].sum(1), alive[:, 3:].sum(1)], axis=1)
        additions = np.maximum(in_degree - 1, 0).sum(axis=1)
        convolution = np.isin(codes, (_CONV_1X1, _CONV_3X3))
        return np.column_stack(
            [
                executed,
                live,
                constant + executed @ cost + 3 * addition,
                constant + live @ cost[1:] + additions[:, None] * addition,
                _longest_path(convolution.astype(float), alive),
                _longest_path((codes != _SKIP).astype(float), alive),
                constant[0] + _longest_path(cost[codes, 0], alive),
                (in_degree > 0).sum(axis=1),
                additions,
            ]
        ).astype(np.float64)

    @cached_property
    def _costs(self) -> tuple[NDArray[np.float64], NDArray[np.float64], NDArray[np.float64]]:
        """Costs over the whole network of an edge with each operator ``(5, costs)``, of all that is not in cells
        ``(costs,)``, and of an addition in the cell ``(costs,)``."""
        stages = [(self.channels * 2**i, self.image_size // 2**i) for i in range(3)]

        def network(layers: list[list[Layer]]) -> NDArray[np.float64]:
            return self.cells * _pick(tally(layer for stage in layers for layer in stage))

        edges = [
            network([_edge(operator, channels, size) for channels, size in stages])
            for operator in range(len(OPERATORS))
        ]
        addition = network([[add(channels, size)] for channels, size in stages])
        outside = [conv(self.input_channels, self.channels, 3, self.image_size)]
        for channels, size in stages[:-1]:
            outside += [
                conv(channels, 2 * channels, 3, size, stride=2),
                conv(2 * channels, 2 * channels, 3, size // 2),
                pool(channels, size, size // 2),
                conv(channels, 2 * channels, 1, size // 2, batch_norm=False),
                add(2 * channels, size // 2),
            ]
        channels, size = stages[-1]
        outside += [pool(channels, size, 1), linear(channels, self.classes)]
        constant = _pick(tally(outside))
        constant[_COSTS.index("parameters")] += 2 * channels  # the batch normalisation before the classifier
        return np.stack(edges), constant, addition

    # -- network -----------------------------------------------------------------------------------------------------

    def build(self, arch: str, *, prune: bool = False, **parameters: Any) -> torch.nn.Module:
        """The network of a cell, as published: every edge is executed.

        Args:
            arch: canonical text.
            prune: leave out the edges that cannot influence the output; the function computed is the same.
            parameters: override the space's own, e.g. ``channels=4``.
        """
        from nas_proxy.spaces._nasbench201_network import NasBench201Network

        space = self.with_parameters(**parameters)
        code = self.encode([arch])
        kept = live_edges(code)[0] if prune else np.ones(len(EDGES), dtype=bool)
        edges = [(*edge, OPERATORS[op]) for edge, op, keep in zip(EDGES, code[0], kept, strict=True) if keep]
        return NasBench201Network(edges, **space.parameters)


def live_edges(codes: NDArray[np.integer]) -> NDArray[np.bool_]:
    """Which edges are on a path from a cell's input to its output: ``(n, 6)`` codes to ``(n, 6)`` booleans."""
    e01, e02, e12, e03, e13, e23 = (codes != _NONE).T
    from_input_2 = e02 | (e01 & e12)
    to_output_1 = e13 | (e12 & e23)
    return np.stack([e01 & to_output_1, e02 & e23, e01 & e12 & e23, e03, e01 & e13, from_input_2 & e23], axis=1)


def _longest_path(weight: NDArray[np.float64], alive: NDArray[np.bool_]) -> NDArray[np.float64]:
    """Largest sum of weights ``(n, 6)`` on a live path; 0 where the cell's output does not depend on its input."""
    w01, w02, w12, w03, w13, w23 = np.where(alive, weight, -np.inf).T
    node_2 = np.maximum(w02, w01 + w12)
    longest = np.maximum(w03, np.maximum(w01 + w13, node_2 + w23))
    return np.where(np.isfinite(longest), longest, 0.0)


def _edge(operator: int, channels: int, size: int) -> list[Layer]:
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
    codes = np.stack(np.unravel_index(np.arange(len(OPERATORS) ** len(EDGES)), shape), axis=1)
    return {text: i for i, text in enumerate(NasBench201().decode(codes))}


def _explain(text: str) -> None:
    """Raise the error that says where ``text`` stops being a cell."""
    nodes = text.split("+")
    if len(nodes) != 3:
        raise InputError(f"nasbench201: expected the edges of 3 nodes joined by '+', found {len(nodes)} in {text!r}.")
    for target, node in enumerate(nodes, start=1):
        edges = node.strip("|").split("|")
        if not (node.startswith("|") and node.endswith("|")) or len(edges) != target:
            raise InputError(
                f"nasbench201: node {target}: expected {target} operator(s), each followed by '~' and its source and "
                f"set between '|', found {node!r} in {text!r}."
            )
        for source, edge in enumerate(edges):
            operator, _, origin = edge.partition("~")
            if operator not in OPERATORS:
                raise InputError(
                    f"nasbench201: edge {source}->{target}: expected one of {', '.join(OPERATORS)}, "
                    f"found {operator!r} in {text!r}."
                )
            if origin != str(source):
                raise InputError(
                    f"nasbench201: edge {source}->{target}: expected '{operator}~{source}', found {edge!r} in {text!r}."
                )
