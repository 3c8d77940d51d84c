"""Networks whose cheapest form is known by construction, and networks to train on.

In each planted network the way to the cheapest form leads through a graph that costs more, or at least no less, than
the one before: a search that only takes what helps at once cannot find it.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from math import prod

import numpy as np

from nas_proxy.devices.costs import GraphCost
from nas_proxy.graph import TensorGraph, Value
from nas_proxy.graph._builder import GraphBuilder
from nas_proxy.rewriting.costs import PlainCost
from nas_proxy.rewriting.synthetic import random_graph

__all__ = ["FAMILIES", "Planted", "planted", "training_graph", "transformer"]


@dataclass(frozen=True)
class Planted:
    """A network, the device it is for, and a cheapest network that computes the same (but for its weights' values)."""

    family: str
    graph: TensorGraph
    best: TensorGraph
    cost: GraphCost

    @property
    def best_cost(self) -> float:
        """What ``best`` costs."""
        return self.cost.price(self.best).total


class _Writer(GraphBuilder):
    """A builder with the few operators that are needed here."""

    def __init__(self, rng: np.random.Generator, shape: tuple[int, ...]) -> None:
        super().__init__()
        self.rng = rng
        self.x = self.unique("x")
        self.values[self.x] = Value(self.x, shape, "float32")

    def weights(self, *shape: int) -> str:
        fan = max(1, prod(shape[1:]))
        return self.constant((self.rng.standard_normal(shape) / np.sqrt(fan)).astype(np.float32), "w")

    def conv(self, x: str, k: int, kernel: int = 1) -> str:
        n, c, h, w = self.shape(x)
        return self.emit(
            "Conv", [x, self.weights(k, c, kernel, kernel)], (n, k, h, w), "float32", dilations=(1, 1), group=1,
            kernel_shape=(kernel, kernel), pads=(kernel // 2,) * 4, strides=(1, 1),
        )  # fmt: skip

    def average(self, x: str) -> str:
        attributes = {"kernel_shape": (3, 3), "strides": (1, 1), "pads": (1,) * 4, "count_include_pad": 1}
        return self.emit("AveragePool", [x], self.shape(x), "float32", **attributes)

    def unary(self, x: str, operator: str = "Relu", **attributes) -> str:
        return self.emit(operator, [x], self.shape(x), "float32", **attributes)

    def dense(self, x: str, k: int) -> str:
        shape = (*self.shape(x)[:-1], k)
        made = self.emit("MatMul", [x, self.weights(self.shape(x)[-1], k)], shape, "float32")
        return self.emit("Add", [made, self.weights(k)], shape, "float32")

    def transpose(self, x: str, perm: tuple[int, ...]) -> str:
        return self.emit("Transpose", [x], [self.shape(x)[p] for p in perm], "float32", perm=perm)

    def reshape(self, x: str, *shape: int) -> str:
        return self.emit("Reshape", [x, self.ints(shape)], shape, "float32")

    def norm(self, x: str) -> str:
        d = self.shape(x)[-1]
        return self.emit("LayerNormalization", [x, self.weights(d), self.weights(d)], self.shape(x), "float32", axis=-1,
                         epsilon=1e-5)  # fmt: skip

    def add(self, a: str, b: str) -> str:
        return self.emit("Add", [a, b], self.shape(a), "float32")

    def concat(self, a: str, b: str) -> str:
        shape = list(self.shape(a))
        shape[1] += self.shape(b)[1]
        return self.emit("Concat", [a, b], shape, "float32", axis=1)

    def pick(self, x: str, axis: int = 1) -> str:
        shape = [s for i, s in enumerate(self.shape(x)) if i != axis]
        return self.emit("Gather", [x, self.constant(np.array(0, np.int64))], shape, "float32", axis=axis)

    def done(self, *outputs: str) -> TensorGraph:
        return TensorGraph(tuple(self.nodes), self.values, (self.x,), outputs, "planted")


def _bottleneck(rng: np.random.Generator, times: int) -> Planted:
    """conv, average, conv with few channels in the middle: averaging more channels first makes the two one."""
    c = int(rng.choice([8, 16, 24]))
    shape, middle = (1, c, *(int(rng.integers(7, 15)),) * 2), int(0.75 * c)
    before, after = _Writer(rng, shape), _Writer(rng, shape)
    x, y = before.x, after.x
    for _ in range(times):
        x = before.unary(before.conv(before.average(before.conv(x, middle)), c))
        y = after.unary(after.average(after.conv(y, c)))
    return Planted("bottleneck", before.done(x), after.done(y), PlainCost(float(rng.uniform(2, 8)), 1000.0))


def _fire(rng: np.random.Generator, times: int) -> Planted:
    """SqueezeNet's modules on a device where starting an operator is dear: enlarge, merge, cancel a split."""
    c, k = 4, int(rng.choice([4, 8]))
    shape = (1, c, *(int(rng.integers(6, 9)),) * 2)
    before, after = _Writer(rng, shape), _Writer(rng, shape)
    x, y = before.x, after.x
    for _ in range(times):
        x = before.unary(before.conv(x, c), "Tanh")
        x = before.unary(before.concat(before.conv(x, k), before.conv(x, k, 3)))
        y = after.unary(after.conv(after.unary(after.conv(y, c), "Tanh"), 2 * k, 3))
    return Planted("fire", before.done(x), after.done(y), PlainCost(1.0, float(rng.uniform(2e5, 4e5))))


def _token(rng: np.random.Generator, times: int) -> Planted:
    """Layers for every token, of which one is read."""
    d, tokens = int(rng.choice([8, 16, 32])), int(rng.integers(6, 30))
    before, after = _Writer(rng, (1, tokens, d)), _Writer(rng, (1, tokens, d))
    x = before.x
    one = [after.ints([0]), after.ints([1]), after.ints([1])]
    y = after.emit("Slice", [after.x, *one], (1, 1, d), "float32")
    for _ in range(times):
        x, y = before.unary(before.dense(before.norm(x), d), "Gelu"), after.unary(after.dense(after.norm(y), d), "Gelu")
    x, y = before.pick(x), after.reshape(y, 1, d)
    device = PlainCost(float(rng.uniform(1, 8)), float(rng.uniform(500, 3000)))
    return Planted("token", before.done(before.unary(x)), after.done(after.unary(y)), device)


def _transposed(rng: np.random.Generator, times: int) -> Planted:
    """A transposition and its inverse with functions between them."""
    shape = tuple(int(n) for n in rng.integers(4, 24, 3))
    before, after = _Writer(rng, shape), _Writer(rng, shape)
    perm = ((1, 2, 0), (2, 0, 1))
    x, y = before.transpose(before.x, perm[0]), after.x
    for i in range(times + 1):
        operator = ("Tanh", "Sigmoid", "Softplus")[i % 3]
        x, y = before.unary(x, operator), after.unary(y, operator)
    return Planted("transposed", before.done(before.transpose(x, perm[1])), after.done(y), PlainCost(4.0, 1000.0))


FAMILIES: dict[str, Callable[[np.random.Generator, int], Planted]] = {
    "bottleneck": _bottleneck,
    "fire": _fire,
    "token": _token,
    "transposed": _transposed,
}


def planted(family: str, rng: np.random.Generator, times: int | None = None) -> Planted:
    """A planted network; ``times`` is how often the pattern is repeated, by default 1 to 6."""
    return FAMILIES[family](rng, int(rng.integers(1, 7)) if times is None else times)


def transformer(
    rng: np.random.Generator, blocks: int, *, tokens: int, heads: int, size: int, pick: bool
) -> TensorGraph:
    """Blocks of attention and two layers of a perceptron, as exported; ``pick`` reads the first token in the end."""
    d = heads * size
    w = _Writer(rng, (1, tokens, d))
    x = w.x
    scale = w.constant(np.array([size**-0.25], np.float32))
    for _ in range(blocks):
        qkv = w.reshape(w.dense(w.norm(x), 3 * d), 1, tokens, 3, heads, size)
        qkv = w.transpose(qkv, (2, 0, 3, 1, 4))
        parts = [
            w.emit("Gather", [qkv, w.constant(np.array(i, np.int64))], (1, heads, tokens, size), "float32", axis=0)
            for i in range(3)
        ]
        key = w.reshape(w.transpose(w.reshape(parts[1], heads, tokens, size), (0, 2, 1)), 1, heads, size, tokens)
        query, key = (w.emit("Mul", [v, scale], w.shape(v), "float32") for v in (parts[0], key))
        scores = w.emit("MatMul", [query, key], (1, heads, tokens, tokens), "float32")
        mixed = w.emit("MatMul", [w.unary(scores, "Softmax", axis=-1), parts[2]], (1, heads, tokens, size), "float32")
        mixed = w.reshape(w.transpose(mixed, (0, 2, 1, 3)), 1, tokens, d)
        x = w.add(x, w.dense(mixed, d))
        x = w.add(x, w.dense(w.unary(w.dense(w.norm(x), 2 * d), "Gelu"), d))
    x = w.norm(x)
    return w.done(w.dense(w.pick(x), 10) if pick else x)


def training_graph(rng: np.random.Generator) -> TensorGraph:
    """A network to train on: random, planted, or a small transformer; sizes vary."""
    kind = rng.random()
    if kind < 0.45:
        return random_graph(rng, int(rng.integers(8, 30)), int(rng.integers(1, 7)))
    if kind < 0.75:
        return planted(str(rng.choice(list(FAMILIES))), rng).graph
    return transformer(
        rng, int(rng.integers(1, 3)), tokens=int(rng.integers(4, 40)), heads=int(rng.integers(1, 5)),
        size=int(rng.choice([4, 8, 16])), pick=bool(rng.random() < 0.8),
    )  # fmt: skip
