"""Hosts as tests drive them: one face each, around the same small search."""

from __future__ import annotations

import copy
import itertools
import pickle
import warnings
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from nas_proxy.datasets import LatencyTable
from nas_proxy.search import SearchEngine, SearchSettings, prepare
from nas_proxy.spaces import get_space
from nas_proxy.testing.faces import Face


def write_latencies(path: Path, device: str, n: int, seed: int) -> None:
    """A CSV of ``n`` NAS-Bench-201 cells on a device whose latencies, 1 to 12 ms, follow the cells' features."""
    space = get_space("nasbench201")
    archs = space.sample(n, seed)
    latency_ms = (np.log1p(space.features(archs)).sum(axis=1) - 147) / 4
    LatencyTable("nasbench201", tuple(archs), (device,), latency_ms[:, None]).to_csv(path)


class Problem:
    """A search in NAS-Bench-201 from two CSVs, for a phone with a limit."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        write_latencies(folder / "proxy.csv", "laptop", 60, seed=0)
        write_latencies(folder / "phone.csv", "phone", 20, seed=1)
        self._models = prepare(SearchSettings.read(self.arguments(0)), folder)
        predicted = self._models.targets["phone"].predict(self._models.space.sample(100, seed=2))
        self.limit_ms = float(np.median(predicted))
        self._folders = itertools.count()

    def arguments(self, seed: int) -> dict[str, Any]:
        """What NNI's tuner is given."""
        limit = {"limit_ms": self.limit_ms} if hasattr(self, "limit_ms") else {}
        targets = {"phone": {"csv": str(self.folder / "phone.csv")} | limit}
        return {"space": "nasbench201", "proxy": {"csv": str(self.folder / "proxy.csv")}, "targets": targets} | {
            "seed": seed
        }

    def engine(self, seed: int) -> SearchEngine:
        return SearchEngine(self._models.space, self._models.targets, {"phone": self.limit_ms}, seed=seed)

    def empty_folder(self) -> Path:
        return self.folder / f"face-{next(self._folders)}"


class _Face(Face):
    """What the faces here have in common."""

    def __init__(self, problem: Problem, seed: int, folder: Path | None = None) -> None:
        self.problem, self.seed = problem, seed
        self.folder = folder or problem.empty_folder()
        self.trials: dict[str, Any] = {}

    def engine(self) -> SearchEngine:
        return self.problem.engine(self.seed)


class Nni(_Face):
    """The tuner, called as NNI's dispatcher does."""

    def __init__(self, problem: Problem, seed: int, folder: Path | None = None) -> None:
        super().__init__(problem, seed, folder)
        pytest.importorskip("nni", reason="the tuner needs nni, which ends at Python 3.11")
        from nas_proxy.nni_plugin.tuner import ProxyTuner

        self.tuner = ProxyTuner(**problem.arguments(seed), folder=str(self.folder))
        self.ids = itertools.count()
        if folder is not None:
            self.tuner.load_checkpoint()

    def propose(self) -> str | None:
        id = next(self.ids)
        parameters = self.tuner.generate_multiple_parameters([id])
        if not parameters:
            return None
        arch = parameters[0]["nas_proxy"]["arch"]
        self.trials[arch] = (id, parameters[0])
        return arch

    def report(self, arch: str, accuracy: float) -> None:
        id, parameters = self.trials[arch]
        self.tuner.receive_trial_result(id, parameters, {"default": accuracy})
        self.tuner.trial_end(id, True)

    def fail(self, arch: str) -> None:
        self.tuner.trial_end(self.trials[arch][0], False)

    def revived(self) -> Nni:
        assert self.tuner._session is not None
        self.tuner._session.close()  # as the end of its process does
        return Nni(self.problem, self.seed, self.folder)


