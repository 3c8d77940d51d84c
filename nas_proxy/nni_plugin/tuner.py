"""The tuner: nas-proxy's search as NNI's own extension point (``tuner.className`` in an experiment's YAML)."""

from __future__ import annotations

import logging
import threading
import traceback
from collections.abc import Callable
from functools import wraps
from pathlib import Path
from typing import TYPE_CHECKING, Any

from nni.tuner import Tuner

from nas_proxy.errors import InputError, NasProxyError
from nas_proxy.nni_plugin import compat
from nas_proxy.nni_plugin.candidate import Candidate
from nas_proxy.nni_plugin.client import ManagerClient
from nas_proxy.nni_plugin.errors import ExperimentError
from nas_proxy.nni_plugin.spaces import require_search_space
from nas_proxy.search.settings import SearchSettings

if TYPE_CHECKING:
    from nas_proxy.search.session import Session

__all__ = ["ProxyTuner"]

_log = logging.getLogger(__name__)


def _surfaced(callback: Callable[..., Any]) -> Callable[..., Any]:
    """A callback of NNI, one at a time. Its failure is told to NNI and ends the search: later callbacks do nothing."""

    @wraps(callback)
    def guarded(self: ProxyTuner, *args: Any, **kwargs: Any) -> Any:
        with self._lock:
            self._st_callback = kwargs.get("st_callback", self._st_callback)
            if self._failure is None:
                try:
                    return callback(self, *args, **kwargs)
                except Exception as error:
                    if not compat.in_dispatcher():
                        raise
                    self._failure = str(error) if isinstance(error, NasProxyError) else traceback.format_exc()
                    _log.error("the search cannot go on: %s", self._failure)
            self._reported = self._reported or compat.report_error(self._st_callback, self._failure)
            return []

    return guarded


