"""ProxyLatencyProfiler in NNI's own strategies: each keeps to models that are predicted to be fast enough.

python examples/latency_profiler.py range      # RangeProfilerFilter by itself: which samples it lets through
python examples/latency_profiler.py evolution  # Chain(RegularizedEvolution(), Filter(...))
python examples/latency_profiler.py one-shot   # RandomOneShot(filter=...): a super-net of the fast models only
"""

from __future__ import annotations

import argparse
import time
from pathlib import Path
from typing import Any

import nni.nas.evaluator.pytorch as pl
import numpy as np
from digits import DigitsSpace, data, measured, train
from nni.mutable import MutableDict
from nni.nas.evaluator import FunctionalEvaluator
from nni.nas.experiment import NasExperiment
from nni.nas.experiment.config import NasExperimentConfig
from nni.nas.oneshot.pytorch.profiler import RangeProfilerFilter
from nni.nas.strategy import RandomOneShot, RegularizedEvolution
from nni.nas.strategy.middleware import Chain, Filter

from nas_proxy.nni_plugin import ProxyLatencyProfiler


def keep(profiler: ProxyLatencyProfiler, model_space: Any, limit_ms: float, models: int) -> list[Any]:
    within = RangeProfilerFilter(profiler, max=limit_ms)
    samples = [MutableDict(model_space.simplify()).random() for _ in range(models)]
    begun = time.perf_counter()
    kept = [sample for sample in samples if within(sample)]
    microseconds = (time.perf_counter() - begun) / models * 1e6
    print(f"{len(kept)} of {models} samples kept, {microseconds:.0f} microseconds each")
    return kept


def evolve(profiler: ProxyLatencyProfiler, model_space: Any, limit_ms: float, models: int) -> list[Any]:
    evolution = RegularizedEvolution(population_size=4, sample_size=2, seed=0)
    strategy = Chain(evolution, Filter(profiler.within(limit_ms)))
    config = NasExperimentConfig("sequential", "raw", "local")
    config.max_trial_number = models
    experiment = NasExperiment(model_space, FunctionalEvaluator(train), strategy, config)
    experiment.run()
    return experiment.export_top_models(3, formatter="dict")


def one_shot(profiler: ProxyLatencyProfiler, model_space: Any, limit_ms: float, epochs: int) -> list[Any]:
    """The super-net is left in ``model_space``: any other strategy can search it next, without training anew.

    NNI exports one model at random here, and does not ask the filter: what is shown may be slower than the limit.
    """
    training, validation = data()
    evaluator = pl.Classification(
        train_dataloaders=pl.DataLoader(training, batch_size=64, shuffle=True),
        val_dataloaders=pl.DataLoader(validation, batch_size=597),
        max_epochs=epochs,
        num_classes=10,
        enable_progress_bar=False,
        enable_checkpointing=False,
        logger=False,
        accelerator="cpu",
    )
    experiment = NasExperiment(model_space, evaluator, RandomOneShot(filter={"profiler": profiler, "max": limit_ms}))
    experiment.run()
    return experiment.export_top_models(1, formatter="dict")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("what", choices=["range", "evolution", "one-shot"])
    parser.add_argument("--models", type=int, default=12, help="samples, trials or epochs")
    parser.add_argument("--folder", type=Path, default=Path("runs/latency_profiler"))
    options = parser.parse_args()

    model_space = DigitsSpace()
    latency = measured(model_space, options.folder)["onnxruntime"]
    limit_ms = float(np.median(latency.predict(latency.proxy.space.enumerate())))
    profiler = ProxyLatencyProfiler(model_space, latency)
    print(f"onnxruntime at most {limit_ms:.4f} ms")
    search = {"range": keep, "evolution": evolve, "one-shot": one_shot}[options.what]
    for sample in search(profiler, model_space, limit_ms, options.models):
        print(f"{profiler.profile(sample):.4f} ms  { ({str(label): choice for label, choice in sample.items()}) }")


if __name__ == "__main__":
    main()
