"""Spatial accelerators from YAML: fields, whole networks, errors a user can meet."""

from __future__ import annotations

from collections.abc import Iterator
from fnmatch import fnmatchcase

import numpy as np
import pytest
import yaml

from nas_proxy import resources
from nas_proxy.devices import get_device
from nas_proxy.errors import InputError
from nas_proxy.mapping.device import SpatialDevice, map_to_device
from nas_proxy.mapping.layer import Layer, parse_layer
from nas_proxy.terminal.mapping import save_picture

SPATIAL = ["edge-array", "eyeriss", "nvdla-large", "shidiannao", "simba", "tpu-v1", "tpu-v4i"]


def description(name: str = "eyeriss", **changes) -> dict:
    found = yaml.safe_load(resources.find("devices", name).read_text())
    return found | {"evaluations": 60} | changes


@pytest.mark.parametrize("name", SPATIAL)
def test_shipped_accelerators_map_every_kind_of_layer_and_name_their_sources(name):
    fields = description(name, evaluations=40)
    assert fields["sources"]
    assert fields["simplified"]
    device = SpatialDevice.from_description(name, fields)
    layers = [parse_layer(text) for text in ("conv:32x16x7x7x3x3", "dwconv:24x7x7x3x3,stride=2", "gemm:49x64x32")]
    layers += [parse_layer("fc:128x10"), parse_layer("gemm:50x16x50,groups=3")]
    result = device.latency(layers)
    assert result.energy_mj is not None
    assert result.energy_mj > 0
    assert 0 < result.utilization <= 1
    assert sum(o.cycles for o in result.operators) == pytest.approx(
        result.latency_ms * device.accelerator.clock_mhz * 1e3
    )
    for operator, layer in zip(result.operators, layers, strict=True):
        assert operator.cycles >= layer.macs / device.accelerator.num_pes


@pytest.mark.parametrize("name", [*SPATIAL, *(n for n in resources.names("devices") if n.startswith("edge-tpu"))])
def test_every_number_of_a_shipped_simulator_has_its_source_in_the_file(name):
    """The keys of ``sources`` name fields, or groups of them with ``*``."""
    fields = yaml.safe_load(resources.find("devices", name).read_text())
    named = [pattern.strip() for key in fields.pop("sources") for pattern in key.split(",")]
    paths = dict(leaves(fields))
    for path, value in paths.items():
        if isinstance(value, int | float) and not isinstance(value, bool):
            assert any(fnmatchcase(path, pattern) or path.startswith(f"{pattern}.") for pattern in named), path
    for pattern in named:
        assert any(fnmatchcase(path, pattern) or path.startswith(f"{pattern}.") for path in paths), pattern


def leaves(fields: dict, parents: str = "") -> Iterator[tuple[str, object]]:
    for name, value in fields.items():
        if isinstance(value, dict):
            yield from leaves(value, f"{parents}{name}.")
        else:
            yield f"{parents}{name}", value


def test_a_network_is_mapped_layer_by_layer_and_the_rest_passes_through_memory():
    torch = pytest.importorskip("torch")
    from nas_proxy.graph import from_torch

    net = torch.nn.Sequential(
        torch.nn.Conv2d(3, 8, 3, stride=2),
        torch.nn.ReLU(),
        torch.nn.Conv2d(8, 8, 3, groups=8),
        torch.nn.MaxPool2d(2),
        torch.nn.Conv2d(8, 16, 1, groups=2),
        torch.nn.Flatten(),
        torch.nn.Linear(16 * 6 * 6, 10),
    ).eval()
    device = SpatialDevice.from_description("eyeriss", description())
    result = device.latency(from_torch(net, (1, 3, 32, 32)))
    mapped = [o.layer for o in result.operators if o.layer is not None]
    assert mapped == [
        Layer("conv", k=8, c=3, p=15, q=15, r=3, s=3, stride=(2, 2)),
        Layer("dwconv", g=8, p=13, q=13, r=3, s=3),
        Layer("conv", g=2, k=8, c=4, p=6, q=6),
        Layer("fc", k=10, c=576),
    ]
    other = [o for o in result.operators if o.layer is None]
    pooling = [o for o in other if o.cycles]
    assert len(pooling) == 1
    moved = 8 * 13 * 13 + 8 * 6 * 6
    assert pooling[0].cycles == np.ceil(moved / 1.2)
    assert pooling[0].energy_pj == moved * 400


def test_results_do_not_depend_on_order_or_workers(monkeypatch):
    layers = [parse_layer(text) for text in ("conv:16x16x8x8x3x3", "fc:256x10", "conv:32x16x8x8x1x1")]
    device = SpatialDevice.from_description("simba", description("simba", evaluations=30))
    alone = device.latency(layers)
    apart = device.configured(workers=2)
    monkeypatch.setattr("nas_proxy.mapping.running.map_problem", lambda *_: pytest.fail("searched in this process"))
    assert apart.latency(layers[::-1]).operators == alone.operators[::-1]
    assert apart.spent == device.spent


