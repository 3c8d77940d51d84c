"""The simulated Edge TPU: times by hand, the shipped pipelines, the fit, wrong inputs."""

import numpy as np
import pytest
import yaml
from torch import nn

from nas_proxy import resources
from nas_proxy.devices import get_device
from nas_proxy.errors import InputError
from nas_proxy.graph import annotate, from_torch
from nas_proxy.scheduling import evaluate
from nas_proxy.scheduling.chip import EdgeTPUSpec, operator_times
from nas_proxy.scheduling.chip_fit import PublishedLatency, fit, leave_one_out, predict
from nas_proxy.scheduling.device import EdgeTPUDevice

SPEC = EdgeTPUSpec(
    clock_mhz=500, array_rows=64, array_columns=64, cache_mb=8, array_efficiency=0.5, depthwise_efficiency=0.01,
    vector_gb_s=5, operator_us=10, stream_mb_s=400, invoke_ms=1, active_w=2,
)  # fmt: skip


class Network(nn.Module):
    """Convolution, activation, two branches, concatenation, classifier."""

    def __init__(self, width: int = 64):
        super().__init__()
        self.stem, self.left = nn.Conv2d(3, width, 3, 2, 1), nn.Conv2d(width, width, 1)
        self.right = nn.Conv2d(width, width, 3, 1, 1, groups=width)
        self.head = nn.Linear(2 * width, 10)

    def forward(self, x):
        x = self.stem(x).relu()
        x = nn.functional.hardtanh(nn.functional.relu(self.left(x)).add(self.right(x)))
        x = nn.functional.pad(x, (0, 0, 0, 0, 0, x.shape[1]))
        return self.head(x.mean((2, 3)))


@pytest.fixture(scope="module")
def graph():
    return from_torch(Network(), (1, 3, 32, 32))


def test_operator_times_by_hand():
    made = from_torch(nn.Sequential(nn.Conv2d(32, 96, 1), nn.ReLU(), nn.MaxPool2d(2), nn.Flatten()), (1, 32, 16, 16))
    conv, relu, pool, flatten = operator_times(SPEC, annotate(made, "int8"))
    peak = 500e3 * 64 * 64
    # half the lanes, and 96 columns in two tiles of 64: 3/4
    assert conv == pytest.approx(96 * 256 * 32 / (peak * 0.5 * 0.5 * 0.75) + 0.01)
    assert (relu, flatten) == (0, 0)
    assert pool == pytest.approx((96 * 256 + 96 * 64) / 5e6 + 0.01)
    depthwise = from_torch(nn.Conv2d(64, 64, 3, padding=1, groups=64, bias=False), (1, 64, 8, 8))
    assert operator_times(SPEC, annotate(depthwise, "int8")) == [pytest.approx(64 * 64 * 9 / (peak * 0.01) + 0.01)]


def test_one_device_is_the_sum_of_its_parts(graph):
    device = EdgeTPUDevice("one", SPEC)
    result = device.latency(graph)
    assert result.latency_ms == pytest.approx(predict(SPEC, annotate(graph, "int8")))
    assert result.stage_ms == (pytest.approx(result.latency_ms),)
    assert result.throughput_per_s == pytest.approx(1e3 / result.latency_ms)
    assert result.energy_mj == pytest.approx(2 * result.latency_ms)
    assert sorted(name for stage in result.stage_nodes for name in stage) == sorted(node.name for node in graph.nodes)


def test_parameters_beyond_the_cache_are_streamed():
    made = from_torch(nn.Sequential(*[nn.Linear(2000, 2000, bias=False) for _ in range(3)]), (1, 2000))
    fits = EdgeTPUDevice("fits", SPEC.model_copy(update={"cache_mb": 12.0})).latency(made).latency_ms
    assert EdgeTPUDevice("not", SPEC).latency(made).latency_ms == pytest.approx(fits + 4e6 / 400e3)
    split = EdgeTPUDevice("two", SPEC, devices=2, scheduler="ideal_dp").latency(made)
    assert split.bottleneck_ms < fits  # 8 MB fits one device, 4 MB the other
    assert split.throughput_per_s > 1e3 / fits


