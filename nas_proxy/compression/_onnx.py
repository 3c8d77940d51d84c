"""Policies as ONNX: exported, quantized by onnxruntime, without what only readers need, and at work."""

from __future__ import annotations

import inspect
import itertools
import logging
import tempfile
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn

from nas_proxy.compression._method import Quantization
from nas_proxy.compression._observations import Observations, tensors
from nas_proxy.errors import InputError, from_extra

if TYPE_CHECKING:
    import onnx

__all__ = ["Actor", "export", "quantize"]


class Actor:
    """A policy at work: onnxruntime on one thread.

    Call it with a batch of each input; it gives the output, or a tuple of them.
    """

    def __init__(self, model: bytes) -> None:
        import onnxruntime

        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = options.inter_op_num_threads = 1
        self.model = model
        self._session = onnxruntime.InferenceSession(model, options, providers=["CPUExecutionProvider"])
        self._names = [given.name for given in self._session.get_inputs()]

    @property
    def inputs(self) -> int:
        """How many arrays it takes."""
        return len(self._names)

    def __call__(self, *inputs: NDArray[Any]) -> Any:
        out = self._session.run(None, dict(zip(self._names, inputs, strict=True)))
        return out[0] if len(out) == 1 else tuple(out)


def export(network: nn.Module, observations: Observations) -> bytes:
    """An ONNX file of any batch size, and of any size along the axes that differ between observations.

    Raises:
        InputError: PyTorch cannot export the network, or the file computes something else.
        MissingDependencyError: ONNX is not installed.
    """
    with from_extra("compress", "deploying a policy"):
        import onnx
        import onnxruntime  # noqa: F401
        import onnxscript  # noqa: F401
    names = list(inspect.signature(network.forward).parameters)
    inputs = tuple(np.repeat(array, 2, axis=0) for array in observations.typical[: len(names)])
    axes = tuple(dict.fromkeys(dynamic, torch.export.Dim.AUTO) for dynamic in observations.dynamic)[: len(names)]
    with _quiet():
        try:
            program = torch.onnx.export(
                network, tensors(inputs), dynamic_shapes=axes, dynamo=True, verbose=False, optimize=True
            )
        except Exception as error:  # the exporter has many
            reason = str(error.__cause__ or error).strip().splitlines()[0]
            raise InputError(f"{type(network).__name__} cannot be exported to ONNX: {reason}") from None
    assert program is not None
    model = onnx.shape_inference.infer_shapes(program.model_proto)
    if len(observations.groups) > 1:  # of recurrent networks the exporter takes the example's sizes for those of all
        for value in model.graph.output:
            for dim in value.type.tensor_type.shape.dim:
                dim.Clear()
    stored = _tidy(model).SerializeToString()
    _require_equal(network, Actor(stored), observations, len(names))
    return stored


def quantize(model: bytes, kind: Quantization, observations: Observations) -> bytes:
    """The file with int8 weights: dynamic ranges of activations for PTDQ, those of the observations otherwise.

    Raises:
        InputError: there is nothing in it that onnxruntime can quantize.
    """
    import onnx
    from onnxruntime import quantization as ort

    # Signed weights saturate on processors without VNNI (sums of two products in 16 bits): errors eight times as large.
    weight_type = ort.QuantType.QUInt8
    with tempfile.TemporaryDirectory() as folder, _quiet():
        before, prepared, after = (Path(folder) / f"{name}.onnx" for name in ("before", "prepared", "after"))
        before.write_bytes(model)
        ort.quant_pre_process(before, prepared, skip_symbolic_shape=True)
        if kind == "PTDQ":
            ort.quantize_dynamic(prepared, after, weight_type=weight_type)
        else:
            names = [given.name for given in onnx.load(prepared).graph.input]
            ort.quantize_static(
                prepared,
                after,
                _reader(names, observations),
                activation_type=weight_type,
                weight_type=weight_type,
                extra_options={"MatMulConstBOnly": True},
                op_types_to_quantize=["MatMul", "Gemm", "Conv"],
            )
        quantized = onnx.load(after)
    if not any(_small(tensor) for tensor in quantized.graph.initializer):
        raise InputError(f"{kind} finds no layer to quantize: expected linear layers, convolutions or LSTMs.")
    return _tidy(quantized).SerializeToString()


