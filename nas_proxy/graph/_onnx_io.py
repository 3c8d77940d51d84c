"""TensorGraph from and to ONNX, with every problem of the file found before any work and named."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

import numpy as np

from nas_proxy import files
from nas_proxy.errors import InputError, from_extra
from nas_proxy.graph._tensor_graph import Constant, Node, Subgraph, TensorGraph, Value, numpy_dtype, sort_nodes

if TYPE_CHECKING:
    import onnx
    import onnx_ir as ir

__all__ = ["from_onnx", "parse_shapes", "save_onnx", "to_onnx"]

_PROTOBUF_LIMIT = 2**31 - 1
_IR_VERSION = 10  # of files written; read by every onnxruntime since 1.18


def from_onnx(
    source: str | Path | bytes | onnx.ModelProto,
    *,
    input_shapes: Mapping[str, Sequence[int]] | None = None,
    batch: int | None = None,
    simplify: bool = True,
) -> TensorGraph:
    """The network of an ONNX model.

    Args:
        source: a path (tensors may be in files beside it), the file's bytes, or the loaded model.
        input_shapes: shapes of inputs that the model leaves open, by input name.
        batch: the size of every input's first dimension where the model leaves it open.
        simplify: inline functions, fold constants and batch normalisations and drop dead nodes (onnxscript's
            optimizer), so that the result is not an artefact of the exporter. False keeps nodes as they are.

    Raises:
        InputError: the file is missing, truncated, over 2 GB in one file, of an unknown opset, cyclic, or has a shape
            that stays unknown or dynamic; names the input, node or tensor.
    """
    model = _load(source)
    sort_nodes(_nodes(model.graph))  # names the cycle, if there is one
    model.graph.sort()
    _fix_input_shapes(model.graph, dict(input_shapes or {}), batch)
    _infer(model, simplify)
    return _from_ir(model)


def parse_shapes(texts: Sequence[str]) -> dict[str, tuple[int, ...]]:
    """``input_shapes`` from texts such as ``"x=1,3,224,224"``, one an input.

    Raises:
        InputError: a text has another form, or an input is named twice.
    """
    shapes: dict[str, tuple[int, ...]] = {}
    for text in texts:
        name, _, sizes = text.rpartition("=")
        if not name or not all(size.strip().isdecimal() for size in sizes.split(",")):
            raise InputError(f"shape {text!r}: expected INPUT=SIZES with whole numbers, such as x=1,3,224,224.")
        if name in shapes:
            raise InputError(f"shape {text!r}: the input {name!r} has a shape already: give each once.")
        shapes[name] = tuple(int(size) for size in sizes.split(","))
    return shapes


def to_onnx(graph: TensorGraph) -> onnx.ModelProto:
    """The ONNX model of a graph; ``from_onnx(to_onnx(graph), simplify=False)`` equals ``graph``.

    Raises:
        InputError: its constants are over the 2 GB that one message can hold; use :func:`save_onnx`.
    """
    import onnx_ir as ir

    if (size := sum(value.bytes for value in graph.values.values() if value.is_constant)) > _PROTOBUF_LIMIT:
        raise InputError(f"graph {graph.name!r} has {size / 1e9:.1f} GB of constants, over 2 GB: use save_onnx().")
    return ir.serde.serialize_model(_to_ir(graph))


def save_onnx(graph: TensorGraph, path: str | Path) -> Path:
    """Write a graph as an ONNX file; constants over 2 GB go to ``<path>.data`` beside it."""
    import onnx_ir as ir

    path = Path(path)
    if sum(value.bytes for value in graph.values.values() if value.is_constant) > 0.9 * _PROTOBUF_LIMIT:
        ir.save(  # pyright: ignore[reportUnknownMemberType]
            _to_ir(graph), path, external_data=f"{path.name}.data"
        )
        return path
    return files.write_bytes(path, to_onnx(graph).SerializeToString())


# -- reading ---------------------------------------------------------------------------------------------------------


def _load(source: str | Path | bytes | onnx.ModelProto) -> ir.Model:
    with from_extra("onnx", "reading ONNX"):
        import onnx
        import onnx_ir as ir
        from google.protobuf.message import DecodeError

    folder, label = None, "the ONNX model"
    if isinstance(source, str | Path):
        path, label = Path(source), str(source)
        if not path.is_file():
            found = "a folder" if path.is_dir() else "no such file"
            raise InputError(f"{label}: {found}: expected the path of an ONNX model.")
        if (size := path.stat().st_size) > _PROTOBUF_LIMIT:
            raise InputError(
                f"{label}: {size / 1e9:.1f} GB in one file, and ONNX files end at 2 GB (protobuf): save it with "
                "external data, onnx.save(model, path, save_as_external_data=True)."
            )
        folder, source = path.parent.resolve(), path.read_bytes()
    if isinstance(source, bytes | bytearray | memoryview):
        try:
            source = onnx.load_model_from_string(bytes(source))
        except DecodeError:
            raise InputError(f"{label}: not an ONNX model, or truncated: protobuf cannot decode it.") from None
    if not source.graph.output:
        raise InputError(f"{label}: the graph has no output: not an ONNX model, or truncated.")
    opsets = {opset.domain: opset.version for opset in source.opset_import}
    known = onnx.defs.onnx_opset_version()
    version = opsets.get("", opsets.get("ai.onnx"))
    if version is None or not 1 <= version <= known:
        raise InputError(f"{label}: opset {version} is not known to the installed onnx: expected 1 to {known}.")
    if source.graph.sparse_initializer:
        name = source.graph.sparse_initializer[0].values.name
        raise InputError(f"{label}: initialiser {name!r} is sparse, not supported: store it dense.")
    try:
        model = ir.serde.deserialize_model(source)
    except Exception as error:  # onnx_ir raises what it meets; the file is from outside
        raise InputError(f"{label}: not a valid ONNX model: {_innermost(error)}") from None
    _check_external_data(model, folder, label)
    return model


def _check_external_data(model: ir.Model, folder: Path | None, label: str) -> None:
    import onnx_ir as ir

    for name, value in model.graph.initializers.items():
        tensor = value.const_value
        if tensor is None:
            raise InputError(f"{label}: initialiser {name!r} has no data: truncated?")
        if not isinstance(tensor, ir.ExternalTensor):
            continue
        location = str(cast(Any, tensor).location)
        where = f"{label}: tensor {name!r} is in the file {location!r}"
        if folder is None:
            raise InputError(f"{where}: give the model's path, so that it can be found, not its bytes.")
        file = (folder / location).resolve()
        if not file.is_relative_to(folder):
            raise InputError(f"{where}, outside the model's own folder, which is refused.")
        if not file.is_file():
            raise InputError(f"{where}, which does not exist beside the model.")
        end = (tensor.offset or 0) + (tensor.length or tensor.nbytes)
        if file.stat().st_size < end:
            raise InputError(f"{where}, which ends at byte {file.stat().st_size}, before {end}: truncated?")
        tensor.base_dir = folder


def _fix_input_shapes(graph: ir.Graph, given: dict[str, Sequence[int]], batch: int | None) -> None:
    """Every input gets a static shape. Shapes of other values are inferred anew where an input's changed."""
    import onnx_ir as ir

    inputs = [value for value in graph.inputs if value.name not in graph.initializers]
    graph.inputs[:] = inputs  # before IR version 4 initialisers were inputs too
    if unknown := set(given) - {value.name for value in inputs}:
        names = ", ".join(repr(value.name) for value in inputs)
        raise InputError(f"input_shapes names {sorted(unknown)[0]!r}, which is no input: the inputs are {names}.")
    changed = False
    for value in inputs:
        if value.shape is None and value.name not in given:
            raise InputError(
                f"input {value.name!r} has no shape: give input_shapes={{{value.name!r}: (...)}} (--shape "
                f"{value.name}=... in commands)."
            )
        declared = list(value.shape) if value.shape is not None else [None] * len(given[str(value.name)])
        wanted = [d if isinstance(d, int) else None for d in declared]
        if wanted and wanted[0] is None:
            wanted[0] = batch
        if value.name in given:
            wanted = [int(d) for d in given[str(value.name)]]
            fits = len(wanted) == len(declared) and all(
                not isinstance(d, int) or d == w for d, w in zip(declared, wanted, strict=True)
            )
            if not fits:
                shown = [d if isinstance(d, int) else str(d) for d in declared]
                raise InputError(f"input {value.name!r}: the model declares the shape {shown}, {wanted} was given.")
        for axis, size in enumerate(wanted):
            if size is None:
                raise InputError(
                    f"input {value.name!r}: the model leaves dimension {axis} ({declared[axis]}) open. Say how large "
                    f"it is: in commands by --batch N (dimension 0) or --shape {value.name}=1,3,224,224, in Python by "
                    f"batch=N or input_shapes={{{value.name!r}: (1, 3, 224, 224)}}."
                )
            if size < 1:
                raise InputError(f"input {value.name!r}: dimension {axis} is {size}: expected at least 1.")
        changed |= wanted != declared
        value.shape = ir.Shape(wanted)
    if changed:
        for node in graph:
            for output in node.outputs:
                output.shape = None


