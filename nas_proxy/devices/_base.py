"""What a device is, and how one is made from its YAML file."""

from __future__ import annotations

import copy
import re
from abc import ABC, abstractmethod
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar, Self

from pydantic import BaseModel

from nas_proxy import extensions, resources
from nas_proxy.devices.results import LatencyResult, Outcome, plain_outcome
from nas_proxy.errors import InputError, UnknownNameError
from nas_proxy.schema import load_yaml, parse

if TYPE_CHECKING:
    from nas_proxy.devices.costs import GraphCost
    from nas_proxy.devices.paired_speedup import PairedSpeedup
    from nas_proxy.graph import TensorGraph
    from nas_proxy.spaces import SearchSpace

__all__ = ["Device", "get_device"]

_ONLY_HOW = {"cache", "workers"}  # options that say how work is done, not what comes of it


class Device(ABC):
    """Something a network runs on, measured or simulated. It answers for itself: no caller asks which class it is.

    A kind of device needs :meth:`latency` alone; with it, it can be measured, evaluated and searched for. Every other
    method has a default that says "this device has nothing of the kind".

    Attributes:
        timed: whether latencies are timed on this machine, so that nothing else should run meanwhile.
        simulated: whether :meth:`optimise` works a latency out from a graph; False has :meth:`latencies` asked first.
        known_only: whether it has no answer for a network that nobody has measured (a table): it cannot be evaluated.
        picky: whether :meth:`check` refuses some networks, so that it is asked before any work is done.
        batch: how many architectures a worker gets at once, where several workers share the work.
        options: what :meth:`configured` can change; the device has an attribute of each name.
        Spec: the model of the fields of its YAML file, where it has any.
        spec: the fields of this device, where its description was given to ``Device.__init__``.
    """

    timed: bool = False
    simulated: bool = False
    known_only: bool = False
    picky: bool = False
    batch: int = 8
    options: ClassVar[tuple[str, ...]] = ()
    Spec: ClassVar[type[BaseModel] | None] = None
    spec: Any = None

    def __init__(self, name: str, description: Mapping[str, Any] | None = None) -> None:
        """A device of a name and, where its kind has a ``Spec``, of the fields of a description.

        Raises:
            InputError: a field is missing, out of range, or one that this kind knows nothing of.
        """
        self.name = name
        if self.Spec is not None:
            self.spec = None if description is None else parse(self.Spec, description, f"device {name}")
            return
        unknown = sorted(set(description or ()) - {"kind", "description", "sources"})
        if unknown:
            raise InputError(f"device {name!r}: {type(self).__name__} has no options, found {', '.join(unknown)}.")

    @abstractmethod
    def latency(self, network: Any) -> LatencyResult:
        """Latency of a network: a ``TensorGraph``, or whatever else this kind of device can take.

        Raises:
            InputError: the device cannot run this network (says why).
        """

    def latencies(self, space: SearchSpace, archs: Sequence[Any]) -> Iterator[tuple[int, LatencyResult]]:
        """Latencies of architectures of a space, as ``(index, result)`` in the order in which they become known.

        The default gives :meth:`latency` the graph of each network, one image a batch. Devices that execute networks
        override it, so that networks can take turns.
        """
        from nas_proxy.graph import from_torch

        for index, arch in enumerate(archs):
            yield index, self.latency(from_torch(space.build(arch), (1, *space.input_shape(arch))))

    def check(self, graph: TensorGraph) -> None:  # noqa: B027
        """Look, quickly, whether the device can run a graph.

        Raises:
            InputError: it cannot (says which operator and why).
        """

    def settings(self) -> dict[str, Any]:
        """The options and what they are now."""
        return {option: getattr(self, option) for option in self.options}

    def configured(self, **options: Any) -> Self:
        """A new device with some options changed; this one stays as it is.

        An option that the kind does not have is refused. Who configures devices of several kinds at once gives each
        what it has (``device.options``).

        Raises:
            UnknownNameError: the kind has no such option; the message names the closest.
            InputError: an option cannot have this value, where the kind looks: by default any value is taken.
        """
        for option in options.keys() - set(self.options):
            raise UnknownNameError(f"option of device {self.name!r}:", option, self.options)
        changed = copy.copy(self)
        vars(changed).update(options)
        return changed

    def cost(self) -> GraphCost | None:
        """What rewriting makes less of; None (the default): networks are left as they are on this device."""
        return None

    def compare(self, before: TensorGraph, after: TensorGraph, *, seconds: float = 20.0) -> PairedSpeedup | None:
        """How much faster the second graph is than the first, measured in turns for about so many seconds.

        None (the default) where there is nothing to measure: latencies can be compared as they are.
        """
        return None

    def optimise(self, graph: TensorGraph, measured: LatencyResult | None = None) -> Outcome:
        """Find the mapping, the schedule or the settings with which a network runs best, and what each of them gains.

        The default finds nothing to gain.

        Args:
            graph: the network, one image a batch.
            measured: what :meth:`latencies` gave for it; None where the device is ``simulated``, and for a graph that
                rewriting has made where there is nothing to :meth:`compare`.

        Raises:
            InputError: the device cannot run this network (says why).
        """
        return plain_outcome(measured or self.latency(graph))

    def describe(self) -> dict[str, Any]:
        """Everything that must be the same for two latencies of this device to be comparable, as plain JSON values.

        The default: the name, ``spec``, and the options as they are now.
        """
        fields = self.spec.model_dump(mode="json", exclude={"description", "sources"}) if self.spec else {}
        options = {option: value for option, value in self.settings().items() if option not in _ONLY_HOW}
        return {**fields, **options, "name": self.name}

    def modules(self) -> tuple[str, ...]:
        """Modules and packages whose code decides the latencies: those kept from before a change of it do not count."""
        return (type(self).__module__,)


def get_device(name: str | Path) -> Device:
    """A device by the name of a shipped YAML file, or by the path of your own; or one made of a kind and its options,
    ``"host(runtime=torch,threads=2)"``, which may be your own, ``"module:Class"``.

    Relative paths in a file's fields ``csv`` and ``path`` start at the folder of that file.

    Raises:
        UnknownNameError: no shipped device has the name; the message names the closest.
        InputError: the file cannot be read or a field of it is wrong (names the field).
    """
    if (of_kind := _kind_in(name)) is not None:
        kind, options = of_kind
        called = re.sub(r"[^\w.+-]+", "-", str(name)).strip("-")
        return extensions.get("device_kinds", kind, called, _from_folder({"kind": kind, **options}, Path()))
    path = resources.find("devices", name)
    description = load_yaml(path)
    if "kind" not in description:
        known = ", ".join(extensions.names("device_kinds"))
        raise InputError(f"{path}: the field 'kind' is missing: expected one of {known}.")
    kind = str(description["kind"])  # data: it never names code
    return extensions.get("device_kinds", kind, path.stem, _from_folder(description, path.parent), trusted=False)


def _kind_in(name: Any) -> tuple[str, dict[str, Any]] | None:
    """The kind and its options, where a text says these and no file."""
    if not isinstance(name, str) or name in resources.names("devices") or Path(name).is_file():
        return None
    try:
        kind, options = extensions.parse_text(name)
    except InputError:
        return None
    return (kind, options) if ":" in kind or kind in extensions.names("device_kinds") else None


def _from_folder(description: Mapping[str, Any], folder: Path) -> dict[str, Any]:
    """The description with its paths made absolute."""
    return {
        key: _from_folder(value, folder)
        if isinstance(value, dict)
        else str((folder / value).absolute())
        if key in {"csv", "path"} and isinstance(value, str)
        else value
        for key, value in description.items()
    }
