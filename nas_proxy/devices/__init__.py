"""Where a network runs: measured devices (this machine, tables) and simulated ones, described in YAML."""

from nas_proxy.devices._base import Device, get_device
from nas_proxy.devices._fan_out import Workers
from nas_proxy.devices._runtimes import Runtime
from nas_proxy.devices.exporting import export_onnx
from nas_proxy.devices.measured_csv import measure
from nas_proxy.devices.results import LatencyResult, LayerCost, Outcome, PipelineStage, Variant

__all__ = [
    "Device",
    "LatencyResult",
    "LayerCost",
    "Outcome",
    "PipelineStage",
    "Runtime",
    "Variant",
    "Workers",
    "export_onnx",
    "get_device",
    "measure",
]
