"""A user's script with a NasExperiment on the training-service engine; tests start, kill and start it again."""

from __future__ import annotations

import hashlib
import sys
import warnings
from pathlib import Path

warnings.filterwarnings("ignore", ".*is found to be not a nn.Module")

import toy_nas  # noqa: E402
from nni.nas.experiment import NasExperiment  # noqa: E402

from nas_proxy.nni_plugin import ProxyStrategy, guarded_manager  # noqa: E402


def main(action: str, folder: Path, port: int, models: int) -> None:
    model_space = toy_nas.ToySpace()
    strategy = ProxyStrategy(toy_nas.latency_models(model_space), folder=folder / "search", max_models=models)
    id = hashlib.sha256(str(folder).encode()).hexdigest()[:8]
    experiment = NasExperiment(model_space, toy_nas.evaluator(folder / "trained.txt"), strategy, id=id)
    experiment.config.max_trial_number = models
    experiment.config.trial_concurrency = 1
    experiment.config.experiment_working_directory = str(folder / "nni")
    with guarded_manager(stop_with_parent=True):
        experiment.resume(port) if action == "resume" else experiment.run(port)
    experiment.stop()
    print([point.accuracy for point in strategy.pareto()])


if __name__ == "__main__":
    main(sys.argv[1], Path(sys.argv[2]), int(sys.argv[3]), int(sys.argv[4]))
