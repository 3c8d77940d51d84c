"""Pretrained networks ranked on a device."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict

from nas_proxy.ranking.zoo import ZooRanking
from nas_proxy.spaces.timm_zoo import split
from nas_proxy.terminal.tables import Column, Drawing, Page, Table

__all__ = ["zoo_page"]


def zoo_page(ranking: ZooRanking, top: int) -> Page:
    """The accuracy-latency front where accuracies are known, else the fastest networks, and how far to trust them."""
    accurate = any(network.top1 is not None for network in ranking.networks)
    found = [network for network in ranking.networks if network.on_front or not accurate]
    columns = [
        Column("name", "pretrained weights" if accurate else "network"),
        Column("pixels", "pixels"),
        Column("ms_per_image", "ms per image", _short, right=True),
        Column("interval", "90 % interval", _interval),
        *([Column("top1", "top-1 [%]", ".2f")] if accurate else []),
    ]
    rows = []
    for network in found[:top]:
        name, pixels = split(network.arch)
        interval = [] if network.measured else [network.low_ms, network.high_ms]
        rows.append([network.name if accurate else name, pixels, network.latency_ms, interval])
        rows[-1] += [network.top1] if accurate else []
    title = f"{'accuracy-latency front' if accurate else 'fastest networks'}: {len(rows)} of {len(found)}"
    quality = ranking.monotonicity
    low, high = quality.interval
    trust = (
        f"{len(ranking.networks)} ranked from {quality.n} measurements; Kendall's tau expected: "
        f"{quality.kendall_tau:.2f} (90 % interval {low:.2f} to {high:.2f}; Spearman {quality.spearman:.3f}), "
        f"{quality.verdict}."
    )
    blocks = [Table("networks", columns, rows, title), Drawing(trust, wraps=True)]
    if ranking.unknown:
        example = ", ".join(ranking.unknown[:3]) + (", ..." if len(ranking.unknown) > 3 else "")
        blocks.append(f"{len(ranking.unknown)} are in no table of costs ({example}): nas-proxy zoo-trace makes one.")
    facts = {"ranked": len(ranking.networks), "quality": asdict(quality) | {"verdict": quality.verdict}}
    return Page(blocks, facts | {"unknown": ranking.unknown})


def _short(latency_ms: float) -> str:
    return f"{latency_ms:.3g}" if latency_ms < 999.5 else f"{latency_ms:.0f}"


def _interval(ends: Sequence[float]) -> str:
    return " to ".join(map(_short, ends)) or "measured"
