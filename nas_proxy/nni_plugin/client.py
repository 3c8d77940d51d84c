"""NNI's manager over its REST interface: the few requests this package makes."""

from __future__ import annotations

import json
import os
import re
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlsplit

import requests

__all__ = ["ManagerClient", "Trial"]


@dataclass(frozen=True)
class Trial:
    """One trial as NNI knows it."""

    id: str
    status: str
    parameters: dict[str, Any]

    @property
    def failed(self) -> bool:
        """Whether it ended, or was ended, without success."""
        return self.status in {"FAILED", "SYS_CANCELED", "EARLY_STOPPED"}


class ManagerClient:
    """A manager listening on this machine; ``prefix`` is NNI's ``url_prefix``.

    Every method raises ``requests.RequestException`` when the manager cannot be reached or refuses.
    """

    def __init__(self, port: int, prefix: str = "") -> None:
        self._base = "/".join(part for part in (f"http://127.0.0.1:{port}", prefix.strip("/"), "api/v1/nni") if part)
        self._http = requests.Session()
        self._http.trust_env = False  # a proxy of the environment is never on the way to this machine

    @classmethod
    def of_dispatcher(cls) -> ManagerClient | None:
        """The manager that started this process as its tuner, None outside a tuner."""
        channel = urlsplit(os.environ.get("NNI_TUNER_COMMAND_CHANNEL", ""))
        return cls(channel.port, channel.path.rpartition("/tuner")[0]) if channel.port else None

    def status(self) -> tuple[str, list[str]]:
        """NNI's word for the experiment's status, and the errors it has noted."""
        answer = self._request("GET", "check-status").json()
        return answer["status"], answer.get("errors", [])

    def trials(self) -> list[Trial]:
        """All trials, in the order they were submitted."""
        jobs = self._request("GET", "trial-jobs").json()
        jobs.sort(key=lambda job: job.get("sequenceId", 0))
        return [
            Trial(job["trialJobId"], job["status"], json.loads(job["hyperParameters"][0])["parameters"])
            for job in jobs
            if job.get("hyperParameters")
        ]

    def stderr(self, trial_id: str) -> str:
        """What a trial wrote to its standard error; wherever it ran, NNI fetches it."""
        return self._request("GET", f"trial-file/{trial_id}/stderr").text

    def first_failure(self) -> str | None:
        """The standard error of the first failed trial, None where none failed or nothing can be fetched."""
        try:
            failed = [trial for trial in self.trials() if trial.failed]
            return self.stderr(failed[0].id).strip() if failed else None
        except (requests.RequestException, LookupError, ValueError):
            return None

    def tuner_errors(self) -> list[str]:
        """What the tuner reported as its errors. NNI's status only says that there was one; its log says which."""
        log = self._http.get(f"{self._base.removesuffix('/api/v1/nni')}/logs/nnimanager.log", timeout=20).text
        return re.findall(r"^\[[^\]]*\] ERROR \(NNIManager\) Dispatcher error: (.*?)\n(?=\[)", log, re.M | re.S)

    def set_max_trials(self, number: int) -> None:
        """Let the experiment end after this many trials."""
        profile = self._request("GET", "experiment").json()
        profile["params"]["maxTrialNumber"] = number
        self._request("PUT", "experiment?update_type=MAX_TRIAL_NUM", json=profile)

    def stop(self) -> None:
        """Ask the manager to stop its trials and end.

        It ends only once nobody is connected, or after five seconds: this connection does not outlive the request.
        """
        self._request("DELETE", "experiment", headers={"Connection": "close"})

    def _request(self, method: str, route: str, **options: Any) -> requests.Response:
        response = self._http.request(method, f"{self._base}/{route}", timeout=20, **options)
        response.raise_for_status()
        return response