def _infer(model: ir.Model, simplify: bool) -> None:
    import logging

    import onnxscript.optimizer
    from onnx_ir.passes.common import ShapeInferencePass

    infer = ShapeInferencePass(check_type=False, strict_mode=False, data_prop=True)
    chatty = [logging.getLogger("onnxscript"), logging.getLogger("onnx_ir")]
    levels = [logger.level for logger in chatty]
    try:
        for logger in chatty:  # they warn of every operator that they leave alone
            logger.setLevel(logging.ERROR)
        infer(model)
        if simplify:
            onnxscript.optimizer.optimize_ir(model)
            infer(model)
    except Exception as error:
        raise InputError(f"the ONNX model cannot be analysed: {_innermost(error)}") from None
    finally:
        for logger, level in zip(chatty, levels, strict=True):
            logger.setLevel(level)


def _from_ir(model: ir.Model) -> TensorGraph:
    graph = model.graph
    values = {str(name): _constant_value(str(name), value.const_value) for name, value in graph.initializers.items()}
    for value in graph.inputs:
        values[str(value.name)] = _value(value, f"input {value.name!r}")
    nodes = sort_nodes(_nodes(graph))
    for node in graph:
        for output in node.outputs:
            if output.name:
                values[output.name] = _value(output, f"node {node.name!r} ({_qualified(node)}): output {output.name!r}")
    return TensorGraph(
        nodes=nodes,
        values=values,
        inputs=tuple(str(value.name) for value in graph.inputs),
        outputs=tuple(str(value.name) for value in graph.outputs),
        name=graph.name or "graph",
        opset=dict(graph.opset_imports),
        metadata=dict(model.metadata_props),
    )


