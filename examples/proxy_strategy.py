"""ProxyStrategy in a NasExperiment: accuracy against predicted latency on two targets, one of them with a limit.

    python examples/proxy_strategy.py                        # one model after the other, in this process
    cd examples; python proxy_strategy.py --engine ts        # as trials under NNI, which look for digits.py there

Everything is kept in --folder. Killed at any moment and started again with --resume, it goes on where it was.
"""

from __future__ import annotations

import argparse
from pathlib import Path

import numpy as np
from digits import DigitsSpace, measured, train
from nni.nas.evaluator import FunctionalEvaluator
from nni.nas.experiment import NasExperiment
from nni.nas.experiment.config import NasExperimentConfig

from nas_proxy.nni_plugin import ProxyStrategy, guarded_manager


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--engine", choices=["sequential", "ts"], default="sequential")
    parser.add_argument("--models", type=int, default=12)
    parser.add_argument("--folder", type=Path, default=Path("runs/proxy_strategy"))
    parser.add_argument("--port", type=int, default=8080)
    parser.add_argument("--resume", action="store_true")
    options = parser.parse_args()

    model_space = DigitsSpace()
    latency = measured(model_space, options.folder)
    limit_ms = float(np.median(latency["onnxruntime"].predict(latency["onnxruntime"].proxy.space.enumerate())))
    strategy = ProxyStrategy(latency, {"onnxruntime": limit_ms}, folder=options.folder, max_models=options.models)

    config = NasExperimentConfig(options.engine, "raw" if options.engine == "sequential" else "simplified", "local")
    config.max_trial_number = options.models
    config.trial_concurrency = 1
    config.experiment_working_directory = (options.folder / "nni").absolute()
    experiment = NasExperiment(model_space, FunctionalEvaluator(train), strategy, config, id="digits")
    with guarded_manager(stop_with_parent=True):  # NNI itself would let everyone on the network start programs here
        experiment.resume(options.port) if options.resume else experiment.run(options.port)
    experiment.stop()

    print(f"onnxruntime at most {limit_ms:.4f} ms; no other model is better in all of:")
    for point in strategy.pareto():
        milliseconds = ", ".join(f"{name} {ms:.4f} ms" for name, ms in point.latency_ms.items())
        print(f"{point.accuracy:6.2f} %  {milliseconds}  {point.arch}")


if __name__ == "__main__":
    main()
