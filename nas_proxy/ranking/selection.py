"""Which measured device serves a target best."""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from typing import Any

from numpy.typing import ArrayLike

from nas_proxy.errors import InputError
from nas_proxy.ranking._spike_slab import SAME_EVIDENCE
from nas_proxy.ranking.proxy import ProxyLatencyModel
from nas_proxy.ties import first_largest

__all__ = ["select_proxy"]

_log = logging.getLogger(__name__)


def select_proxy(models: Mapping[str, ProxyLatencyModel], archs: Sequence[Any], latency_ms: ArrayLike) -> str:
    """The name of the proxy whose adapted model makes the target's measurements most probable.

    The evidence (marginal likelihood) of the adaptation is compared: it rewards a proxy for what its model explains and
    charges for every correction that the adaptation has to make. Of proxies that serve equally well it is the first by
    name.

    Args:
        models: proxies by name, of the same space.
        archs: ``n`` architectures measured on the target.
        latency_ms: their latencies, ``(n,)``.

    Raises:
        InputError: there is no model, or the measurements cannot be used.
    """
    if not models:
        raise InputError("cannot select a proxy: no model was given.")
    names = sorted(models)
    evidence = [models[name].adapt(archs, latency_ms).posterior.log_evidence for name in names]
    _log.info("log evidence of each proxy: %s", dict(zip(names, evidence, strict=True)))
    return names[first_largest(evidence, within=SAME_EVIDENCE)]