def _nodes(graph: ir.Graph) -> list[Node]:
    """Nodes with their attributes; unnamed ones are named, so that every message can name its node."""
    taken = {node.name for node in graph}
    nodes: list[Node] = []
    for i, node in enumerate(graph):
        if not node.name:
            node.name = f"{node.op_type}_{i}"
            while node.name in taken:
                node.name += "_"
            taken.add(node.name)
        nodes.append(
            Node(
                name=node.name,
                operator=node.op_type,
                inputs=tuple("" if value is None else str(value.name) for value in node.inputs),
                outputs=tuple(str(value.name or "") for value in node.outputs),
                attributes={name: _attribute(attribute) for name, attribute in node.attributes.items()},
                domain=node.domain,
            )
        )
    return nodes


def _attribute(attribute: ir.Attr) -> Any:
    import onnx_ir as ir

    kind, value = attribute.type, attribute.value
    if kind == ir.AttributeType.TENSOR:
        return Constant(value.numpy())
    if kind == ir.AttributeType.GRAPH:
        proto = ir.serde.serialize_graph(value)
        return Subgraph(proto.SerializeToString(), tuple(dict.fromkeys(_free_names(proto))))
    if kind in {ir.AttributeType.INT, ir.AttributeType.FLOAT, ir.AttributeType.STRING}:
        return value
    if kind in {ir.AttributeType.INTS, ir.AttributeType.FLOATS, ir.AttributeType.STRINGS}:
        return tuple(value)
    raise InputError(f"attribute {attribute.name!r} is of kind {kind.name}, which is not supported.")


