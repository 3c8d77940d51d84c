"""The strategy: nas-proxy's search in NNI's ``NasExperiment``."""

from __future__ import annotations

import hashlib
import json
import logging
import threading
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import requests
from nni.nas.execution import ExecutionEngine
from nni.nas.execution.event import FinalMetricEvent, ModelEventType, TrainingEndEvent
from nni.nas.space import ExecutableModelSpace, ModelStatus
from nni.nas.strategy import Strategy

from nas_proxy.errors import InputError
from nas_proxy.nni_plugin import compat
from nas_proxy.nni_plugin.errors import ExperimentError, InterruptedExperimentError
from nas_proxy.nni_plugin.spaces import sample_of, space_of
from nas_proxy.search import Evaluated, Failure, LatencyModel, Proposal, SearchEngine
from nas_proxy.search.session import Session
from nas_proxy.search.state import StateFile
from nas_proxy.spaces import SearchSpace

__all__ = ["ProxyStrategy"]

_FILTERED = "it was filtered out"
_REASONS = {ModelStatus.Trained: "it ended without reporting a result", ModelStatus.Invalid: _FILTERED}
_POLL_S = 0.2
_log = logging.getLogger(__name__)


class ProxyStrategy(Strategy):
    """Trains the models worth training, among those predicted to be fast enough on every target.

    What an evaluator reports to NNI is the accuracy, the higher the better, as a number or under ``default``. Latency
    is predicted, never reported, so it needs no sign or weight; :meth:`pareto` gives both.

    It works over the sequential and the training-service engine and below NNI's middleware: a model that a ``Filter``
    turns away counts as failed, and is not proposed again.

    Args:
        latency: models of the targets' latencies, by a name of your own.
        limits_ms: hard limits for some or all of them; targets without one are traded against accuracy.
        space: the search space of the models; by default the one that they were fitted on.
        seed: same seed, same search.
        folder: where the state is written after each step. Run the same script again after any crash, with the same
            folder, and the search goes on; without one, NNI's checkpoints at start and stop are all there is.
        max_models: models to propose in all, over all continuations; by default as many as NNI's budget allows.
        give_up_after: models that may fail before any has succeeded.

    Raises:
        InputError: no candidate can meet the limits; or, once the experiment starts, the models are not of its model
            space, or ``folder`` holds another search.
        ExperimentError: every model failed (with the first traceback); or (InterruptedExperimentError) NNI's manager
            died.
    """

    def __init__(
        self,
        latency: Mapping[str, LatencyModel],
        limits_ms: Mapping[str, float] | None = None,
        *,
        space: SearchSpace | None = None,
        seed: int = 0,
        folder: str | Path | None = None,
        max_models: int | None = None,
        give_up_after: int = 5,
    ) -> None:
        super().__init__()
        if not latency:
            raise InputError("a search needs the latency model of at least one target, found none.")
        self._latency = dict(latency)
        self._limits_ms = dict(limits_ms or {})
        self._space = space
        self._seed = seed
        self._folder = None if folder is None else Path(folder)
        self._max_models = max_models
        self._give_up_after = give_up_after
        self._lock = threading.RLock()  # the training-service engine calls back from a thread of its own
        self._session: Session | None = None
        self._running: dict[int, tuple[ExecutableModelSpace, str]] = {}  # NNI itself holds models weakly

    def pareto(self) -> list[Evaluated]:
        """Models that no other beats in accuracy and in predicted latency on every target, fastest first."""
        with self._lock:
            return self._opened.pareto()

    def extra_repr(self) -> str:
        """What NNI shows of the strategy in its ``repr``."""
        return f"targets={list(self._latency)}, limits_ms={self._limits_ms}, seed={self._seed}"

    # -- what NNI calls ----------------------------------------------------------------------------------------------

    def _initialize(self, model_space: ExecutableModelSpace, engine: ExecutionEngine) -> ExecutableModelSpace:
        compat.patch_resume()
        spaces = [space_of(model, self._space, model_space) for model in self._latency.values()]
        space = spaces[0]
        search = SearchEngine(space, self._latency, self._limits_ms, seed=self._seed)
        file = None if self._folder is None else StateFile.inside(self._folder)
        self._session = Session(search, file, {"the settings": self._fingerprint(space)})
        engine.register_model_event_callback(ModelEventType.FinalMetric, self._on_metric)
        engine.register_model_event_callback(ModelEventType.TrainingEnd, self._on_end)
        return model_space

    def _run(self) -> None:
        try:
            self._search()
        except requests.ConnectionError as error:
            raise InterruptedExperimentError(
                f"NNI's manager died ({error}). Resume the experiment: nothing finished is lost."
            ) from None

    def _search(self) -> None:
        self._take_over()
        while self._may_propose() and self.wait_for_resource():
            with self._lock:
                candidate = self._opened.propose()
            if candidate is None:
                _log.info("all candidates that are predicted to keep the limits have been proposed")
                break
            self._submit(candidate)
        while self._running:
            self.engine.budget_available()  # asks NNI's manager, without which nothing would ever come
            time.sleep(_POLL_S)
        self._require_success(1)

    def _cleanup(self) -> None:
        self.engine.unregister_model_event_callback(ModelEventType.FinalMetric, self._on_metric)
        self.engine.unregister_model_event_callback(ModelEventType.TrainingEnd, self._on_end)
        self._opened.close()

    def state_dict(self) -> dict[str, Any]:
        """Plain JSON: NNI reads checkpoints with a loader that admits little else."""
        with self._lock:
            return {"session": self._opened.state()}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Go on from NNI's checkpoint, unless ``folder`` knows more: NNI writes its own at start and stop only."""
        with self._lock:
            self._opened.restore_if_newer(state_dict["session"])

    # -- inside ------------------------------------------------------------------------------------------------------

    @property
    def _opened(self) -> Session:
        if self._session is None:
            raise InputError("the strategy has not been started: run it in a NasExperiment first.")
        return self._session

    @property
    def _failed(self) -> list[Failure]:
        """What failed in training."""
        return [failure for failure in self._opened.failed.values() if failure.reason != _FILTERED]

    def _may_propose(self) -> bool:
        self._require_success(self._give_up_after)
        return self._max_models is None or self._opened.n_proposed < self._max_models

    def _require_success(self, failures: int) -> None:
        """Raises ExperimentError if so many models failed and none succeeded; to be filtered out is no failure."""
        with self._lock:
            failed = self._failed
        if len(failed) >= failures and not self._opened.succeeded:
            raise ExperimentError(
                f"all of the first {len(failed)} models failed. Of the first, {failed[0].arch}: {failed[0].reason}\n"
                + (compat.first_failure(self.engine) or "")
            )

    def _submit(self, candidate: Proposal) -> None:
        space = self._opened.space
        model = self.model_space.freeze(space.to_choices(space.from_str(candidate.arch)))
        with self._lock:
            self._running[id(model)] = (model, candidate.arch)
        self.engine.submit_models(model)

    def _take_over(self) -> None:
        """After a resume: results that NNI knows and we do not, and models that it is training again."""
        finished, training = compat.earlier_models(self.engine)
        with self._lock:
            for model in finished:
                self._opened.report(self._arch_of(model), model.metric)
            for model in training:
                self._running[id(model)] = (model, self._arch_of(model))
            running = self._opened.resume([arch for _, arch in self._running.values()])
            compat.allow_for_spent_trials(self.engine, running + len(self._opened.succeeded) + len(self._failed))

    def _arch_of(self, model: ExecutableModelSpace) -> str:
        space = self._opened.space
        return space.to_str(sample_of(model.sample or {}, space))

    def _on_metric(self, event: FinalMetricEvent) -> None:
        with self._lock:
            if (found := self._running.get(id(event.model))) is not None:
                self._opened.report(found[1], event.metric)

    def _on_end(self, event: TrainingEndEvent) -> None:
        with self._lock:
            found = self._running.pop(id(event.model), None)
            if found is not None and event.status != ModelStatus.Interrupted:  # by Ctrl-C: it will be proposed again
                self._opened.fail(found[1], _REASONS.get(event.status, "its training failed"))

    def _fingerprint(self, space: SearchSpace) -> str:
        text = json.dumps([space.name, list(space.choices), list(self._latency), self._limits_ms, self._seed])
        return hashlib.sha256(text.encode()).hexdigest()[:16]
