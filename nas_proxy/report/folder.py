"""What a run's folder tells, read as plain files."""

from __future__ import annotations

import json
import shlex
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from nas_proxy import resources
from nas_proxy.datasets import LatencyTable
from nas_proxy.errors import InputError
from nas_proxy.ranking import Monotonicity
from nas_proxy.schema import load_yaml
from nas_proxy.search import Failure
from nas_proxy.spaces import SearchSpace, get_space

if TYPE_CHECKING:
    from nas_proxy.finalists import FinalistTable

__all__ = ["Check", "Network", "Run", "read_run"]


@dataclass(frozen=True)
class Network:
    """A candidate that was evaluated; ``number`` counts from 1 in the order the results came."""

    number: int
    arch: str
    accuracy: float
    predicted_ms: Mapping[str, float]


@dataclass(frozen=True)
class Check:
    """What the predictions for a target were worth, on the finalists, which nobody measured before the search.

    Attributes:
        target: its name.
        archs: the finalists' canonical texts; the following are in their order.
        accuracy, predicted_ms, true_ms: of each finalist. ``true_ms`` is measured as the target's samples were.
        kendall_tau: of predicted and true latencies; None where fewer than three differ.
        chosen, best: which is recommended by predicted, and which by true latency; None where nothing keeps the limit.
    """

    target: str
    archs: Sequence[str]
    accuracy: Sequence[float]
    predicted_ms: Sequence[float]
    true_ms: Sequence[float]
    kendall_tau: float | None
    chosen: str | None
    best: str | None


@dataclass(frozen=True)
class Run:
    """A run.

    Attributes:
        samples: the measurements that the search took of each device, by ``"proxy"`` and the target's name; empty
            where the folder does not keep them.
        sources: where latencies come from, by ``"proxy"`` and the target's name.
        machines: what ``nas-proxy measure`` noted beside its CSV (device, machine, protocol, ...), by the same names.
        stated: what each ranking stated of itself before the search.
        config: the user's configuration, as text.
        command: what makes this run again.
    """

    name: str
    space_name: str
    parameters: Mapping[str, Any]
    seed: int
    targets: tuple[str, ...]
    limits_ms: Mapping[str, float]
    networks: tuple[Network, ...]
    failures: tuple[Failure, ...]
    samples: Mapping[str, LatencyTable] = field(default_factory=dict)
    sources: Mapping[str, str] = field(default_factory=dict)
    machines: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    stated: Mapping[str, Monotonicity] = field(default_factory=dict)
    finalists: FinalistTable | None = None
    checks: tuple[Check, ...] = ()
    config: str = ""
    command: str | None = None

    @property
    def space(self) -> SearchSpace:
        """The search space."""
        return get_space(self.space_name, trusted=False, **self.parameters)


def read_run(folder: str | Path) -> Run:
    """The run in ``folder``.

    Raises:
        InputError: the folder holds no run, no results yet, or a damaged file (names it).
    """
    folder = Path(folder)
    if not folder.is_dir():
        raise InputError(f"{folder}: no such folder: expected one that `nas-proxy run` has made, such as runs/NAME-1.")
    state = _state(folder)
    if state is None:
        if (folder / "run.json").exists():
            raise InputError(f"{folder}: has no results yet: go on with nas-proxy run --resume {folder}.")
        raise InputError(f"{folder}: holds no run: expected a folder that `nas-proxy run` has made.")
    try:
        return _run(folder, state)
    except InputError:
        raise
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        raise InputError(f"{folder}: a file of this run is damaged ({error!r}): start a new run.") from None


def _state(folder: Path) -> Any:
    """The search's state; the one before, where it was cut off while being written."""
    try:
        state = _json(folder / "search.json")
    except InputError:
        if not (folder / "search.previous.json").exists():
            raise
        state = None
    return state or _json(folder / "search.previous.json")


def _run(folder: Path, state: Any) -> Run:
    engine = state["engine"]
    if not engine["results"]:
        failed = f"; {len(state['failures'])} trials failed" if state["failures"] else ""
        raise InputError(f"{folder}: has no results yet{failed}: go on with nas-proxy run --resume {folder}.")
    config = folder / "config.yml"
    settings = {}
    if (experiment := folder / "experiment.yml").exists():
        settings = load_yaml(experiment)["tuner"]["classArgs"]
    name = (_json(folder / "run.json") or {}).get("name") or folder.resolve().name
    text = config.read_text(encoding="utf-8") if config.exists() else ""
    stated = _json(folder / "adaptation.json") or {}
    run = Run(
        name=name,
        space_name=settings.get("space", engine["space"]),
        parameters=engine["parameters"],
        seed=engine["seed"],
        targets=tuple(engine["targets"]),
        limits_ms=engine["limits_ms"],
        networks=tuple(
            Network(i, result["arch"], float(result["accuracy"]), result["latency_ms"])
            for i, result in enumerate(engine["results"], start=1)
        ),
        failures=tuple(Failure(**failure) for failure in state["failures"]),
        machines={
            device: noted
            for device in ("proxy", *engine["targets"])
            if (noted := _json(folder / "measurements" / f"{device}.csv.machine.json")) is not None
        },
        stated={target: Monotonicity(**quality) for target, quality in stated.items()},
        finalists=_finalists(folder / "finalists.json"),
        checks=tuple(Check(**check) for check in _json(folder / "checks.json") or []),
        config=text,
        command=_command(name, text),
    )
    if not settings:
        return run
    sources = {"proxy": settings["proxy"], **{target: settings["targets"][target] for target in run.targets}}
    kept = folder / "samples"
    return replace(
        run,
        samples={n: LatencyTable.from_csv(kept / f"{n}.csv", run.space) for n in sources} if kept.is_dir() else {},
        sources={name: _origin(source) for name, source in sources.items()},
    )


def _origin(source: Mapping[str, Any]) -> str:
    """Where the latencies of one device come from, in words."""
    if source.get("device"):
        return f"device {Path(source['device']).stem}"
    column = f", column {source['column']}" if source.get("column") else ""
    return f"read from {Path(source['csv']).name if source.get('csv') else source['dataset']}{column}"


def _finalists(path: Path) -> FinalistTable | None:
    if not path.exists():
        return None
    from nas_proxy.finalists import FinalistTable  # brings the simulators, which a report without finalists can spare

    return FinalistTable.from_json(path)


def _command(name: str, config: str) -> str | None:
    if not config:
        return None
    shipped = name in resources.names("configs") and resources.find("configs", name).read_text("utf-8") == config
    return f"nas-proxy run {name if shipped else shlex.quote(f'{name}.yml')}"


def _json(path: Path) -> Any:
    """What a JSON file holds, None where there is none."""
    try:
        return json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        return None
    except (OSError, ValueError) as error:
        raise InputError(f"{path}: cannot be read ({error}): start a new run.") from None
