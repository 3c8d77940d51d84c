"""Smaller policies: quantization, pruning and distillation, and what they do to return, size, time and energy."""

from nas_proxy.compression._compress import CompressedPolicy, Compressor, compress
from nas_proxy.compression._footprint import ENERGY_MODEL, Footprint, Timing
from nas_proxy.compression._method import GRID, Method, parse_method
from nas_proxy.compression._onnx import Actor
from nas_proxy.compression._report import CompressionReport, plot, read_json, to_csv, to_json
from nas_proxy.compression._returns import Kept, Returns
from nas_proxy.compression._task import PolicyNetwork, Task
from nas_proxy.compression.sweep import Sweep, sweep

__all__ = [
    "ENERGY_MODEL",
    "GRID",
    "Actor",
    "CompressedPolicy",
    "CompressionReport",
    "Compressor",
    "Footprint",
    "Kept",
    "Method",
    "PolicyNetwork",
    "Returns",
    "Sweep",
    "Task",
    "Timing",
    "compress",
    "parse_method",
    "plot",
    "read_json",
    "sweep",
    "to_csv",
    "to_json",
]
