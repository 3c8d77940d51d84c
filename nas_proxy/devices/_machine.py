"""What this machine is, for the record beside every measurement."""

from __future__ import annotations

import importlib
import os
import platform
from pathlib import Path

__all__ = ["available_cores", "describe_machine", "governor"]


def available_cores() -> int:
    """Cores this process may run on."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else (os.cpu_count() or 1)


def describe_machine(*packages: str) -> dict[str, str | int]:
    """What must be the same for two measurements to be comparable: processor, cores, system, versions of packages."""
    machine: dict[str, str | int] = {
        "cpu": _cpu_model(),
        "architecture": platform.machine(),
        "cores": os.cpu_count() or 1,
        "system": platform.system(),
        "python": platform.python_version(),
    }
    return machine | {package: importlib.import_module(package).__version__ for package in packages}


def _cpu_model() -> str:
    info = Path("/proc/cpuinfo")
    if info.is_file():
        for line in info.read_text().splitlines():
            key, _, value = line.partition(":")
            if key.strip() in {"model name", "Model"}:
                return value.strip()
    return platform.processor() or "unknown"


def governor() -> str | None:
    """The frequency governor, where the kernel tells; "performance" gives the steadiest measurements."""
    path = Path("/sys/devices/system/cpu/cpu0/cpufreq/scaling_governor")
    return path.read_text().strip() if path.is_file() else None