@pytest.mark.parametrize("name", [n for n in resources.names("devices") if n.startswith("edge-tpu")])
def test_shipped_devices(name, graph):
    device = get_device(name)
    assert isinstance(device, EdgeTPUDevice)
    result = device.latency(graph)
    problem = device.problem(graph)
    unit_of = {node.name: i for i, unit in enumerate(device.units(graph)) for node in unit.nodes}
    stage_of = [0] * problem.n
    for stage, names in enumerate(result.stage_nodes):
        for node in names:
            stage_of[unit_of[node]] = stage
    assert evaluate(problem, stage_of).stage_ms == pytest.approx(result.stage_ms)
    assert len(result.stage_ms) == device.devices
    assert device.describe()["devices"] == device.devices


def test_all_shipped_devices_are_the_same_chip():
    chips = [get_device(n).chip for n in resources.names("devices") if n.startswith("edge-tpu")]
    assert len(chips) >= 3
    assert len(set(map(str, chips))) == 1


def test_the_fit_finds_the_parameters_that_made_the_data():
    modules = [
        nn.Sequential(
            nn.Conv2d(3, w, 3, 2, 1), nn.ReLU(), nn.Conv2d(w, w, 3, 1, 1, groups=w), nn.Conv2d(w, d, 1), nn.MaxPool2d(4)
        )
        for w, d in [(16, 64), (64, 256), (256, 512), (512, 2048)]
    ]  # fmt: skip
    modules += [nn.Linear(4000, n) for n in (1000, 3000, 8000)]
    shapes = [(1, 3, 224, 224)] * 4 + [(1, 4000)] * 3
    annotations = [annotate(from_torch(module, shape), "int8") for module, shape in zip(modules, shapes, strict=True)]
    truth = SPEC.model_copy(update={"stream_mb_s": 420.0, "invoke_ms": 0.8, "array_efficiency": 0.6})
    seen = [PublishedLatency(str(i), a, predict(truth, a)) for i, a in enumerate(annotations)]
    fitted = fit(SPEC, seen)
    for observation in seen:
        assert predict(fitted, observation.annotation) == pytest.approx(observation.latency_ms, rel=0.1)
    assert np.abs(leave_one_out(SPEC, seen) / [o.latency_ms for o in seen] - 1).mean() < 0.3
    with pytest.raises(InputError, match="no published latencies"):
        fit(SPEC, [])


def test_wrong_inputs_are_named(graph, tmp_path):
    with pytest.raises(InputError, match="edge-tpu runs a TensorGraph, found Linear"):
        get_device("edge-tpu").latency(nn.Linear(1, 1))
    device = EdgeTPUDevice("two", SPEC, devices=2)
    with pytest.raises(InputError, match=r"3 stages on two, which has 2 device\(s\)"):
        device.problem(graph, 3)
    description = yaml.safe_load(resources.find("devices", "edge-tpu").read_text())
    for change, message in [
        ({"cache_mb": 0}, r"chip.cache_mb: Input should be greater than 0"),
        ({"cach_mb": 8}, r"chip.cach_mb: unknown field. Did you mean 'cache_mb'"),
    ]:
        path = tmp_path / "mine.yaml"
        path.write_text(yaml.safe_dump(description | {"chip": description["chip"] | change}))
        with pytest.raises(InputError, match=message):
            get_device(path)


def test_two_networks_in_one_graph_are_refused():
    class Two(nn.Module):
        def forward(self, a, b):
            return nn.functional.max_pool2d(a, 2), nn.functional.avg_pool2d(b, 2)

    made = from_torch(Two(), [(1, 3, 8, 8), (1, 3, 8, 8)])
    with pytest.raises(
        InputError, match="not connected: no tensor joins node 'root/AveragePool' to node 'root/MaxPool'"
    ):
        EdgeTPUDevice("two", SPEC, devices=2, scheduler="dp").latency(made)
