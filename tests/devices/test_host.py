"""This machine as a device, under each runtime."""

from __future__ import annotations

import importlib.util
import json

import pytest
import torch

from nas_proxy import extensions, get_device
from nas_proxy.devices._machine import available_cores
from nas_proxy.errors import InputError, MissingDependencyError, UnknownNameError
from nas_proxy.testing.device_kinds import CHECKS


@pytest.mark.parametrize("check", CHECKS, ids=lambda check: check.__name__)
@pytest.mark.parametrize("runtime", extensions.names("runtimes"))
def test_conformance(check, runtime, host, space, archs):
    check(host(runtime=runtime), space, archs)


@pytest.mark.parametrize("name", ["host-torch", "host-onnxruntime"])
def test_the_shipped_devices(name):
    described = get_device(name).describe()
    assert described["runtime"] in name
    assert (described["threads"], described["precision"], described["batch_size"]) == (1, "float32", 1)
    assert {"cpu", "cores", "system", "python", "torch"} <= described["machine"].keys()
    json.dumps(described)


@pytest.mark.parametrize("runtime", extensions.names("runtimes"))
def test_a_larger_network_takes_longer(runtime, host, space):
    """What this machine is measured for: 3x3 convolutions everywhere against nothing but skips."""
    small = "|skip_connect~0|+|none~0|none~1|+|none~0|none~1|skip_connect~2|"
    large = "|nor_conv_3x3~0|+|nor_conv_3x3~0|nor_conv_3x3~1|+|nor_conv_3x3~0|nor_conv_3x3~1|nor_conv_3x3~2|"
    space = space.with_parameters(channels=16, cells=2, image_size=32)
    latency = {index: result.latency_ms for index, result in host(runtime=runtime).latencies(space, [small, large])}
    assert latency[1] > 1.5 * latency[0]


def test_one_module(host):
    module = torch.nn.Sequential(torch.nn.Conv2d(3, 4, 3), torch.nn.BatchNorm2d(4)).train()
    before = {name: value.clone() for name, value in module.state_dict().items()}
    result = host(batch_size=2).latency(module, (3, 8, 8))
    assert result.low_ms <= result.latency_ms <= result.high_ms
    assert result.turns == 6
    assert module.training
    assert all(torch.equal(before[name], value) for name, value in module.state_dict().items())


def test_other_precisions(host):
    module = torch.nn.Conv2d(3, 4, 3)
    assert host(precision="bfloat16").latency(module, (3, 8, 8)).latency_ms > 0
    assert module.weight.dtype == torch.float32
    with pytest.raises(InputError, match="runtime 'onnxruntime' runs in float32, not in bfloat16"):
        host(runtime="onnxruntime", precision="bfloat16")


def test_what_cannot_be_run(host):
    with pytest.raises(InputError, match="runs torch modules; found str"):
        host().latency("network", (3, 8, 8))
    with pytest.raises(InputError, match="needs the input shape"):
        host().latency(torch.nn.Conv2d(3, 4, 3))
    with pytest.raises(InputError, match=r"fails on an input of shape \(1, 2, 8, 8\)"):
        host().latency(torch.nn.Conv2d(3, 4, 3), (2, 8, 8))


def test_runtime_and_onnx_compute_the_same(space, archs):
    """What is timed is the network: the ONNX runtime's output is the module's."""
    from nas_proxy.devices._runtimes import OnnxRuntime

    module = space.build(archs[0]).eval()
    batch = torch.randn(1, *space.input_shape(archs[0]), generator=torch.Generator().manual_seed(0))
    [output] = OnnxRuntime().prepare(module, batch, 1)()
    with torch.inference_mode():
        torch.testing.assert_close(torch.from_numpy(output), module(batch), rtol=1e-3, atol=1e-4)


@pytest.mark.parametrize(
    ("fields", "said"),
    [
        ({"runtime": "onnxruntim"}, "unknown runtime 'onnxruntim'. Did you mean 'onnxruntime'"),
        ({"threads": 0}, "threads"),
        ({"thread": 1}, "Did you mean 'threads'"),
        ({"precision": "int3"}, "precision"),
        ({"protocol": {"max_turn": 3}}, "Did you mean 'max_turns'"),
        ({"protocol": {"min_turns": 30, "max_turns": 20}}, "max_turns (20) must be at least min_turns (30)"),
    ],
)
def test_wrong_descriptions(host, fields, said):
    with pytest.raises(InputError) as error:
        host(**fields)
    assert said in str(error.value)


def test_more_threads_than_cores(host):
    with pytest.raises(InputError, match=f"99999 threads asked for, but this process may use {available_cores()} core"):
        host(threads=99999)


def test_a_missing_runtime_is_said_before_any_work(monkeypatch):
    find_spec = importlib.util.find_spec
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None if name == "onnxruntime" else find_spec(name))
    with pytest.raises(
        MissingDependencyError, match=r"needs the package 'onnxruntime'.*pip install 'nas-proxy\[torch,onnx\]'"
    ):
        get_device("host-onnxruntime")


def test_an_unknown_device():
    with pytest.raises(UnknownNameError, match="Did you mean 'host-torch'"):
        get_device("host-troch")
