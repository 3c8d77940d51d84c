"""A network on a target as it is, rewritten, with what the target itself optimises, and with the best of these."""

from __future__ import annotations

from dataclasses import replace

from nas_proxy.devices import Device, LatencyResult, Outcome
from nas_proxy.finalists.rewritten import Cheaper
from nas_proxy.graph import TensorGraph

__all__ = ["optimised"]


def optimised(
    device: Device, graph: TensorGraph, cheaper: Cheaper | None, measured: LatencyResult | None, seconds: float
) -> tuple[Outcome, bool]:
    """What the device makes of a network, and whether the rewritten network is the better one.

    Where the device is measured, it is so only if it is surely faster: if the interval of the ratio is above 1.

    Args:
        device: the target.
        graph: the network as it is.
        cheaper: the network rewritten; None where nothing was to be rewritten.
        measured: what the network as it is takes, where the target is measured.
        seconds: for measuring the two graphs against each other.

    Raises:
        InputError: the device cannot run one of the graphs.
    """
    plain = device.optimise(graph, measured)
    if cheaper is None:
        return plain, False
    other, better = plain, False
    if cheaper.substitutions:
        pair = None if measured is None else device.compare(graph, cheaper.graph, seconds=seconds)
        if measured is None or pair is None:
            other = device.optimise(cheaper.graph)
            better = other.value < plain.value
        else:
            other, better = device.optimise(cheaper.graph, pair.of(measured)), pair.low > 1.0
    best = other if better else plain
    rewriting = replace(other.variants[0], name="rewriting")
    variants = plain.variants[0], rewriting, *plain.variants[1:-1], best.variants[-1]
    spent = plain.evaluations + (0 if other is plain else other.evaluations)
    return replace(best, variants=variants, evaluations=spent), better
