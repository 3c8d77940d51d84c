"""The finalists of a search, as fast as each can be made on each target, and what each optimisation gains."""

from nas_proxy.finalists.evaluating import can_evaluate, evaluate_finalists
from nas_proxy.finalists.table import Finalist, FinalistTable, LayerCost, PipelineStage, Variant, writer

__all__ = [
    "Finalist",
    "FinalistTable",
    "LayerCost",
    "PipelineStage",
    "Variant",
    "can_evaluate",
    "evaluate_finalists",
    "writer",
]
