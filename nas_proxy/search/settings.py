"""What a search needs to know, as YAML, JSON or a dict says it: space, proxy, targets and limits, validated."""

from __future__ import annotations

import hashlib
import json
import os
import re
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pydantic import Field, field_validator, model_validator

from nas_proxy.errors import InputError, naming
from nas_proxy.schema import Spec, parse

if TYPE_CHECKING:
    from nas_proxy.spaces import SearchSpace

__all__ = ["SearchSettings", "Source", "Target", "expand_path"]


_NAME = re.compile(r"\w[\w.+ -]{0,99}")


class Source(Spec):
    """Where latencies of one device come from: measured here, or read from a table."""

    device: str | None = Field(None, description="Device to measure, by name or the path of its YAML file.")
    csv: str | None = Field(None, description="CSV of measurements; with `device`, where they are kept and reused.")
    dataset: str | None = Field(None, description="Format of published measurements, such as `help`; needs `path`.")
    path: str | None = Field(None, description="Folder of the published measurements; `$VARIABLES` are expanded.")
    column: str | None = Field(None, description="Device to take from a table that holds several.")
    samples: int | None = Field(None, ge=3, description="How many architectures to measure, or to take from the table.")

    @model_validator(mode="after")
    def _one_source(self) -> Source:
        if (self.dataset is None) != (self.path is None):
            raise ValueError("`dataset` and `path` go together")
        if self.dataset is None and self.device is None and self.csv is None:
            raise ValueError("one of `device` (to measure), `csv` or `dataset` is needed")
        if self.dataset is not None and (self.device or self.csv):
            raise ValueError("`dataset` excludes `device` and `csv`")
        if self.device is not None and self.column is not None:
            raise ValueError("`column` chooses from a table; what is measured is `device`")
        return self

    def resolved(self, base: Path | None) -> Source:
        """The same with absolute paths; relative ones start at ``base``."""
        paths = {name: value for name in ("csv", "path") if (value := getattr(self, name)) is not None}
        if self.device is not None and (os.sep in self.device or Path(self.device).suffix in {".yaml", ".yml"}):
            paths["device"] = self.device
        return self.model_copy(update={name: str(expand_path(value, base)) for name, value in paths.items()})


class Target(Source):
    """A device to search for, with what must hold on it."""

    limit_ms: float | None = Field(None, gt=0, description="Only candidates predicted at or below this are trained.")
    least_tau: float | None = Field(
        None, gt=-1, lt=1, description="Kendall's tau that the ranking must state of itself before the search starts."
    )
    most_samples: int = Field(60, ge=3, description="How many to measure at most to reach `least_tau`.")

    @model_validator(mode="after")
    def _enough(self) -> Target:
        if self.least_tau is not None and (self.samples or 0) > self.most_samples:
            raise ValueError(f"`most_samples` ({self.most_samples}) is less than `samples` ({self.samples})")
        return self

    @classmethod
    def named(cls, source: str) -> tuple[str, dict[str, str]]:
        """A name, and the fields of a target that is a CSV, a device's YAML file or a device's name."""
        path = Path(source)
        return path.stem, {"csv": source} if path.suffix == ".csv" else {"device": source}


class SearchSettings(Spec):
    """A search as its user describes it; in NNI's YAML these are the ``classArgs`` of the tuner."""

    space: str = Field(description="Name of the search space.")
    space_parameters: dict[str, int] = Field({}, description="The space's parameters, such as channels.")
    proxy: Source = Field(description="The device that is measured well.")
    targets: dict[str, Target] = Field(min_length=1, description="Devices to search for, by a name of your own.")
    finalists: int = Field(3, ge=0, description="Networks of each target's front that `run` evaluates at its end.")
    seed: int = Field(0, ge=0, description="Seed of all random choices.")
    folder: str | None = Field(None, description="Where measurements and state go; NNI's checkpoint folder if absent.")
    give_up_after: int = Field(5, ge=1, description="Trials that may fail before any has succeeded.")

    @field_validator("targets")
    @classmethod
    def _file_names(cls, targets: dict[str, Target]) -> dict[str, Target]:
        """Files are called after targets."""
        for name in targets:
            if not _NAME.fullmatch(name) or name == "proxy" or name.endswith("-finalists"):
                raise ValueError(
                    f"a target's name is a file's, too: letters, digits, blanks and . _ + - (100 at most), neither "
                    f"'proxy' nor ending in '-finalists'; found {name!r}"
                )
        return targets

    @field_validator("targets", mode="before", json_schema_input_type=dict[str, Target] | list[str])
    @classmethod
    def _short_form(cls, targets: Any) -> Any:
        """A list of devices and CSVs is the short form: ``[eyeriss, phone.csv]``."""
        if not isinstance(targets, list):
            return targets
        if not all(isinstance(source, str) for source in targets):
            raise ValueError("a list of targets holds names of devices, YAML files and CSVs")
        named = [Target.named(source) for source in targets]
        if len(dict(named)) < len(named):
            raise ValueError("two targets of this list have the same name: give a mapping of names to targets")
        return dict(named)

    @classmethod
    def read(cls, arguments: Mapping[str, Any], source: str = "settings", base: Path | None = None) -> SearchSettings:
        """Settings from plain data, with the search space looked up and all paths made absolute.

        Raises:
            InputError: a field is missing, unknown or wrong (all are named), or a path is relative and ``base``, the
                folder of the configuration file, is not known.
        """
        settings = parse(cls, arguments, source)
        with naming(source):
            settings.make_space()
            return settings.model_copy(
                update={
                    "proxy": settings.proxy.resolved(base),
                    "targets": {name: target.resolved(base) for name, target in settings.targets.items()},
                    "folder": settings.folder and str(expand_path(settings.folder, base)),
                }
            )

    def make_space(self) -> SearchSpace:
        """The search space, with its parameters."""
        from nas_proxy.spaces import get_space

        with naming("space"):
            space = get_space(self.space)
        with naming("space_parameters"):
            return space.with_parameters(**self.space_parameters)

    @property
    def limits_ms(self) -> dict[str, float]:
        """Limits of the targets that have one."""
        return {name: target.limit_ms for name, target in self.targets.items() if target.limit_ms is not None}

    @property
    def fingerprint(self) -> str:
        """What must not change until a resume: all but the folder, when to give up and what follows the search."""
        text = json.dumps(self.model_dump(exclude={"folder", "give_up_after", "finalists"}), sort_keys=True)
        return hashlib.sha256(text.encode()).hexdigest()[:16]


def expand_path(path: str, base: Path | None) -> Path:
    """``path`` with ``~`` and ``$VARIABLES`` expanded, absolute; a relative one starts at ``base``.

    Raises:
        InputError: a variable is not set, or the path is relative and ``base`` is None.
    """
    expanded = Path(os.path.expandvars(os.path.expanduser(path)))
    if "$" in str(expanded):
        variable = next(part for part in expanded.parts if "$" in part).strip("${}")
        raise InputError(
            f"{path}: the environment variable {variable} is not set: export {variable}=/path/to/it first."
        )
    if expanded.is_absolute():
        return expanded
    if base is None:
        raise InputError(
            f"{path}: a relative path cannot be found, since NNI does not tell its tuner where the configuration lies: "
            "give an absolute one, or start with `nas-proxy run`, which knows."
        )
    return (base / expanded).absolute()
