"""Work that need not be done at all: what is known already, has no effect, is done twice, or that nobody reads."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import numpy as np

from nas_proxy.graph import Constant, Node, Subgraph, TensorGraph
from nas_proxy.rewriting._constants import derive
from nas_proxy.rewriting._edit import Patch
from nas_proxy.rewriting._rule import rule
from nas_proxy.rewriting.rules._patterns import FLOATS, constant, ints, is_free, scalar

__all__ = ["common_subexpression", "constant_folding", "dead_code", "identity_elimination"]

New = Callable[[], Patch]

_RANDOM = {"Bernoulli", "Dropout", "Multinomial", "RandomNormal", "RandomNormalLike", "RandomUniform",
           "RandomUniformLike"}  # fmt: skip
_LARGEST_FOLDED = 1 << 22  # elements


@rule("constant-folding", "", "an operator less", radius=1)
def constant_folding(graph: TensorGraph, node: Node, new: New) -> Iterator[Patch]:
    """An operator of constants only is its result."""
    sources = [graph.values[name].constant for name in node.inputs if name]
    if not sources or len(node.outputs) != 1 or "" in node.inputs or not is_free(graph, node.outputs[0]):
        return
    if node.operator in _RANDOM or any(isinstance(a, Subgraph) for a in node.attributes.values()):
        return
    out = graph.values[node.outputs[0]]
    constants = [source for source in sources if source is not None]
    if len(constants) < len(sources) or out.elements > _LARGEST_FOLDED or out.dtype == "string":
        return
    patch = new()
    attributes = tuple(sorted((k, v) for k, v in node.attributes.items() if not isinstance(v, Constant)))
    if len(attributes) < len(node.attributes):
        return
    version = graph.opset.get("", 20)
    derived = derive(_run, *constants, shape=out.shape, dtype=out.dtype, operator=node.operator,
                     attributes=attributes, version=version)  # fmt: skip
    patch.rename(out.name, patch.constant(derived))
    yield patch


def _run(*arrays: np.ndarray, operator: str, attributes: tuple, version: int) -> np.ndarray:
    import onnx
    from onnx.reference import ReferenceEvaluator

    names = [f"x{i}" for i in range(len(arrays))]
    made = onnx.helper.make_node(operator, names, ["y"], **dict(attributes))
    types = [onnx.helper.np_dtype_to_tensor_dtype(a.dtype) for a in arrays]
    inputs = [onnx.helper.make_tensor_value_info(n, t, a.shape) for n, t, a in zip(names, types, arrays, strict=True)]
    output = onnx.helper.make_tensor_value_info("y", types[0], None)
    graph = onnx.helper.make_graph([made], "folded", inputs, [output])
    model = onnx.helper.make_model(graph, opset_imports=[onnx.helper.make_opsetid("", version)])
    return np.asarray(ReferenceEvaluator(model).run(None, dict(zip(names, arrays, strict=True)))[0])  # type: ignore[index]


@rule("identity-elimination", """Identity Dropout Reshape Transpose Concat Add Sub Mul Div Pad Cast AveragePool MaxPool
      Squeeze Unsqueeze Flatten Expand Slice Tile""", "an operator less", radius=1)  # fmt: skip
def identity_elimination(graph: TensorGraph, node: Node, new: New) -> Iterator[Patch]:
    """What changes nothing is not there."""
    out, source = node.outputs[0], _unchanged(graph, node)
    if source is None or not is_free(graph, out) or any(graph.consumers.get(name) for name in node.makes[1:]):
        return
    if any(name in graph.outputs for name in node.makes):
        return
    patch = new()
    patch.rename(out, source)
    yield patch


def _unchanged(graph: TensorGraph, node: Node) -> str | None:
    """The input that a node passes on as it is."""
    inputs, x = node.inputs, node.inputs[0]
    if node.operator in ("Add", "Mul", "Sub", "Div"):
        neutral = 0.0 if node.operator in ("Add", "Sub") else 1.0
        for i in (0, 1) if node.operator in ("Add", "Mul") else (1,):
            if scalar(graph, inputs[i]) == neutral and _same(graph, inputs[1 - i], node):
                return inputs[1 - i]
        return None
    if not _same(graph, x, node):
        return None
    if node.operator == "Transpose":
        perm = node.attribute("perm")
        moving = [axis for axis in perm or () if graph.values[x].shape[axis] != 1]
        return x if perm is not None and moving == sorted(moving) else None
    if node.operator == "Concat":
        return x if len([n for n in inputs if graph.values[n].elements]) == 1 else None
    if node.operator == "Dropout":
        training = constant(graph, inputs[2]) if len(inputs) > 2 else None
        return x if len(inputs) < 3 or (training is not None and not training.array.any()) else None
    if node.operator in ("AveragePool", "MaxPool"):
        kernel = node.attribute("kernel_shape")
        plain = all(k == 1 for k in kernel) and not any(node.attribute("pads", (0,)))
        return x if plain and all(s == 1 for s in node.attribute("strides", (1,))) else None
    if node.operator == "Pad":
        amounts = ints(graph, node, "pads", 1)
        return x if amounts is not None and not any(amounts) else None
    if node.operator == "Slice":
        steps = constant(graph, inputs[4]) if len(inputs) > 4 else None
        return x if len(inputs) < 5 or (steps is not None and (steps.array > 0).all()) else None
    return x  # a reshape to the same shape, a cast to the same type, ...


def _same(graph: TensorGraph, name: str, node: Node) -> bool:
    a, b = graph.values[name], graph.values[node.outputs[0]]
    return (a.shape, a.dtype) == (b.shape, b.dtype)


@rule("common-subexpression", "", "an operator less", radius=2)
def common_subexpression(graph: TensorGraph, node: Node, new: New) -> Iterator[Patch]:
    """Two nodes that do the same to the same are one: the earlier stays."""
    if node.operator in _RANDOM or any(isinstance(a, Subgraph) for a in node.attributes.values()):
        return
    first = next((name for name in node.inputs if name and not graph.values[name].is_constant), None)
    if first is None:
        return
    key = None
    for other in graph.consumers[first]:
        if other.name == node.name:
            return  # only later ones go
        if other.operator != node.operator or other.domain != node.domain or len(other.outputs) != len(node.outputs):
            continue
        key = key or _key(graph, node)
        if _key(graph, other) == key and all(map(bool, other.outputs)):
            if all(is_free(graph, name) for name in node.makes) and all(node.outputs):
                patch = new()
                for mine, theirs in zip(node.outputs, other.outputs, strict=True):
                    patch.rename(mine, theirs)
                yield patch
            return


def _key(graph: TensorGraph, node: Node) -> tuple:
    sources = [graph.values[name] if name else None for name in node.inputs]
    return (
        tuple(v and (v.constant.content_hash if v.constant is not None else v.name) for v in sources),
        tuple(sorted((k, v.content_hash if isinstance(v, Constant) else v) for k, v in node.attributes.items())),
    )


@rule("dead-code", "", "an operator less", radius=1)
def dead_code(graph: TensorGraph, node: Node, new: New) -> Iterator[Patch]:
    """A node whose results nobody reads goes, and what it alone needed with it."""
    if not any(name in graph.consumers or name in graph.outputs for name in node.makes):
        yield new()


@rule("constant-reassociation", "Add Mul", "an element-wise operator less")
def constant_reassociation(graph: TensorGraph, node: Node, new: New) -> Iterator[Patch]:
    """(x + a) + b = x + (a + b), and so for products, with constants a and b."""
    found = split_constant(graph, node)
    if found is None:
        return
    x, outer = found
    inner_node = graph.producers.get(x)
    if inner_node is None or inner_node.operator != node.operator or not is_free(graph, x):
        return
    inner = split_constant(graph, inner_node)
    if inner is None or len(graph.consumers[x]) > 1:
        return
    a, b = graph.values[inner[1]], graph.values[outer]
    if a.constant is None or b.constant is None:
        return
    shape = np.broadcast_shapes(a.shape, b.shape)
    if int(np.prod(shape)) > max(a.elements, b.elements):
        return  # a row and a column would make a matrix
    patch = new()
    recipe = _add if node.operator == "Add" else _multiply
    merged = patch.constant(derive(recipe, a.constant, b.constant, shape=shape))
    patch.emit(node.operator, [inner[0], merged], makes=node.outputs[0])
    yield patch


def split_constant(graph: TensorGraph, node: Node) -> tuple[str, str] | None:
    """(variable input, constant input) of a floating-point operator of one of each."""
    known = [constant(graph, name) is not None for name in node.inputs[:2]]
    if len(node.inputs) != 2 or known[0] == known[1] or graph.values[node.outputs[0]].dtype not in FLOATS:
        return None
    return (node.inputs[1], node.inputs[0]) if known[0] else (node.inputs[0], node.inputs[1])


def _add(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    return a + b


def _multiply(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    return a * b