class Optuna(_Face):
    """A study in a file, driven by ask and tell; the sampler's state beside it."""

    def __init__(self, problem: Problem, seed: int, folder: Path | None = None) -> None:
        super().__init__(problem, seed, folder)
        self.optuna = pytest.importorskip("optuna", reason="needs the extra optuna")
        from nas_proxy.adapters.optuna import ProxySampler

        self.optuna.logging.set_verbosity(self.optuna.logging.WARNING)
        self.sampler = ProxySampler(self.engine(), self.folder)
        storage = f"sqlite:///{self.folder}/study.db"
        self.study = self.optuna.create_study(
            storage=storage, sampler=self.sampler, direction="maximize", study_name="study", load_if_exists=True
        )

    def propose(self) -> str | None:
        trial = self.study.ask()
        try:
            arch = self.problem.engine(0).space.to_str(self.sampler.suggest(trial))
        except self.optuna.TrialPruned:
            return None
        self.trials[arch] = trial
        return arch

    def report(self, arch: str, accuracy: float) -> None:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # that NaN is no value
            self.study.tell(self.trials[arch], accuracy)

    def fail(self, arch: str) -> None:
        self.study.tell(self.trials[arch], state=self.optuna.trial.TrialState.FAIL)

    def revived(self) -> Optuna:
        self.sampler.session.close()
        return Optuna(self.problem, self.seed, self.folder)


class RayTune(_Face):
    """The searcher as Tune's controller calls it, with Tune's checkpoint after each step."""

    def __init__(self, problem: Problem, seed: int, folder: Path | None = None) -> None:
        super().__init__(problem, seed, folder)
        pytest.importorskip("ray.tune", reason="needs the extra ray")
        from nas_proxy.adapters.ray_tune import ProxySearcher

        self.searcher = ProxySearcher(self.engine())
        self.searcher.set_search_properties("score", "max", {})
        self.ids = itertools.count()
        self.folder.mkdir(exist_ok=True)
        if folder is not None:
            self.searcher.restore_from_dir(str(folder))

    def _save(self) -> None:
        self.searcher.save_to_dir(str(self.folder))

    def propose(self) -> str | None:
        trial = str(next(self.ids))
        config = self.searcher.suggest(trial)
        if not isinstance(config, dict):
            return None
        self.trials[config["arch"]] = trial
        self._save()
        return config["arch"]

    def report(self, arch: str, accuracy: float) -> None:
        self.searcher.on_trial_complete(self.trials[arch], {"score": accuracy, "done": True})
        self._save()

    def fail(self, arch: str) -> None:
        self.searcher.on_trial_complete(self.trials[arch], error=True)
        self._save()

    def revived(self) -> RayTune:
        again = RayTune(self.problem, self.seed, self.folder)
        again.trials, again.ids = self.trials, self.ids  # Tune's own, from its own checkpoint
        return again


class SyneTune(_Face):
    """The scheduler as the tuner calls it; the tuner keeps itself and the scheduler as a pickle."""

    def __init__(self, problem: Problem, seed: int) -> None:
        super().__init__(problem, seed)
        pytest.importorskip("syne_tune", reason="needs the extra syne-tune")
        from nas_proxy.adapters.syne_tune import ProxyScheduler

        self.scheduler = ProxyScheduler(self.engine())

    def propose(self) -> str | None:
        from datetime import datetime

        from syne_tune.backend.trial_status import Trial

        suggestion = self.scheduler.suggest()
        if suggestion is None:
            return None
        trial = Trial(len(self.trials), suggestion.config, datetime.now())
        self.scheduler.on_trial_add(trial)
        self.trials[trial.config["arch"]] = trial
        return trial.config["arch"]

    def report(self, arch: str, accuracy: float) -> None:
        self.scheduler.on_trial_result(self.trials[arch], {"accuracy": accuracy})
        self.scheduler.on_trial_complete(self.trials[arch], {"accuracy": accuracy})

    def fail(self, arch: str) -> None:
        self.scheduler.on_trial_error(self.trials[arch])

    def revived(self) -> SyneTune:
        again = copy.copy(self)
        again.scheduler = pickle.loads(pickle.dumps(self.scheduler))
        return again


HOSTS = (Nni, Optuna, RayTune, SyneTune)
