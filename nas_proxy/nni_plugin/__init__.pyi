from .candidate import Candidate as Candidate
from .compat import guarded_manager as guarded_manager
from .profiler import ProxyLatencyProfiler as ProxyLatencyProfiler
from .strategy import ProxyStrategy as ProxyStrategy
from .tuner import ProxyTuner as ProxyTuner
