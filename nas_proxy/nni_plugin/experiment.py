"""An experiment's YAML: NNI's own format, checked as a whole before anything is started."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from nas_proxy import files
from nas_proxy.errors import InputError, naming, whole_number
from nas_proxy.nni_plugin import compat
from nas_proxy.nni_plugin.nni_fields import require_fields
from nas_proxy.nni_plugin.remote import Machine, machines_of
from nas_proxy.nni_plugin.spaces import require_search_space
from nas_proxy.schema import load_yaml
from nas_proxy.search.latency_models import require_sources
from nas_proxy.search.settings import SearchSettings

__all__ = ["TUNER", "Experiment"]

TUNER = "nas_proxy.nni_plugin.tuner.ProxyTuner"
_SECRETS = {"password", "sshPassphrase", "ssh_passphrase", "accountKey", "storageAccountKey", "token"}


@dataclass(frozen=True)
class Experiment:
    """A checked configuration.

    Attributes:
        path: its file.
        config: the mapping in it.
        settings: the tuner's arguments, with absolute paths.
    """

    path: Path
    config: Mapping[str, Any]
    settings: SearchSettings

    @classmethod
    def read(cls, path: str | Path) -> Experiment:
        """The experiment in a file.

        Raises:
            InputError: the file cannot be read; NNI refuses a field; the tuner is another; an argument of the tuner is
                wrong; a device or table that it names is not there; the search space is another; a password is in it;
                the number of trials is missing; ``reuseMode`` is off.
        """
        path = Path(path).absolute()
        config = load_yaml(path)
        if (secret := next(_secrets(config), None)) is not None:
            raise InputError(
                f"{path}: {secret} must not be in a configuration, since NNI shows it to everyone who reaches its "
                "port: use a key file (sshKeyFile) instead."
            )
        require_fields(path, config)
        tuner = config.get("tuner")
        if not isinstance(tuner, dict) or tuner.get("className") not in {TUNER, "nas_proxy.ProxyTuner"}:
            found = tuner.get("className") or tuner.get("name") if isinstance(tuner, dict) else tuner
            raise InputError(f"{path}: tuner.className: expected {TUNER}, found {found!r}.")
        settings = SearchSettings.read(tuner.get("classArgs") or {}, f"{path}: tuner.classArgs", path.parent)
        if config.get("maxTrialNumber") is None:
            raise InputError(f"{path}: maxTrialNumber is missing: say how many candidates are to be trained.")
        whole_number(config["maxTrialNumber"], f"{path}: maxTrialNumber", least=1)
        experiment = cls(path, config, settings)
        _ = experiment.machines
        with naming(path):
            require_search_space(settings.make_space(), experiment.canonical().search_space)
        with naming(f"{path}: tuner.classArgs"):
            require_sources(settings)
        return experiment

    @property
    def trials(self) -> int:
        """How many candidates are to be trained."""
        return self.config["maxTrialNumber"]

    @property
    def platform(self) -> str:
        """Where trials run, in NNI's words: local, remote, ..."""
        return self.config["trainingService"]["platform"]

    @property
    def machines(self) -> list[Machine]:
        """The machines of ``platform: remote``."""
        return machines_of(self.canonical().training_service)

    def canonical(self) -> Any:
        """The experiment as NNI's ``ExperimentConfig``, with all paths absolute."""
        return compat.load_config(self.path).canonical_copy()

    def placed_in(self, folder: Path) -> Experiment:
        """The experiment as it is run: written to ``folder``, with every path absolute and all its files kept there."""
        canonical = self.canonical()
        config = dict(self.config)
        config["tuner"] = {
            "className": TUNER,
            "codeDirectory": str(canonical.tuner.code_directory),
            "classArgs": self.settings.model_copy(update={"folder": str(folder)}).model_dump(exclude_none=True),
        }
        config["searchSpace"] = canonical.search_space
        config.pop("searchSpaceFile", None)
        config["trialCodeDirectory"] = str(canonical.trial_code_directory)
        if machines := self.machines:
            entries = [
                entry | {"sshKeyFile": machine.key_file}
                for entry, machine in zip(config["trainingService"]["machineList"], machines, strict=True)
            ]
            config["trainingService"] = config["trainingService"] | {"machineList": entries}
        config["experimentWorkingDirectory"] = str(folder / "nni")
        path = files.write_text(folder / "experiment.yml", yaml.safe_dump(config, sort_keys=False))
        return Experiment.read(path)


def _secrets(value: Any, where: str = "") -> Iterator[str]:
    """Names of all fields with a secret in them, wherever they are."""
    if isinstance(value, Mapping):
        for name, inner in value.items():
            if name in _SECRETS and inner:
                yield f"{where}{name}"
            yield from _secrets(inner, f"{where}{name}.")
    elif isinstance(value, list):
        for index, inner in enumerate(value):
            yield from _secrets(inner, f"{where}{index}.")