def test_attention_is_matrix_products():
    torch = pytest.importorskip("torch")
    from nas_proxy.graph import from_torch
    from nas_proxy.mapping.network import operators_of

    class Attention(torch.nn.Module):
        def forward(self, q, k):
            return torch.softmax(q @ k.transpose(-1, -2), dim=-1)

    graph = from_torch(Attention().eval(), [(1, 4, 10, 16), (1, 4, 10, 16)])
    operators = operators_of(graph, 8)
    assert [o.layer for o in operators if o.layer] == [Layer("gemm", g=4, p=10, k=10, c=16)]
    assert sum(o.read_words for o in operators) > 0


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (
            lambda d: d["levels"].update(GLBB=d["levels"].pop("GLB")),
            "unknown level 'GLBB' in 'levels'. Did you mean 'GLB'",
        ),
        (lambda d: d["constraints"].update(x=["KK"]), "constraints.x.0: .*unknown dimension 'KK'. Did you mean 'K'"),
        (lambda d: d["constraints"].update(glb_keep={"w": True}), "unknown tensor 'w'. Did you mean 'W'"),
        (lambda d: d["levels"]["RF"].update(capacity_word=3), "levels.RF.capacity_word: unknown field. Did you mean"),
        (lambda d: d.update(pe_rows=0), "pe_rows: .*greater than 0"),
        (lambda d: d["levels"].pop("DRAM"), "levels.DRAM: "),
        (
            lambda d: d["levels"]["RF"].update(capacity_words=2),
            "levels.RF.capacity_words: 2 words cannot hold one element of each of W, I, O",
        ),
        (
            lambda d: d["levels"]["RF"].update(capacity_words={"W": 1, "I": 1, "O": 1}, double_buffered=True),
            "1 words cannot hold one element of each of W twice",
        ),
        (
            lambda d: d["levels"]["RF"].update(capacity_words={"W": 9, "I": 9}),
            "each of W, I, O must be in exactly one pool",
        ),
        (lambda d: d.update(mapper="mral"), "unknown mapper 'mral'. Did you mean 'marl'"),
        (lambda d: d.update(objective="edpp"), "objective: "),
        (lambda d: d["levels"]["GLB"].update(read_energy_pj=-1), "levels.GLB.read_energy_pj: "),
        (lambda d: d.update(mac_energy_pj=float("inf")), "mac_energy_pj: .*finite number"),
        (
            lambda d: d["levels"]["DRAM"].update(read_words_per_cycle=float("nan")),
            "DRAM.read_words_per_cycle: .*fini",
        ),
        (lambda d: d["constraints"].update(x=["K", "C", "K"]), "constraints.x: .*dimension 'K' is named twice"),
        (
            lambda d: d.update(evaluations=5),
            "device mine: mapper 'marl-.* starts with 24 evaluations, found evaluations: 5",
        ),
    ],
)
def test_descriptions_that_cannot_be(change, message):
    fields = description()
    change(fields)
    with pytest.raises(InputError, match=message):
        SpatialDevice.from_description("mine", fields)


def test_what_it_cannot_run():
    device = SpatialDevice.from_description("mine", description(layer_kinds=["conv", "fc"]))
    with pytest.raises(InputError, match=r"cannot run dwconv layers \(dwconv G=8 P=4 Q=4 R=3 S=3\): it runs conv, fc"):
        device.latency([parse_layer("dwconv:8x4x4x3x3")])
    with pytest.raises(InputError, match="runs a TensorGraph or a list of layers, found str"):
        device.latency("resnet50")  # pyright: ignore[reportArgumentType]


def test_by_name_and_on_the_command_line(tmp_path):
    from typer.testing import CliRunner

    from nas_proxy.cli import app

    assert isinstance(get_device("tpu-v1"), SpatialDevice)
    picture = tmp_path / "energy.svg"
    arguments = ["map", "--layer", "conv:16x8x8x8x3x3", "--device", "eyeriss", "--budget", "40"]
    found = CliRunner().invoke(app, [*arguments, "--picture", str(picture)])
    assert found.exit_code == 0, found.output
    for part in ("[PE rows (Y)]", "O += W * I", "words moved", "utilization", "pJ per MAC", "DRAM"):
        assert part in found.output
    assert picture.read_text().startswith("<?xml")


def test_mapping_to_what_is_no_array_or_with_what_cannot_be(tmp_path):
    with pytest.raises(InputError, match="host-torch is not a spatial accelerator"):
        map_to_device("fc:8x8", "host-torch")
    with pytest.raises(InputError, match=r"unknown device 'eyerss'\. Did you mean 'eyeriss'"):
        map_to_device("fc:8x8", "eyerss")
    layer, device, result = map_to_device("fc:64x64", "eyeriss", budget=40)
    with pytest.raises(InputError, match="the picture cannot be written"):
        save_picture(layer, device, result, tmp_path / "energy.doc")