class ProxyTuner(Tuner):
    """Proposes the architectures worth training, among those predicted to be fast enough on every target.

    The arguments (``classArgs`` in YAML) are those of :class:`~nas_proxy.search.settings.SearchSettings`. Each
    trial gets its choices by label, as NNI's search space names them, and the
    :class:`~nas_proxy.nni_plugin.candidate.Candidate`. It reports an accuracy, the higher the better, as a number or
    under ``default``.

    NNI waits ten seconds for the constructor, so that measuring, reading and fitting happen at the first request for a
    trial. A failure anywhere puts the experiment into status ERROR with its reason.

    Raises:
        InputError: an argument is missing, unknown or wrong. (Inside NNI, which would only write it to a log file, it
            is reported as the experiment's error.)
    """

    def __init__(self, **arguments: Any) -> None:
        super().__init__()
        if compat.in_dispatcher():
            compat.end_promptly()
        self._lock = threading.RLock()  # NNI calls trial_end from a thread of its own
        self._session: Session | None = None
        self._st_callback: Callable[..., Any] | None = None
        self._failure: str | None = None
        self._reported = False
        self._resuming = False
        self._imported: list[dict[str, Any]] = []
        self._archs: dict[int, str] = {}
        self._ended: dict[str, str] = {}
        try:
            self._settings: SearchSettings = SearchSettings.read(arguments, "tuner.classArgs")
        except NasProxyError as error:
            if not compat.in_dispatcher():
                raise
            self._failure = str(error)

    # -- what NNI calls ----------------------------------------------------------------------------------------------

    @_surfaced
    def update_search_space(self, search_space: dict[str, Any]) -> None:
        """Check that NNI was given the search space that is searched."""
        require_search_space(self._settings.make_space(), search_space)

    @_surfaced
    def load_checkpoint(self) -> None:
        """NNI resumes an experiment. The state is read at the first request."""
        self._resuming = True

    @_surfaced
    def generate_multiple_parameters(self, parameter_id_list: list[int], **kwargs: Any) -> list[dict[str, Any]]:
        """Parameters of the next trials; fewer than asked for once nothing feasible is left."""
        session = self._opened()
        self._settle(session)
        wanted = len(parameter_id_list)
        if self._resuming:
            # NNI runs the trials that were cut off again *and* asks for a full set of new ones. Answering both would
            # propose candidates before the results they should learn from; so those that run again count as answered.
            self._resuming = False
            again = [Candidate.arch_in(parameters) for parameters in compat.recovered_parameters(self._st_callback)]
            wanted = max(0, wanted - session.resume(again))
        generated = []
        for parameter_id in parameter_id_list[:wanted]:
            candidate = session.propose()
            if candidate is None:
                self._finish(session)
                break
            self._archs[parameter_id] = candidate.arch
            generated.append(
                Candidate(
                    self._settings.space, candidate.arch, candidate.latency_ms, self._settings.space_parameters
                ).to_parameters()
            )
        return generated

    @_surfaced
    def receive_trial_result(self, parameter_id: int, parameters: Any, value: Any, **kwargs: Any) -> None:
        """A trial's final result. One that is no finite number counts as a failure of that trial."""
        self._tell(self._opened(), parameters, value)

    @_surfaced
    def trial_end(self, parameter_id: int, success: bool, **kwargs: Any) -> None:
        """A trial's process ended. Its result may still be queued inside NNI: this is settled at the next request."""
        if (arch := self._archs.pop(parameter_id, None)) is not None:
            self._ended[arch] = "it ended without reporting a result" if success else "its process failed"

    @_surfaced
    def import_data(self, data: list[dict[str, Any]]) -> None:
        """Results from before a resume, and of trials that were cut off and ran again."""
        self._imported += data
        if self._session is not None:
            self._take_imported(self._session)

    @_surfaced
    def _on_exit(self) -> None:
        if self._session is not None:
            self._settle(self._session)
            self._session.close()

    # -- inside ------------------------------------------------------------------------------------------------------

    def _opened(self) -> Session:
        """The search, opened at first use: this is where measuring, reading and fitting happen."""
        if self._session is None:
            from nas_proxy.search import SearchEngine
            from nas_proxy.search.latency_models import prepare
            from nas_proxy.search.session import Session
            from nas_proxy.search.state import StateFile

            folder = self._settings.folder or self.get_checkpoint_path()
            if folder is None:
                raise InputError("there is no folder for the state of the search: name one with `folder`.")
            file = StateFile.inside(Path(folder))
            if not self._resuming and file.read() is not None:
                raise InputError(f"{folder} holds a search already: resume that, or name another `folder`.")
            models = prepare(self._settings, Path(folder))
            engine = SearchEngine(models.space, models.targets, self._settings.limits_ms, seed=self._settings.seed)
            self._session = Session(engine, file, models.evidence)
            self._take_imported(self._session)
        return self._session

    def _take_imported(self, session: Session) -> None:
        for entry in self._imported:
            self._tell(session, entry["parameter"], entry["value"])
        self._imported = []

    def _tell(self, session: Session, parameters: Any, value: Any) -> None:
        arch = Candidate.arch_in(parameters, session.space)
        if arch is None:
            _log.warning("a result is ignored, since its parameters are not of this search: %s", parameters)
            return
        session.report(arch, value)

    def _settle(self, session: Session) -> None:
        """Trials that ended without a result have failed by now; give up if nothing else ever happens."""
        for arch, reason in self._ended.items():
            session.fail(arch, reason)
        self._ended = {}
        if not session.succeeded and len(session.failed) >= self._settings.give_up_after:
            client = ManagerClient.of_dispatcher()
            first = next(iter(session.failed.values()))
            raise ExperimentError(
                f"the first {len(session.failed)} trials all failed. Of the first, {first.arch}: {first.reason}\n"
                + ((client and client.first_failure()) or "")
            )

    def _finish(self, session: Session) -> None:
        """Nothing feasible is left. NNI would wait for ever for its number of trials: make it the number there are."""
        if (client := ManagerClient.of_dispatcher()) is not None:
            client.set_max_trials(session.n_proposed)
