"""nas-proxy's search in Syne Tune: ``Tuner(trial_backend=..., scheduler=ProxyScheduler(engine), ...)``."""

from __future__ import annotations

from typing import Any

from nas_proxy.errors import from_extra
from nas_proxy.search import Evaluated, SearchEngine, Session

with from_extra("syne-tune", "the scheduler for Syne Tune"):
    from syne_tune.backend.trial_status import Trial  # pyright: ignore[reportMissingImports]
    from syne_tune.optimizer.scheduler import TrialScheduler, TrialSuggestion  # pyright: ignore[reportMissingImports]

__all__ = ["ProxyScheduler"]


class ProxyScheduler(TrialScheduler):
    """Proposes the architectures worth training, among those predicted to be fast enough on every target.

    A trial's configuration holds the architecture's text under ``arch`` (``space.from_str(arch)``). The last accuracy
    it reports counts, the higher the better. A trial that fails, or reports no finite number, is not proposed again.
    Syne Tune keeps the scheduler with the tuner's own state: ``Tuner.load`` goes on with the same proposals.

    Args:
        engine: the search, with its space, latency models, limits and seed.
        metric: the key under which trials report their accuracy.
    """

    def __init__(self, engine: SearchEngine, metric: str = "accuracy") -> None:
        super().__init__(random_seed=engine.seed)
        self.metric = metric
        self._session = Session(engine)

    def pareto(self) -> list[Evaluated]:
        """The front of all results; see :meth:`~nas_proxy.search.SearchEngine.pareto`."""
        return self._session.pareto()

    # -- what Syne Tune calls ----------------------------------------------------------------------------------------

    def suggest(self) -> TrialSuggestion | None:
        """As ``syne_tune.optimizer.scheduler.TrialScheduler.suggest``: ``{"arch": text}`` of the next candidate."""
        candidate = self._session.propose()
        return None if candidate is None else TrialSuggestion.start_suggestion({"arch": candidate.arch})

    def on_trial_complete(self, trial: Trial, result: dict[str, Any]) -> None:
        """As ``syne_tune.optimizer.scheduler.TrialScheduler.on_trial_complete``: tells the session its accuracy."""
        self._session.report(trial.config["arch"], result.get(self.metric))

    def on_trial_error(self, trial: Trial) -> None:
        """As ``syne_tune.optimizer.scheduler.TrialScheduler.on_trial_error``: its failure is told to the session."""
        self._session.fail(trial.config["arch"], "its trial failed")

    def metric_names(self) -> list[str]:
        """As ``syne_tune.optimizer.scheduler.TrialScheduler.metric_names``."""
        return [self.metric]

    def metric_mode(self) -> str:
        """As ``syne_tune.optimizer.scheduler.TrialScheduler.metric_mode``."""
        return "max"

    def metadata(self) -> dict[str, Any]:
        """As ``syne_tune.optimizer.scheduler.TrialScheduler.metadata``."""
        return {
            "scheduler_name": type(self).__name__,
            "metric_names": self.metric_names(),
            "metric_mode": self.metric_mode(),
        }
