"""Which pretrained network to use on a device: timm's zoo, ranked from a handful of measurements."""

from nas_proxy.zoo.from_files import (
    Traced,
    networks_in,
    read_zoo_latencies,
    render,
    trace_networks,
    write_ranking,
)
from nas_proxy.zoo.ranking import (
    RankedNetwork,
    ZooProxy,
    ZooRanking,
    adapt_zoo,
    fit_zoo,
    log_latency,
    predict_zoo,
    rank_zoo,
    suggest_networks,
)

__all__ = [
    "RankedNetwork",
    "Traced",
    "ZooProxy",
    "ZooRanking",
    "adapt_zoo",
    "fit_zoo",
    "log_latency",
    "networks_in",
    "predict_zoo",
    "rank_zoo",
    "read_zoo_latencies",
    "render",
    "suggest_networks",
    "trace_networks",
    "write_ranking",
]
