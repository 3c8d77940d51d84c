"""Every extension point has a suite of one form, and what ships passes it.

Suites of spaces, device kinds, mappers, schedulers, rewriters, rules and methods are run beside the tests of these.
"""

from __future__ import annotations

import importlib
import inspect

import pytest

from nas_proxy import extensions
from nas_proxy.testing import accuracy_formats, costs, latency_formats, policies, runtimes


@pytest.mark.parametrize("point", extensions.POINTS.values(), ids=lambda point: point.name)
def test_every_point_has_a_suite_of_the_same_form(point):
    checks = importlib.import_module(point.suite).CHECKS
    assert checks
    for check in checks:
        first, *others = inspect.signature(check).parameters.values()
        assert check.__name__.startswith("check_")
        assert check.__doc__, f"{check.__name__} does not say what must hold"
        assert first.default is first.empty
        assert all(other.default is not other.empty or other.kind is other.KEYWORD_ONLY for other in others)


@pytest.mark.parametrize("check", runtimes.CHECKS)
@pytest.mark.parametrize("name", extensions.names("runtimes"))
def test_runtimes(name, check):
    check(extensions.get("runtimes", name))


@pytest.mark.parametrize("check", costs.CHECKS)
@pytest.mark.parametrize("text", [*extensions.names("costs"), "macs+bytes(macs_per_byte=0.5)"])
def test_costs(text, check):
    check(extensions.get("costs", text))


@pytest.mark.slow
@pytest.mark.parametrize("check", policies.CHECKS)
@pytest.mark.parametrize("name", extensions.names("policies"))
def test_policies(name, check):
    check(extensions.get("policies", name))


CELL = "|nor_conv_3x3~0|+|none~0|none~1|+|none~0|none~1|none~2|"
PUBLISHED = {
    "help": ("help", "nasbench201"),
    "timm": ("timm",),
    "nats-bench": ("nats-bench", "cifar10_perfmetrics.txt"),
}


@pytest.fixture
def csv(tmp_path):
    path = tmp_path / "mine.csv"
    path.write_text(f"# space: nasbench201\narch,latency_ms,accuracy\n{CELL},2.5,70\n")
    return path


@pytest.mark.parametrize("check", latency_formats.CHECKS)
@pytest.mark.parametrize("name", ["csv", "help", "timm"])
def test_latency_formats(name, check, csv, measurements):
    check(extensions.get("latency_formats", name), path=csv if name == "csv" else measurements(*PUBLISHED[name]))


@pytest.mark.parametrize("check", accuracy_formats.CHECKS)
@pytest.mark.parametrize("name", ["csv", "nats-bench"])
def test_accuracy_formats(name, check, csv, measurements):
    published = name != "csv"
    options = {"index": measurements("help", "nasbench201", "str_arch2idx.pt")} if published else {}
    path = measurements(*PUBLISHED[name]) if published else csv
    check(extensions.get("accuracy_formats", name, **options), path=path)
