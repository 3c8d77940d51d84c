"""What a fleet is recommended: the networks that serve it, and the devices to doubt."""

from __future__ import annotations

import numpy as np

from nas_proxy.ranking.fleet import Fleet
from nas_proxy.spaces import SearchSpace
from nas_proxy.terminal.tables import Column, Page, Table

__all__ = ["fleet_page"]

_SHOWN = 10


def fleet_page(fleet: Fleet, space: SearchSpace, within: float) -> Page:
    """The networks that serve most devices, and the doubtful devices.

    Args:
        within: how far from its best a device may be served, as a share.
    """
    served = np.bincount(fleet.group[fleet.group >= 0], minlength=len(fleet.shared))
    few, devices = len(fleet.shared), len(fleet.devices)
    doubtful = {name: list(reasons) for name, reasons in zip(fleet.devices, fleet.doubts, strict=True) if reasons}
    title = f"{_counted(few, 'network serves', 'networks serve')} {served.sum()} of {devices} devices"
    if not few:
        title = f"no network serves any of {_counted(devices, 'device', 'devices')}"
    columns, rows = [Column("devices", "devices"), Column("arch", "architecture")], []
    for i in np.argsort(-served, kind="stable")[:_SHOWN]:
        rows.append([int(served[i]), space.to_str(fleet.candidates[fleet.shared[i]])])
        if fleet.accuracy is not None:
            rows[-1].insert(1, float(fleet.accuracy[fleet.shared[i]]))
    if fleet.accuracy is not None:
        columns.insert(1, Column("accuracy", "accuracy [%]", ".2f"))
    table = Table("networks", columns, rows, f"{title}, within {100 * within:g} % of each one's best")
    lines = [f"and {_counted(few - _SHOWN, 'network', 'networks')} more"] if few > _SHOWN else []
    if few > 1:
        lines.append(f"fewer than {_counted(fleet.fewest, 'network', 'networks')} cannot serve them")
        lines[-1] += f"; that {few} do is an upper bound" if fleet.fewest < few else ""
    tau = fleet.kendall_tau[np.isfinite(fleet.kendall_tau)]
    median, low = float(np.median(tau)), float(np.quantile(tau, 0.1))
    lines += [
        f"Kendall's tau expected: median {median:.3f}, of one in ten below {low:.3f}",
        _counted(len(doubtful), "device is doubtful", "devices are doubtful") + (":" if doubtful else ""),
    ]
    lines += [f"  {name}: {'; '.join(reasons)}" for name, reasons in list(doubtful.items())[:_SHOWN]]
    lines += [f"  and {len(doubtful) - _SHOWN} more"] if len(doubtful) > _SHOWN else []
    facts = {"devices": devices, "served": int(served.sum()), "networks_needed": few, "fewest": fleet.fewest}
    facts |= {"kendall_tau_median": median, "kendall_tau_low": low, "doubtful": doubtful}
    return Page([table, *lines], facts)


def _counted(n: int, one: str, several: str) -> str:
    return f"{n} {one if n == 1 else several}"
