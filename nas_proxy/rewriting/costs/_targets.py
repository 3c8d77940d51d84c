"""The cost model of a target by its name."""

from __future__ import annotations

from pathlib import Path

from nas_proxy import extensions
from nas_proxy.devices import Device, get_device
from nas_proxy.errors import InputError
from nas_proxy.rewriting.costs._base import GraphCost
from nas_proxy.rewriting.costs.measured import MeasuredCost, default_table

__all__ = ["cost_for"]


def is_cost(target: str) -> bool:
    """Whether a text names a cost by itself, of no device."""
    name = target.partition("(")[0].strip()
    if ":" not in name or Path(target).exists():
        return name in extensions.names("costs")
    entry = extensions.lookup("costs", name)
    made_by = getattr(entry, "__self__", entry)  # the class, where the entry is a method of one
    return not (isinstance(made_by, type) and issubclass(made_by, Device))


def cost_for(target: str | Path | Device, *, bottleneck: bool = True) -> GraphCost:
    """What graphs cost on a device, itself or its name or YAML file; or a cost of no device, such as ``macs+bytes``.

    Args:
        target: this machine under ONNX Runtime, a spatial accelerator, or one or several Edge TPUs.
        bottleneck: of several Edge TPUs, the slowest stage; False takes the time on one of them.

    Raises:
        UnknownNameError: no such device; the message names the closest.
        InputError: networks cannot be priced on a device of this kind.
    """
    if isinstance(target, str) and is_cost(target):
        return extensions.get("costs", target)
    device = target if isinstance(target, Device) else get_device(target)
    from nas_proxy.devices.host import HostDevice
    from nas_proxy.mapping.device import SpatialDevice
    from nas_proxy.rewriting.costs.simulated import EdgeTPUCost, PipelineCost, SpatialCost
    from nas_proxy.scheduling.device import EdgeTPUDevice

    if isinstance(device, SpatialDevice):
        return SpatialCost(device)
    if isinstance(device, EdgeTPUDevice):
        return PipelineCost(device) if device.devices > 1 and bottleneck else EdgeTPUCost(device)
    if isinstance(device, HostDevice) and device.spec.runtime == "onnxruntime":
        return MeasuredCost(default_table())
    raise InputError(
        f"a graph cannot be priced on {device.name}: expected host-onnxruntime, a simulated accelerator (eyeriss, "
        "edge-tpu-x4, ...) or macs+bytes."
    )
