"""Where a network runs: measured devices (this machine, tables) and simulated ones, described in YAML."""

from nas_proxy.devices._base import Device, LatencyResult, get_device, register_device_kind

__all__ = ["Device", "LatencyResult", "get_device", "register_device_kind"]
