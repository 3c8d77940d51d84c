"""Times of single operators under ONNX Runtime on this machine, measured when first asked for and kept."""

from __future__ import annotations

import json
import tempfile
from collections import defaultdict
from pathlib import Path

import numpy as np

from nas_proxy import files
from nas_proxy.cache import default_folder, digest, source_digest
from nas_proxy.devices._machine import describe_machine
from nas_proxy.devices.costs import NodewiseCost, part_of, signature
from nas_proxy.errors import MissingDependencyError
from nas_proxy.graph import Constant, Node, Subgraph, TensorGraph, random_inputs, to_onnx

__all__ = ["MeasuredCost", "default_table"]

#: Functions that ONNX Runtime computes inside the convolution before them.
_FUSED_AFTER_CONV = {"Relu", "Clip", "LeakyRelu", "Sigmoid", "Tanh", "HardSigmoid"}
_UNTIMED = {"ReorderInput", "ReorderOutput"}  # changes of layout, which neighbouring convolutions share


def default_table() -> Path:
    """Where times are kept: one file for this processor, this version of ONNX Runtime, and our own way of timing."""
    own = digest(describe_machine("onnxruntime"), source_digest("nas_proxy.graph", __name__))
    return default_folder() / f"operators-{own}.json"


class MeasuredCost(NodewiseCost):
    """Milliseconds of each operator by itself, one thread, all of ONNX Runtime's optimisations.

    The time is the kernel's own (ONNX Runtime's profile), the least of ``runs``: a disturbance only ever adds. An
    activation behind a convolution takes none. The table is keyed by operator, shapes and attributes; a node with
    control flow or a domain of its own, or one that the runtime refuses, is taken to cost nothing, before and after.

    Args:
        table: the JSON file that times are read from and kept in; None keeps them in memory only.
    """

    name, unit = "host-onnxruntime", "ms"  # pyright: ignore[reportAssignmentType]

    def __init__(self, table: Path | None = None, *, runs: int = 12) -> None:
        try:
            import onnxruntime  # noqa: F401
        except ImportError as error:
            raise MissingDependencyError("measuring operators needs `pip install nas-proxy[onnx]`.") from error
        self.table, self.runs = table, runs
        self._times: dict[str, float] = {}
        self._measured = 0
        if table is not None and table.is_file():
            self._times = {str(key): float(ms) for key, ms in json.loads(table.read_text()).items()}

    def node_cost(self, graph: TensorGraph, node: Node) -> float:
        """The node's time in ms, measured once; 0 where the runtime fuses it into a convolution."""
        if node.operator in _FUSED_AFTER_CONV and _is_fused(graph, node):
            return 0.0
        key = repr(signature(graph, node))
        if key not in self._times:
            self._times[key] = _kernel_ms(_alone(graph, node), self.runs)
            self._measured += 1
            if self._measured % 50 == 0:
                self.save()
        return self._times[key]

    def save(self) -> None:
        """Write the table, with what others have added to it meanwhile."""
        if self.table is None or not self._measured:
            return
        others = json.loads(self.table.read_text()) if self.table.is_file() else {}
        files.write_json(self.table, {**others, **self._times})


def _is_fused(graph: TensorGraph, node: Node) -> bool:
    before = graph.producers.get(node.inputs[0])
    if before is None or before.operator != "Conv" or node.inputs[0] in graph.outputs:
        return False
    return len(graph.consumers[node.inputs[0]]) == 1


def _alone(graph: TensorGraph, node: Node) -> TensorGraph | None:
    """A graph of one node, or None where it cannot be run by itself."""
    if node.domain not in ("", "ai.onnx") or any(isinstance(a, Subgraph) for a in node.attributes.values()):
        return None
    part = part_of(graph, [node])
    values = {}
    rng = np.random.default_rng(0)
    for name, value in part.values.items():
        if value.constant is not None and np.dtype(value.dtype).kind == "f":
            numbers = rng.uniform(0.5, 1.5, value.shape).astype(value.dtype)  # the real ones need not be computed
            value = type(value)(name, value.shape, value.dtype, Constant(np.asarray(numbers)))
        values[name] = value
    return TensorGraph(part.nodes, values, part.inputs, part.outputs, "alone", part.opset)


def _kernel_ms(graph: TensorGraph | None, runs: int) -> float:
    if graph is None or not graph.inputs:
        return 0.0
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = options.inter_op_num_threads = 1
    options.log_severity_level = 4
    options.enable_profiling = True
    with tempfile.TemporaryDirectory() as folder:
        options.profile_file_prefix = str(Path(folder) / "profile")
        try:
            model = to_onnx(graph).SerializeToString()
            session = onnxruntime.InferenceSession(model, options, providers=["CPUExecutionProvider"])
            inputs = random_inputs(graph, 0)
            for _ in range(runs):
                session.run(None, inputs)
        except Exception:  # a kernel that the runtime lacks: nothing can be said of it
            return 0.0
        events = json.loads(Path(session.end_profiling()).read_text())
    times: dict[str, list[float]] = defaultdict(list)
    for event in events:
        is_kernel = event.get("cat") == "Node" and event["name"].endswith("_kernel_time")
        if is_kernel and event["args"].get("op_name") not in _UNTIMED:
            times[event["name"]].append(event["dur"] / 1e3)
    return sum(min(ms[1:] or ms) for ms in times.values())
