"""Ask/tell search that both NNI faces share: accuracy is learnt from results, latency is known in prediction."""

from nas_proxy.search.engine import Evaluated, Failure, Proposal, SearchEngine, SearchExhausted
from nas_proxy.search.limits import LatencyModel

__all__ = ["Evaluated", "Failure", "LatencyModel", "Proposal", "SearchEngine", "SearchExhausted"]