def _free_names(proto: onnx.GraphProto) -> Iterator[str]:
    """Names that a subgraph reads but does not make."""
    made = {value.name for value in proto.input} | {tensor.name for tensor in proto.initializer} | {""}
    for node in proto.node:
        inner = (name for attribute in node.attribute if attribute.HasField("g") for name in _free_names(attribute.g))
        yield from (name for name in (*node.input, *inner) if name not in made)
        made.update(node.output)
    yield from (value.name for value in proto.output if value.name not in made)


def _constant_value(name: str, tensor: Any) -> Value:
    constant = Constant(tensor.numpy())
    return Value(name, constant.shape, constant.dtype, constant)


def _value(value: ir.Value, where: str) -> Value:
    if value.shape is None or value.dtype is None:
        raise InputError(
            f"{where}: its shape cannot be inferred (an operator that onnx does not know, or a file that is not valid)."
            " Save the model with shapes of all values (value_info)."
        )
    if not value.shape.is_static():
        raise InputError(f"{where}: its shape {value.shape} depends on the data: only static shapes are supported.")
    return Value(str(value.name), value.shape.numpy(), _dtype_of(value.dtype))


def _dtype_of(dtype: ir.DataType) -> str:
    import onnx_ir as ir

    return "string" if dtype == ir.DataType.STRING else np.dtype(dtype.numpy()).name


def _qualified(node: ir.Node) -> str:
    return f"{node.domain}.{node.op_type}" if node.domain else node.op_type


def _innermost(error: BaseException) -> str:
    while error.__cause__ is not None:
        error = error.__cause__
    return f"{type(error).__name__}: {error}"


# -- writing ---------------------------------------------------------------------------------------------------------


def _to_ir(graph: TensorGraph) -> ir.Model:
    import onnx
    import onnx_ir as ir

    values: dict[str, ir.Value] = {}
    for name, value in graph.values.items():
        dtype = _ir_dtype(value)
        made = ir.Value(name=name, shape=ir.Shape(value.shape), type=ir.TensorType(dtype))
        if value.constant is not None:
            made.const_value = ir.tensor(value.constant.array, dtype=dtype, name=name)
        values[name] = made

    def attribute(name: str, value: Any) -> ir.Attr:
        if isinstance(value, Constant):
            return ir.AttrTensor(name, ir.tensor(value.array))
        if isinstance(value, Subgraph):
            proto = onnx.AttributeProto(name=name, type=onnx.AttributeProto.GRAPH)
            proto.g.ParseFromString(value.proto)
            return ir.serde.deserialize_attribute(proto)
        return ir.AttrInt64s(name, []) if value == () else ir.convenience.convert_attribute(name, value)

    nodes = [
        ir.Node(
            node.domain,
            node.operator,
            [values[name] if name else None for name in node.inputs],
            [attribute(name, value) for name, value in node.attributes.items()],
            outputs=[values[name] if name else ir.Value(name="") for name in node.outputs],
            name=node.name,
        )
        for node in graph.nodes
    ]
    made = ir.Graph(
        [values[name] for name in graph.inputs],
        [values[name] for name in graph.outputs],
        nodes=nodes,
        initializers=[values[name] for name, value in graph.values.items() if value.is_constant],
        opset_imports=dict(graph.opset),
        name=graph.name,
    )
    return ir.Model(made, ir_version=_IR_VERSION, metadata_props=dict(graph.metadata))


def _ir_dtype(value: Value) -> ir.DataType:
    import onnx_ir as ir

    if value.dtype == "string":
        return ir.DataType.STRING
    return ir.DataType.from_numpy(numpy_dtype(value.dtype))
