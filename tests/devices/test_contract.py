"""What a device is without saying anything but its latency."""

from __future__ import annotations

from typing import Any

import pytest
from pydantic import Field

from nas_proxy.devices import Device, LatencyResult, Outcome, Variant
from nas_proxy.devices.paired_speedup import PairedSpeedup
from nas_proxy.errors import InputError, UnknownNameError
from nas_proxy.graph import TensorGraph, annotate
from nas_proxy.schema import Spec
from nas_proxy.testing.device_kinds import CHECKS, check_repeatable


class Plain(Device):
    """A chip that counts multiply-accumulates."""

    options = ("start_ms",)
    start_ms = 0.5

    def latency(self, network: Any) -> LatencyResult:
        if not isinstance(network, TensorGraph):
            raise InputError("expected a TensorGraph.")
        return LatencyResult(self.start_ms + annotate(network).macs / 1e6)


@pytest.mark.parametrize("check", [*CHECKS, check_repeatable], ids=lambda check: check.__name__)
def test_latency_alone_makes_a_device(check: Any) -> None:
    check(Plain("plain"))


def test_configured_is_another_device() -> None:
    old = Plain("plain")
    new = old.configured(start_ms=2.0)
    assert (old.settings(), new.settings()) == ({"start_ms": 0.5}, {"start_ms": 2.0})
    assert new.name == "plain"
    with pytest.raises(UnknownNameError, match=r"option of device 'plain': 'start_m'\. Did you mean 'start_ms'"):
        old.configured(start_m=1.0)


class Wrong(Plain):
    """Breaks one promise of the contract, as the test says."""

    def __init__(self, outcome: Outcome | None = None) -> None:
        super().__init__("wrong")
        self.outcome = outcome

    def configured(self, **options: Any) -> Any:
        return self

    def optimise(self, graph: TensorGraph, measured: LatencyResult | None = None) -> Outcome:
        assert measured is not None, "a device that is not simulated is asked for latencies first"
        return self.outcome or super().optimise(graph, measured)


@pytest.mark.parametrize(
    ("check", "outcome", "message"),
    [
        ("check_configured", None, "gave the device itself"),
        ("check_optimise", Outcome((Variant("all", 1.0),), (1.0,)), "'nothing' first"),
        ("check_optimise", Outcome((Variant("nothing", 2.0), Variant("all", 1.0)), (1.0,)), "none of the other"),
        (
            "check_optimise",
            Outcome((Variant("nothing", 1.0), Variant("tuning", 2.0), Variant("all", 2.0)), (2.0,)),
            "slower than another variant",
        ),
    ],
)
def test_the_suite_names_what_is_broken(check: str, outcome: Outcome | None, message: str) -> None:
    by_name = {known.__name__: known for known in CHECKS}
    with pytest.raises(AssertionError, match=message):
        by_name[check](Wrong(outcome))


def test_what_a_pair_says_of_the_second_network() -> None:
    pair = PairedSpeedup(2.0, 1.6, 2.5, 4.0, 2.0, 8)
    exact = pair.of(LatencyResult(8.0))
    assert (exact.latency_ms, exact.interval_ms) == (4.0, (3.2, 5.0))


def test_a_cost_is_asked_of_the_device() -> None:
    from nas_proxy.rewriting.costs import PlainCost, cost_for

    class Priced(Plain):
        def cost(self) -> PlainCost:
            return PlainCost()

    assert isinstance(cost_for(Priced("priced")), PlainCost)
    with pytest.raises(InputError, match="a graph cannot be priced on plain"):
        cost_for(Plain("plain"))


def test_only_devices_that_can_map_or_schedule_are_asked_to(tmp_path: Any) -> None:
    from nas_proxy import extensions
    from nas_proxy.mapping.device import map_to_device
    from nas_proxy.scheduling.device import pipeline_device

    extensions.register("device_kinds", "plain", Plain)
    (tmp_path / "chip.yaml").write_text("kind: plain\n")
    with pytest.raises(InputError, match="devices that have a method map_layer"):
        map_to_device("fc:8x8", tmp_path / "chip.yaml")
    with pytest.raises(InputError, match="chip is no pipeline"):
        pipeline_device(tmp_path / "chip.yaml")


class Numbers(Spec):
    kind: str = "described"
    description: str = ""
    macs_per_ms: float = Field(1e6, gt=0)
    start_ms: float = 0.5


class Described(Plain):
    Spec = Numbers

    def __init__(self, name: str, description: dict[str, Any]) -> None:
        super().__init__(name, description)
        self.start_ms = self.spec.start_ms


def test_devices_of_one_kind_differ_by_their_fields() -> None:
    """Without a word of their author about it, so that none takes what was kept of the other."""
    one, other = (Described("chip", {"description": text, "macs_per_ms": 2e6}) for text in ("one", "another"))
    expected = {"name": "chip", "kind": "described", "macs_per_ms": 2e6, "start_ms": 0.5}
    assert one.describe() == other.describe() == expected
    assert Described("chip", {}).describe() != expected
    assert one.configured(start_ms=2.0).describe() == expected | {"start_ms": 2.0}
    with pytest.raises(InputError, match=r"device chip(?s:.*)macs_per_m: unknown field"):
        Described("chip", {"macs_per_m": 2e6})
