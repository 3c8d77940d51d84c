"""nas-proxy's search in Optuna: ``optuna.create_study(direction="maximize", sampler=ProxySampler(engine))``."""

from __future__ import annotations

import contextlib
import json
import threading
from pathlib import Path
from typing import Any

from nas_proxy.errors import InputError, from_extra
from nas_proxy.search import SearchEngine, Session

with from_extra("optuna", "the sampler for Optuna"):
    import optuna
    from optuna.distributions import BaseDistribution, CategoricalDistribution
    from optuna.trial import FrozenTrial, TrialState

__all__ = ["ProxySampler"]


class ProxySampler(optuna.samplers.BaseSampler):
    """Proposes the architectures worth training, among those predicted to be fast enough on every target.

    In the objective, :meth:`suggest` gives the architecture of a trial. What the objective returns is its accuracy, the
    higher the better; a trial that fails, or is pruned, is not proposed again. Trials that the study has from before
    are learnt from. Once all candidates were proposed, the study stops. Threads (``n_jobs``) may share a sampler.

    Args:
        engine: the search, with its space, latency models, limits and seed.
        folder: where its state is written after each step, to go on after a crash with the same proposals.

    Raises:
        InputError: the folder is in use, or holds the state of another search; or, at the first trial, the study does
            not maximise one value.
    """

    def __init__(self, engine: SearchEngine, folder: str | Path | None = None) -> None:
        self.session = Session.inside(engine, folder)
        self._space = engine.space
        self._options = {label: {_plain(o): o for o in options} for label, options in self._space.choices.items()}
        self._others = optuna.samplers.RandomSampler(engine.seed)
        self._lock = threading.RLock()
        self._archs: dict[int, str] = {}
        self._caught_up = False

    def suggest(self, trial: optuna.Trial) -> Any:
        """The architecture that ``trial`` is to evaluate, in the form that the space has for it.

        Raises:
            optuna.TrialPruned: all candidates that are predicted to keep the limits were proposed; leave it to Optuna.
        """
        return self._arch({label: trial.suggest_categorical(label, list(o)) for label, o in self._options.items()})

    # -- what Optuna calls -------------------------------------------------------------------------------------------

    def infer_relative_search_space(self, study: optuna.Study, trial: FrozenTrial) -> dict[str, BaseDistribution]:
        """As ``optuna.samplers.BaseSampler.infer_relative_search_space``: the space's choices."""
        return {label: CategoricalDistribution(tuple(options)) for label, options in self._options.items()}

    def sample_relative(self, study: optuna.Study, trial: FrozenTrial, search_space: Any) -> dict[str, Any]:
        """As ``optuna.samplers.BaseSampler.sample_relative``: the next candidate, empty once all were proposed.

        Raises:
            InputError: the study does not maximise one value.
        """
        if [direction.name for direction in study.directions] != ["MAXIMIZE"]:
            raise InputError("ProxySampler needs a study of one value to maximise: create_study(direction='maximize').")
        with self._lock:
            if not self._caught_up:
                self._caught_up = True
                for past in study.get_trials(deepcopy=False):
                    if past.state.is_finished():
                        self.after_trial(study, past, past.state, past.values)
            if "fixed_params" in trial.system_attrs or (candidate := self.session.propose()) is None:
                return {}
            self._archs[trial.number] = candidate.arch
        choices = self._space.to_choices(self._space.from_str(candidate.arch))
        return {label: _plain(option) for label, option in choices.items()}

    def sample_independent(self, study: optuna.Study, trial: FrozenTrial, param_name: str, param_distribution: Any):
        """A random value of a parameter of the user's own; one of the space is asked for here once none is left."""
        if param_name in self._options and "fixed_params" not in trial.system_attrs:
            with contextlib.suppress(RuntimeError):  # the user runs the loop, by ask and tell
                study.stop()
            raise optuna.TrialPruned("all candidates that are predicted to keep the limits have been proposed.")
        return self._others.sample_independent(study, trial, param_name, param_distribution)

    def after_trial(self, study: optuna.Study, trial: FrozenTrial, state: TrialState, values: Any) -> None:
        """As ``optuna.samplers.BaseSampler.after_trial``: its accuracy, or its failure, is told to the session."""
        with self._lock:
            arch = self._archs.pop(trial.number, None)
            if all(trial.params.get(label, self) in options for label, options in self._options.items()):
                arch = self._space.to_str(self._arch(trial.params))
            if arch is not None and state == TrialState.COMPLETE:
                self.session.report(arch, values[0])
            elif arch is not None:
                self.session.fail(arch, f"Optuna says of its trial: {state.name}")

    def _arch(self, chosen: dict[str, Any]) -> Any:
        return self._space.from_choices({label: options[chosen[label]] for label, options in self._options.items()})


def _plain(option: Any) -> Any:
    """An option as Optuna can store it."""
    return option if option is None or isinstance(option, str | int | float) else json.dumps(option)
