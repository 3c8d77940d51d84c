"""The finalists of a search, as fast as each can be made on each target, and what each optimisation gains."""

from nas_proxy.devices.results import LayerCost, PipelineStage, Variant
from nas_proxy.finalists.evaluating import evaluate_finalists
from nas_proxy.finalists.table import Finalist, FinalistTable, writer

__all__ = [
    "Finalist",
    "FinalistTable",
    "LayerCost",
    "PipelineStage",
    "Variant",
    "evaluate_finalists",
    "writer",
]
