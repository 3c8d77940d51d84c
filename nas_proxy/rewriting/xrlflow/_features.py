"""What the policy sees: typed nodes and edges of the graph, and the substitutions that are possible in it."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from nas_proxy.rewriting.xrlflow._episode import Episode

__all__ = ["CANDIDATE_FEATURES", "NODE_FEATURES", "OPERATORS", "Observation", "observe"]

#: Operators the policy knows by name; the last entry stands for all others.
OPERATORS = (
    "Add", "AveragePool", "BatchNormalization", "Cast", "Clip", "Concat", "Conv", "Div", "Erf", "Expand", "Flatten",
    "Gather", "Gelu", "Gemm", "GlobalAveragePool", "HardSigmoid", "HardSwish", "Identity", "LayerNormalization",
    "MatMul", "MaxPool", "Mul", "Pad", "Pow", "ReduceMean", "Relu", "Reshape", "Sigmoid", "Slice", "Softmax", "Split",
    "Sqrt", "Squeeze", "Sub", "Tanh", "Transpose", "Unsqueeze", "other",
)  # fmt: skip
_INDEX = {name: i for i, name in enumerate(OPERATORS)}
NODE_FEATURES = 7
CANDIDATE_FEATURES = 6


@dataclass(frozen=True)
class Observation:
    """A graph of ``n`` nodes and ``e`` edges with ``c`` candidates.

    Attributes:
        operator: shape ``(n,)``, indices into :data:`OPERATORS`.
        nodes: shape ``(n, NODE_FEATURES)``.
        edges: shape ``(e, 2)``, from producer to consumer.
        rule: shape ``(c,)``, names of the candidates' rules.
        anchor: shape ``(c,)``, the nodes where they start.
        candidates: shape ``(c, CANDIDATE_FEATURES)``.
        progress: shape ``(2,)``: steps taken, and what was saved so far.
    """

    operator: NDArray[np.int64]
    nodes: NDArray[np.float32]
    edges: NDArray[np.int64]
    rule: tuple[str, ...]
    anchor: NDArray[np.int64]
    candidates: NDArray[np.float32]
    progress: NDArray[np.float32]


def observe(episode: Episode) -> Observation:
    """The present state of an episode. Costs are shares of the first graph's."""
    graph, priced, total = episode.state.graph, episode.state.priced, episode.first.total
    place = {node.name: i for i, node in enumerate(graph.nodes)}
    operator = np.array([_INDEX.get(node.operator, len(OPERATORS) - 1) for node in graph.nodes], np.int64)
    nodes = np.zeros((len(graph.nodes), NODE_FEATURES), np.float32)
    edges = []
    for i, node in enumerate(graph.nodes):
        out = graph.values[node.makes[0]]
        varying = [graph.values[name] for name in node.reads if not graph.values[name].is_constant]
        weights = sum(graph.values[name].elements for name in node.reads if graph.values[name].is_constant)
        readers = [reader for name in node.makes for reader in graph.consumers.get(name, ())]
        read = sum(value.elements for value in varying)
        nodes[i] = (
            np.log1p(out.elements) / 10, np.log1p(read) / 10, np.log1p(weights) / 10, len(varying) / 2,
            len(readers) / 2, any(name in graph.outputs for name in node.makes), 10 * priced.by_node[node.name] / total,
        )  # fmt: skip
        edges += [(i, place[reader.name]) for reader in readers]
    gains = np.array(episode.gains, np.float64)
    candidates = np.zeros((len(gains), CANDIDATE_FEATURES), np.float32)
    for i, edit in enumerate(episode.candidates):
        candidates[i, 2] = len(edit.nodes) / 3
        candidates[i, 3] = len(edit.renames)
    if len(gains):
        candidates[:, 0] = np.clip(20 * gains, -5, 5)
        candidates[:, 1] = np.sign(gains) * np.log1p(np.abs(gains) * 1e4) / 5
        candidates[:, 4] = gains > 1e-9
        candidates[:, 5] = gains >= gains.max() - 1e-12
    saved = 1 - episode.state.total / total
    return Observation(
        operator=operator,
        nodes=nodes,
        edges=np.array(edges, np.int64).reshape(-1, 2),
        rule=tuple(edit.rule for edit in episode.candidates),
        anchor=np.array([place[edit.anchor] for edit in episode.candidates], np.int64),
        candidates=candidates,
        progress=np.array([episode.steps / episode.length, 5 * saved], np.float32),
    )
