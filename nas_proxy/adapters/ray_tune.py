"""nas-proxy's search in Ray Tune, trials across a cluster: ``TuneConfig(search_alg=ProxySearcher(engine))``."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from nas_proxy import files
from nas_proxy.errors import InputError, from_extra
from nas_proxy.search import Evaluated, SearchEngine, Session

with from_extra("ray", "the searcher for Ray Tune"):
    from ray.tune.search import Searcher

__all__ = ["ProxySearcher"]


class ProxySearcher(Searcher):
    """Proposes the architectures worth training, among those predicted to be fast enough on every target.

    A trial's configuration holds the architecture's text under ``arch`` (``space.from_str(config["arch"])``), beside
    the constants of ``param_space``. It reports its accuracy, the higher the better. A trial that fails, or reports no
    finite number, is not proposed again. Ray keeps the state with the experiment's own: ``Tuner.restore`` goes on with
    the same proposals. Wrap it in ``ConcurrencyLimiter`` to bound how many trials run at once.

    Args:
        engine: the search, with its space, latency models, limits and seed.
        metric: the key under which trials report their accuracy; ``TuneConfig(metric=...)`` overrides it.

    Raises:
        InputError: ``TuneConfig`` asks to minimise; or, on a restore, the state is of another search.
    """

    def __init__(self, engine: SearchEngine, metric: str = "accuracy") -> None:
        super().__init__(metric=metric, mode="max")
        self._key = metric
        self._session = Session(engine)
        self._archs: dict[str, str] = {}

    def pareto(self) -> list[Evaluated]:
        """The front of all results; see :meth:`~nas_proxy.search.SearchEngine.pareto`."""
        return self._session.pareto()

    # -- what Ray calls ----------------------------------------------------------------------------------------------

    def set_search_properties(self, metric: str | None, mode: str | None, config: dict[str, Any], **spec: Any) -> bool:
        """As ``ray.tune.search.Searcher.set_search_properties``.

        Raises:
            InputError: the mode is not ``"max"``.
        """
        if mode not in (None, "max"):
            raise InputError(f"the searcher maximises accuracy, but TuneConfig says mode={mode!r}: give mode='max'.")
        self._key = self._metric = metric or self._key
        return False  # Ray refuses choices in `param_space` then: they are the engine's; constants it adds itself

    def suggest(self, trial_id: str) -> dict[str, Any] | str | None:
        """As ``ray.tune.search.Searcher.suggest``: ``{"arch": text}`` of the next candidate."""
        candidate = self._session.propose()
        if candidate is None:
            return Searcher.FINISHED
        self._archs[trial_id] = candidate.arch
        return {"arch": candidate.arch}

    def on_trial_complete(self, trial_id: str, result: dict[str, Any] | None = None, error: bool = False) -> None:
        """As ``ray.tune.search.Searcher.on_trial_complete``: its accuracy, or its failure, is told to the session."""
        arch = self._archs.pop(trial_id, None)
        if arch is not None and (error or result is None):
            self._session.fail(arch, "its trial failed")
        elif arch is not None:
            self._session.report(arch, (result or {}).get(self._key))

    def save(self, checkpoint_path: str) -> None:
        """As ``ray.tune.search.Searcher.save``: the session's state as JSON."""
        files.write_json(checkpoint_path, {"session": self._session.state(), "archs": self._archs})

    def restore(self, checkpoint_path: str) -> None:
        """As ``ray.tune.search.Searcher.restore``: goes on from what :meth:`save` wrote."""
        state = json.loads(Path(checkpoint_path).read_text())
        self._archs = state["archs"]
        self._session.restore_if_newer(state["session"])
        self._session.resume(self._archs.values())  # Ray runs again what was cut off