def weight_bytes(model: bytes) -> tuple[int, int]:
    """Bytes of the weights of an ONNX file: all of them, and those in 8 bits."""
    import onnx

    every, small = 0, 0
    for tensor in onnx.load_model_from_string(model).graph.initializer:
        count = onnx.numpy_helper.to_array(tensor).nbytes
        every, small = every + count, small + count * _small(tensor)
    return every, small


def _small(tensor: onnx.TensorProto) -> bool:
    import onnx

    return tensor.data_type in {onnx.TensorProto.INT8, onnx.TensorProto.UINT8} and len(tensor.dims) > 1


def _reader(names: list[str], observations: Observations) -> Any:
    from onnxruntime import quantization as ort

    class Reader(ort.CalibrationDataReader):
        def __init__(self) -> None:
            self._batches = observations.batches(64)

        def get_next(self) -> Any:
            batch = next(self._batches, None)
            return None if batch is None else dict(zip(names, batch, strict=False))

    return Reader()


def _require_equal(network: nn.Module, actor: Actor, observations: Observations, inputs: int) -> None:
    """The exporter may fix a size that it should leave open, or trace one branch of several."""
    for group in observations.groups:
        for batch in (tuple(array[:1] for array in group[:inputs]), tuple(array[:3] for array in group[:inputs])):
            with torch.no_grad():
                wanted = network(*tensors(batch))
            try:
                found = actor(*batch)
            except Exception as error:  # onnxruntime's own kinds
                raise InputError(
                    f"{type(network).__name__} as ONNX does not take a batch of {len(batch[0])}: "
                    f"{str(error).splitlines()[0]}"
                ) from None
            pairs = zip((of.detach().numpy() for of in _listed(wanted)), _listed(found), strict=True)
            if not all(np.allclose(a, b, rtol=1e-3, atol=1e-4) for a, b in pairs):
                raise InputError(
                    f"{type(network).__name__} as ONNX computes something else than in PyTorch: its forward may depend "
                    "on values in a way that cannot be traced."
                )


def _listed(value: Any) -> list[Any]:
    return list(value) if isinstance(value, tuple | list) else [value]


def _tidy(model: onnx.ModelProto) -> onnx.ModelProto:
    """Without documentation, and with short names: of a small policy they are half of the file."""
    graph = model.graph
    if any(attribute.HasField("g") for node in graph.node for attribute in node.attribute):
        return model  # subgraphs see the names outside
    kept = {value.name for value in (*graph.input, *graph.output)}
    short = {"": ""} | {name: name for name in kept}
    fresh = (short_name for short_name in map(_base_36, itertools.count()) if short_name not in kept)
    for node in graph.node:
        node.name = node.doc_string = ""
        for names in (node.input, node.output):
            for i, name in enumerate(names):
                if name not in short:
                    short[name] = next(fresh)
                names[i] = short[name]
        del node.metadata_props[:]
    unused = [tensor for tensor in graph.initializer if tensor.name not in short]
    for tensor in unused:
        graph.initializer.remove(tensor)
    for tensor in graph.initializer:
        tensor.name, tensor.doc_string = short[tensor.name], ""
        del tensor.metadata_props[:]
    del graph.value_info[:], graph.metadata_props[:], model.metadata_props[:], graph.quantization_annotation[:]
    for value in (*graph.input, *graph.output):
        value.doc_string = ""
        del value.metadata_props[:]
    used = {node.domain for node in graph.node}
    for opset in [entry for entry in model.opset_import if entry.domain and entry.domain not in used]:
        model.opset_import.remove(opset)
    for function in list(model.functions):
        if function.domain not in used:
            model.functions.remove(function)
    model.doc_string = graph.doc_string = model.producer_name = model.producer_version = ""
    return model


def _base_36(number: int) -> str:
    return np.base_repr(number, 36).lower()


@contextmanager
def _quiet() -> Iterator[None]:
    """The exporter and the quantizer log and warn about their own insides."""
    before = logging.root.manager.disable
    logging.disable(logging.WARNING)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    finally:
        logging.disable(before)
