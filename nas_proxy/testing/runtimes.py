"""What every runtime must satisfy. In your tests::

from nas_proxy.testing.runtimes import CHECKS

@pytest.mark.parametrize("check", CHECKS)
def test_my_runtime(check):
    check(MyRuntime())
"""

from __future__ import annotations

import copy
from collections.abc import Callable

import torch
from torch import nn

from nas_proxy.devices import Runtime

__all__ = ["CHECKS", "check_it_computes_the_same", "check_it_runs", "check_what_it_needs"]


def _network() -> tuple[nn.Module, torch.Tensor]:
    torch.manual_seed(0)
    layers = [nn.Conv2d(3, 4, 3, padding=1), nn.BatchNorm2d(4), nn.ReLU(), nn.AdaptiveAvgPool2d(1), nn.Flatten()]
    return nn.Sequential(*layers, nn.Linear(4, 2)).eval(), torch.randn(2, 3, 8, 8)


def check_what_it_needs(runtime: Runtime) -> None:
    """Its packages are installed, and its precisions are types of torch."""
    runtime.require("a device under test")
    assert runtime.precisions, "a runtime runs in some precision"
    for precision in runtime.precisions:
        assert isinstance(getattr(torch, precision, None), torch.dtype), f"{precision} is no type of torch"


def check_it_runs(runtime: Runtime) -> None:
    """In every precision and with one or two threads, as often as it is asked to."""
    for precision in runtime.precisions:
        for threads in (1, 2):
            module, batch = _network()
            run = runtime.prepare(module, batch.to(getattr(torch, precision)), threads)
            run()
            run()


def check_it_computes_the_same(runtime: Runtime) -> None:
    """Where a run gives its result, a tensor or arrays, it is the network's."""
    module, batch = _network()
    with torch.inference_mode():
        expected = copy.deepcopy(module)(batch)
    found = runtime.prepare(module, batch.to(getattr(torch, runtime.precisions[0])), 1)()
    [found] = found if isinstance(found, list | tuple) else [found]
    if found is not None:
        found = torch.as_tensor(found).to(expected.dtype)
        torch.testing.assert_close(found, expected, rtol=1e-2, atol=1e-2)


CHECKS: tuple[Callable[[Runtime], None], ...] = (check_what_it_needs, check_it_runs, check_it_computes_the_same)
