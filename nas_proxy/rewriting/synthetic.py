"""Random networks full of what rules look for: for tests of rules, and to train on."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from nas_proxy.graph import TensorGraph, Value, sort_nodes
from nas_proxy.graph._builder import GraphBuilder

__all__ = ["random_graph", "random_images", "random_sequences"]


def random_graph(rng: np.random.Generator, steps: int = 10, scale: int = 1) -> TensorGraph:
    """A random network of ``steps`` operators, of images or of sequences; sizes grow with ``scale``."""
    return (random_images if rng.random() < 0.5 else random_sequences)(rng, steps, scale)


def random_images(rng: np.random.Generator, steps: int = 10, scale: int = 1) -> TensorGraph:
    """Convolutions, poolings, normalisations, scales, branches that are summed or joined."""
    batch = int(rng.integers(1, 3)) if scale == 1 else 1
    size = 7 * min(scale, 4)
    return _Grower(rng, scale, (batch, 2 * scale, size, size), _IMAGE).grow(steps)


def random_sequences(rng: np.random.Generator, steps: int = 10, scale: int = 1) -> TensorGraph:
    """Products, attention, normalisations, reshapes, transpositions, selections."""
    return _Grower(rng, scale, (1, 3 * scale, 4 * scale), _SEQUENCE).grow(steps)


class _Grower:
    def __init__(self, rng: np.random.Generator, scale: int, shape: tuple[int, ...], steps: dict) -> None:
        self.rng, self.scale, self.steps = rng, scale, steps
        self.b = GraphBuilder()
        self.name = self.b.unique("x")
        self.b.values[self.name] = Value(self.name, shape, "float32")
        self.pool = [self.name]

    def grow(self, steps: int) -> TensorGraph:
        kinds = list(self.steps)
        weights = np.array([weight for _, weight in self.steps.values()], float)
        while len(self.b.nodes) < steps:
            kind = kinds[int(self.rng.choice(len(kinds), p=weights / weights.sum()))]
            step: Callable[[_Grower, str], str | None] = self.steps[kind][0]
            made = step(self, self.pick())
            if made is not None:
                self.pool.append(made)
        read = {name for node in self.b.nodes for name in node.reads}
        made_by_nodes = {name for node in self.b.nodes for name in node.makes}
        outputs = tuple(name for name in self.pool if name not in read and name in made_by_nodes)
        return TensorGraph(sort_nodes(self.b.nodes), self.b.values, (self.name,), outputs, "random")

    def pick(self) -> str:
        """Mostly what was made last, so that chains are common."""
        if self.rng.random() < 0.65:
            return self.pool[-1]
        return self.pool[int(self.rng.integers(len(self.pool)))]

    def shape(self, name: str) -> tuple[int, ...]:
        return self.b.shape(name)

    def like(self, name: str) -> str | None:
        """Another value of the same shape."""
        same = [n for n in self.pool if self.shape(n) == self.shape(name) and n != name]
        return same[int(self.rng.integers(len(same)))] if same else None

    def weights(self, *shape: int) -> str:
        size = int(np.prod(shape[1:])) or 1
        return self.b.constant((self.rng.standard_normal(shape) / np.sqrt(size)).astype(np.float32), "w")

    def vector(self, *shape: int) -> str:
        return self.b.constant(self.rng.uniform(0.5, 1.5, shape).astype(np.float32), "v")

    def chance(self, p: float) -> bool:
        return bool(self.rng.random() < p)

    def emit(self, operator, inputs, shape, **attributes) -> str:
        return self.b.emit(operator, inputs, shape, "float32", **attributes)


def _out(size: int, kernel: int, stride: int, pad: int) -> int:
    return (size + 2 * pad - kernel) // stride + 1


def _conv(g: _Grower, x: str) -> str | None:
    shape = g.shape(x)
    if len(shape) != 4:
        return None
    n, c, h, w = shape
    kernel = int(g.rng.choice([1, 1, 1, 3]))
    stride = 2 if g.chance(0.1) and h > 2 else 1
    pad = kernel // 2 if g.chance(0.85) else 0
    if min(h, w) + 2 * pad < kernel:
        return None
    group = int(g.rng.choice([d for d in (1, 1, 1, 2, 4) if c % d == 0])) if kernel == 3 else 1
    k = int(g.rng.choice([2, 4, 8])) * g.scale
    k = max(k // group * group, group)
    inputs = [x, g.weights(k, c // group, kernel, kernel)]
    if g.chance(0.5):
        inputs.append(g.vector(k))
    attributes = {"dilations": (1, 1), "group": group, "kernel_shape": (kernel, kernel), "pads": (pad,) * 4,
                  "strides": (stride, stride)}  # fmt: skip
    out = (n, k, _out(h, kernel, stride, pad), _out(w, kernel, stride, pad))
    return g.emit("Conv", inputs, out, **attributes)


def _twin(g: _Grower, x: str) -> str | None:
    """Another operator on what an operator reads already, of the same attributes: something to merge."""
    same = [node for node in g.b.nodes if node.operator in ("Conv", "MatMul", "AveragePool", "Relu", "Transpose")]
    if not same:
        return None
    node = same[int(g.rng.integers(len(same)))]
    inputs = list(node.inputs)
    if len(inputs) > 1 and g.b.array(inputs[1]) is not None and g.chance(0.8):
        inputs[1] = g.weights(*g.shape(inputs[1]))
    source = g.like(inputs[0]) if g.chance(0.4) else None
    inputs[0] = source or inputs[0]
    return g.emit(node.operator, inputs, g.shape(node.outputs[0]), **node.attributes)


def _add(g: _Grower, x: str) -> str | None:
    other = g.like(x)
    return g.emit("Add", [x, other], g.shape(x)) if other else None


def _unary(g: _Grower, x: str) -> str:
    return g.emit(str(g.rng.choice(["Relu", "Relu", "Sigmoid", "Tanh"])), [x], g.shape(x))


def _scale(g: _Grower, x: str) -> str:
    """A constant factor or shift: of a channel, or a number."""
    shape, kind = g.shape(x), str(g.rng.choice(["Mul", "Mul", "Add", "Add", "Div", "Sub"]))
    if g.chance(0.1):
        neutral = np.array(0.0 if kind in ("Add", "Sub") else 1.0, np.float32)
        return g.emit(kind, [x, g.b.constant(neutral)], shape)
    whole = (shape[1], 1, 1) if len(shape) == 4 else (shape[-1],)
    c = g.vector(1) if g.chance(0.4) else g.vector(*whole)
    return g.emit(kind, [x, c] if kind in ("Div", "Sub") or g.chance(0.8) else [c, x], shape)


def _average(g: _Grower, x: str) -> str | None:
    shape = g.shape(x)
    if len(shape) != 4 or min(shape[2:]) < 3:
        return None
    n, c, h, w = shape
    if g.chance(0.15):
        return g.emit("GlobalAveragePool", [x], (n, c, 1, 1))
    kernel, stride, pad = (3, 1, 1) if g.chance(0.7) else (2, 2, 0)
    out = (n, c, _out(h, kernel, stride, pad), _out(w, kernel, stride, pad))
    attributes = {"kernel_shape": (kernel,) * 2, "strides": (stride,) * 2, "pads": (pad,) * 4}
    if g.chance(0.2):
        return g.emit("MaxPool", [x], out, **attributes)
    return g.emit("AveragePool", [x], out, count_include_pad=int(g.chance(0.5)), **attributes)


def _pad(g: _Grower, x: str) -> str | None:
    shape = g.shape(x)
    if len(shape) != 4:
        return None
    amounts = [0, 0, 1, 1, 0, 0, 1, 1]
    return g.emit("Pad", [x, g.b.ints(amounts)], (*shape[:2], shape[2] + 2, shape[3] + 2), mode="constant")


def _batch_norm(g: _Grower, x: str) -> str | None:
    shape = g.shape(x)
    if len(shape) != 4:
        return None
    numbers = [g.vector(shape[1]) for _ in range(4)]
    return g.emit("BatchNormalization", [x, *numbers], shape, epsilon=1e-5, training_mode=0)


def _concat(g: _Grower, x: str) -> str | None:
    other, axis = g.like(x), 1 if len(g.shape(x)) == 4 else -1 % len(g.shape(x))
    if other is None:
        return None
    shape = list(g.shape(x))
    shape[axis] *= 2
    joined = g.emit("Concat", [x, other], shape, axis=axis)
    if g.chance(0.7):
        return joined
    shape[axis] += shape[axis] // 2
    return g.emit("Concat", [joined, x], shape, axis=axis)


def _split(g: _Grower, x: str) -> str | None:
    shape, axis = g.shape(x), 1 if len(g.shape(x)) == 4 else len(g.shape(x)) - 1
    if shape[axis] % 2:
        return None
    half = [s // 2 if i == axis else s for i, s in enumerate(shape)]
    parts = g.b.emit_parts("Split", [x, g.b.ints([shape[axis] // 2] * 2)],
                           [Value("", tuple(half), "float32")] * 2, axis=axis)  # fmt: skip
    if g.chance(0.3):
        return g.emit("Concat", list(parts), shape, axis=axis)
    if g.chance(0.5):
        name = str(g.rng.choice(["Relu", "Tanh"]))
        parts = tuple(g.emit(name, [part], half) for part in parts)
    g.pool.append(parts[0])
    return parts[1]


def _matmul(g: _Grower, x: str) -> str | None:
    shape = g.shape(x)
    if len(shape) < 2:
        return None
    k = int(g.rng.choice([2, 4, 8])) * g.scale
    if len(shape) == 2 and g.chance(0.5):
        inputs = [x, g.weights(k, shape[1])] + ([g.vector(k)] if g.chance(0.5) else [])
        return g.emit("Gemm", inputs, (shape[0], k), alpha=1.0, beta=1.0, transA=0, transB=1)
    made = g.emit("MatMul", [x, g.weights(shape[-1], k)], (*shape[:-1], k))
    return g.emit("Add", [made, g.vector(k)], (*shape[:-1], k)) if g.chance(0.3) else made


def _self_product(g: _Grower, x: str) -> str | None:
    """Attention-like: a product of two variables, scaled, normalised, applied."""
    shape, other = g.shape(x), g.like(x) or x
    if len(shape) not in (3, 4) or shape[-1] > 64 * g.scale:
        return None
    rank = len(shape)
    perm = (*range(rank - 2), rank - 1, rank - 2)
    back = (*shape[:-2], shape[-1], shape[-2])
    left = x
    size = g.b.constant(np.array([0.5], np.float32))
    if rank == 4 and g.chance(0.6):
        joined = (shape[0] * shape[1], *shape[2:])
        right = g.emit("Reshape", [other, g.b.ints(joined)], joined)
        right = g.emit("Transpose", [right], (joined[0], joined[2], joined[1]), perm=(0, 2, 1))
        right = g.emit("Reshape", [right, g.b.ints(back)], back)
    else:
        right = g.emit("Transpose", [other], back, perm=perm)
    if g.chance(0.5):
        left, right = g.emit("Mul", [left, size], shape), g.emit("Mul", [right, size], back)
    scores_shape = (*shape[:-1], shape[-2])
    scores = g.emit("MatMul", [left, right], scores_shape)
    if g.chance(0.5):
        scores = g.emit(str(g.rng.choice(["Mul", "Div"])), [scores, size], scores_shape)
    if g.chance(0.7):
        scores = g.emit("Softmax", [scores], scores_shape, axis=-1)
    return g.emit("MatMul", [scores, other], shape)


def _triple(g: _Grower, x: str) -> str | None:
    """A B C of variables, in one order or the other."""
    shape = g.shape(x)
    if len(shape) != 3:
        return None
    right = g.emit("Transpose", [x], (shape[0], shape[2], shape[1]), perm=(0, 2, 1))
    if g.chance(0.5):
        inner = g.emit("MatMul", [x, right], (shape[0], shape[1], shape[1]))
        return g.emit("MatMul", [inner, x], shape)
    inner = g.emit("MatMul", [right, x], (shape[0], shape[2], shape[2]))
    return g.emit("MatMul", [x, inner], shape)


def _transpose(g: _Grower, x: str) -> str | None:
    shape = g.shape(x)
    if len(shape) < 2:
        return None
    perm = tuple(int(p) for p in g.rng.permutation(len(shape)))
    made = g.emit("Transpose", [x], [shape[p] for p in perm], perm=perm)
    other = g.like(x)
    if other and g.chance(0.4):
        twin = g.emit("Transpose", [other], [shape[p] for p in perm], perm=perm)
        return g.emit("Add", [made, twin], g.shape(made))
    return made


def _reshape(g: _Grower, x: str) -> str | None:
    shape = g.shape(x)
    last = shape[-1]
    if g.chance(0.5) and last % 2 == 0:
        new = (*shape[:-1], 2, last // 2)
    elif len(shape) > 2:
        new = (*shape[:-2], shape[-2] * shape[-1])
    else:
        new = (1, *shape)
    return g.emit("Reshape", [x, g.b.ints(new)], new) if len(new) <= 5 else None


def _normalise(g: _Grower, x: str) -> str:
    shape = g.shape(x)
    if g.chance(0.4):
        return g.emit("Softmax", [x], shape, axis=-1)
    inputs = [x, g.vector(shape[-1]), g.vector(shape[-1])]
    return g.emit("LayerNormalization", inputs, shape, axis=-1, epsilon=1e-5)


def _select(g: _Grower, x: str) -> str | None:
    shape = g.shape(x)
    axis = int(g.rng.integers(len(shape)))
    if len(shape) < 2 or shape[axis] < 2:
        return None
    if g.chance(0.5):
        out = [s for i, s in enumerate(shape) if i != axis]
        return g.emit("Gather", [x, g.b.constant(np.array(1, np.int64))], out, axis=axis)
    out = [1 if i == axis else s for i, s in enumerate(shape)]
    return g.emit("Slice", [x, g.b.ints([0]), g.b.ints([1]), g.b.ints([axis])], out)


def _mean(g: _Grower, x: str) -> str | None:
    shape = g.shape(x)
    if len(shape) < 3:
        return None
    axes = [2, 3] if len(shape) == 4 else [1]
    out = [1 if i in axes else s for i, s in enumerate(shape)]
    return g.emit("ReduceMean", [x, g.b.ints(axes)], out, keepdims=1)


def _constants(g: _Grower, x: str) -> str | None:
    """A number that could be known beforehand."""
    a, b = g.vector(1), g.vector(1)
    known = g.emit("Mul", [a, b], (1,))
    return g.emit("Mul", [x, known], g.shape(x))


def _dead(g: _Grower, x: str) -> str | None:
    g.emit("Neg", [x], g.shape(x))
    return None


def _join_and_part(g: _Grower, x: str) -> str | None:
    """Two tensors joined, and parted again."""
    joined = _concat(g, x)
    if joined is None:
        return None
    shape, axis = g.shape(x), g.b.nodes[-1].attribute("axis")
    if g.shape(joined)[axis] != 2 * shape[axis]:
        return joined
    parts = g.b.emit_parts("Split", [joined, g.b.ints([shape[axis]] * 2)], [Value("", shape, "float32")] * 2, axis=axis)
    g.pool.append(parts[0])
    return g.emit("Tanh", [parts[1]], shape)


def _active_max(g: _Grower, x: str) -> str | None:
    shape = g.shape(x)
    if len(shape) != 4 or min(shape[2:]) < 2:
        return None
    n, c, h, w = shape
    out = (n, c, _out(h, 2, 2, 0), _out(w, 2, 2, 0))
    attributes = {"kernel_shape": (2, 2), "strides": (2, 2), "pads": (0,) * 4}
    if g.chance(0.5):
        return g.emit("Relu", [g.emit("MaxPool", [x], out, **attributes)], out)
    return g.emit("MaxPool", [g.emit("Relu", [x], shape)], out, **attributes)


def _sum(g: _Grower, x: str) -> str | None:
    """Two linear operators of one geometry, summed; of one tensor or of two."""
    shape, other = g.shape(x), g.like(x) or x
    parts = []
    for source in (x, other if g.chance(0.5) else x):
        if len(shape) == 4:
            weight = g.weights(4, shape[1], 1, 1)
            attributes = {"dilations": (1, 1), "group": 1, "kernel_shape": (1, 1), "pads": (0,) * 4, "strides": (1, 1)}
            parts.append(g.emit("Conv", [source, weight], (shape[0], 4, *shape[2:]), **attributes))
        else:
            parts.append(g.emit("MatMul", [source, g.weights(shape[-1], 4)], (*shape[:-1], 4)))
    if g.chance(0.3):
        parts = [g.emit("Tanh", [part], g.shape(part)) for part in parts]
        axis = 1 if len(shape) == 4 else len(shape) - 1
        return g.emit("Concat", parts, [8 if i == axis else n for i, n in enumerate(g.shape(parts[0]))], axis=axis)
    return g.emit("Add", parts, g.shape(parts[0]))


def _dropout(g: _Grower, x: str) -> str | None:
    return g.emit("Identity", [x], g.shape(x))


_COMMON = {
    "unary": (_unary, 2), "scale": (_scale, 3), "add": (_add, 2), "twin": (_twin, 3), "concat": (_concat, 1),
    "split": (_split, 1), "constants": (_constants, 0.3), "dead": (_dead, 0.2), "identity": (_dropout, 0.3),
    "select": (_select, 0.5), "mean": (_mean, 0.5),
    "join and part": (_join_and_part, 0.5),
    "sum": (_sum, 1),
}  # fmt: skip
_IMAGE = _COMMON | {
    "conv": (_conv, 6), "average": (_average, 3), "pad": (_pad, 0.7), "batch norm": (_batch_norm, 1.5),
    "active max": (_active_max, 1),
}  # fmt: skip
_SEQUENCE = _COMMON | {
    "matmul": (_matmul, 5), "product": (_self_product, 1.5), "triple": (_triple, 0.7), "transpose": (_transpose, 2),
    "reshape": (_reshape, 2), "normalise": (_normalise, 1.5), "select": (_select, 2), "mean": (_mean, 1),
}  # fmt: skip
