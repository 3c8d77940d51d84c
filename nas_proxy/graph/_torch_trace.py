"""TensorGraph of a torch module: ``torch.export``'s graph, each ATen operator written in the ONNX vocabulary.

``torch.onnx.export`` gives the same graph, in several times the time; it remains the way for the operators that
:mod:`nas_proxy.graph._aten` does not translate.
"""

# The types of torch's programs are known in part only; a module that a caller hands in is checked to be one.
# pyright: reportUnknownMemberType=false, reportUnnecessaryIsInstance=false

from __future__ import annotations

import warnings
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, cast

import numpy as np

from nas_proxy.errors import InputError, from_extra
from nas_proxy.graph._builder import GraphBuilder, Untranslatable
from nas_proxy.graph._onnx_io import from_onnx
from nas_proxy.graph._tensor_graph import Node, TensorGraph, Value, sort_nodes

if TYPE_CHECKING:
    import torch

__all__ = ["from_torch"]


def from_torch(module: torch.nn.Module, example_shapes: Sequence[Any]) -> TensorGraph:
    """The network of a torch module, in evaluation mode.

    Args:
        module: the module; it is not changed, its weights are shared, not copied (batch normalisations are folded into
            copies).
        example_shapes: the shape of its input, batch first, ``(1, 3, 224, 224)``; a list of shapes for several inputs;
            or example tensors instead of shapes, where an input is not float32 (token ids).

    Raises:
        MissingDependencyError: torch is not installed.
        InputError: the shapes are not shapes, the module cannot take them, or its graph depends on the data.
    """
    with from_extra("torch", "tracing a module"):
        import torch

    if not isinstance(module, torch.nn.Module):
        raise InputError(f"expected a torch.nn.Module, found {type(module).__name__}.")
    examples = _examples(example_shapes)
    if any(tensor.is_meta for tensor in module.state_dict().values()):
        raise InputError(
            f"{type(module).__name__} is on the meta device: its weights have no contents; build it on the CPU."
        )
    was_training = [(part, part.training) for part in module.modules()]
    try:
        module.eval()
        exported = _export(module, examples)
        try:
            return _translate(exported, type(module).__name__)
        except Untranslatable:
            return _through_onnx(exported, examples)
    finally:
        for part, training in was_training:
            part.training = training


def _examples(shapes: Sequence[Any]) -> tuple[torch.Tensor, ...]:
    import torch

    several: list[Any] = list(shapes) if shapes and not isinstance(shapes[0], int | np.integer) else [shapes]
    examples: list[torch.Tensor] = []
    for shape in several:
        if isinstance(shape, torch.Tensor):
            examples.append(shape)
            continue
        sizes = cast(Sequence[Any], shape)
        if not isinstance(sizes, Sequence) or not sizes or not all(isinstance(d, int) and d > 0 for d in sizes):
            raise InputError(f"example_shapes: expected sizes of at least 1, as in (1, 3, 32, 32); found {shape!r}.")
        examples.append(torch.zeros(*sizes))
    return tuple(examples)


def _export(module: torch.nn.Module, examples: tuple[torch.Tensor, ...]) -> torch.export.ExportedProgram:
    import torch

    try:
        with torch.no_grad(), warnings.catch_warnings():
            warnings.simplefilter("ignore")
            return torch.export.export(module, examples, strict=False)
    except Exception as error:  # whatever the module's forward raises
        shapes = ", ".join(str(tuple(example.shape)) for example in examples)
        reason = str(error).strip().split("\n")[0]
        raise InputError(
            f"{type(module).__name__} cannot be traced with inputs of shape {shapes}: {type(error).__name__}: {reason}"
        ) from error


def _through_onnx(exported: torch.export.ExportedProgram, examples: tuple[torch.Tensor, ...]) -> TensorGraph:
    import torch

    try:
        with torch.no_grad(), warnings.catch_warnings():
            warnings.simplefilter("ignore")
            program = torch.onnx.export(exported, examples, dynamo=True, verbose=False)
            assert program is not None
            model = program.model_proto
    except Exception as error:
        last = error
        while last.__cause__ is not None:
            last = last.__cause__
        raise InputError(f"the module has an operator that ONNX cannot express: {str(last).strip()[:500]}") from error
    return from_onnx(model)


def _translate(exported: torch.export.ExportedProgram, name: str) -> TensorGraph:
    from torch.export.graph_signature import InputKind, OutputKind

    from nas_proxy.graph import _aten

    builder = GraphBuilder()
    held: dict[Any, Any] = {}  # fx node -> the name of its value, or a tuple of names
    inputs: list[str] = []
    for spec in exported.graph_signature.input_specs:
        node = next(n for n in exported.graph.nodes if n.name == spec.arg.name)
        if spec.kind == InputKind.USER_INPUT:
            value = node.meta["val"]
            held[node] = builder.unique(node.name)
            builder.values[held[node]] = Value(held[node], tuple(value.shape), _dtype(value))
            inputs.append(held[node])
        elif spec.kind in {InputKind.PARAMETER, InputKind.BUFFER, InputKind.CONSTANT_TENSOR}:
            target = str(spec.target)
            tensor = exported.constants.get(target, exported.state_dict.get(target))
            held[node] = builder.constant(_array(tensor), target)
        else:
            raise Untranslatable(str(spec.kind))
    if any(spec.kind != OutputKind.USER_OUTPUT for spec in exported.graph_signature.output_specs):
        raise Untranslatable("the module changes its buffers")

    for node in exported.graph.nodes:
        if node.op == "call_function":
            builder.scope = _scope(node)
            held[node] = _aten.translate(builder, node, held)
    results = exported.graph.output_node().args[0]
    outputs = tuple(held[node] for node in results)  # type: ignore[union-attr]
    nodes, values = _drop_dead(builder, inputs, outputs)
    return TensorGraph(sort_nodes(nodes), values, tuple(inputs), outputs, name)


def _drop_dead(
    builder: GraphBuilder, inputs: Sequence[str], outputs: Sequence[str]
) -> tuple[list[Node], dict[str, Value]]:
    """Nodes and values that the outputs need; inputs stay, needed or not."""
    needed = {*inputs, *outputs}
    nodes: list[Node] = []
    for node in reversed(builder.nodes):
        if needed & set(node.makes):
            nodes.append(node)
            needed.update((*node.reads, *node.makes))
    return nodes[::-1], {name: value for name, value in builder.values.items() if name in needed}


def _scope(node: Any) -> str:
    stack: dict[str, Any] = node.meta.get("nn_module_stack") or {}
    path = str(next(reversed(stack.values()))[0]) if stack else ""
    return path.removeprefix("L['self'].") or "root"


def _array(tensor: Any) -> np.ndarray:
    import torch

    tensor = tensor.detach().cpu()
    if tensor.dtype == torch.bfloat16:
        import ml_dtypes

        return tensor.contiguous().view(torch.int16).numpy().view(ml_dtypes.bfloat16)
    return tensor.numpy()


def _dtype(tensor: Any) -> str:
    return str(tensor.dtype).removeprefix("torch.")
