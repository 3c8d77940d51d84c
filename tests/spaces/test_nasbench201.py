"""NAS-Bench-201: published costs, features against the built network, liveness, errors."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from module_costs import counted, named_features

from nas_proxy.errors import InputError
from nas_proxy.spaces.nasbench201 import EDGES, OPERATORS, NasBench201, live_edges, needed_edges

ALL_3X3 = "|nor_conv_3x3~0|+|nor_conv_3x3~0|nor_conv_3x3~1|+|nor_conv_3x3~0|nor_conv_3x3~1|nor_conv_3x3~2|"
codes = st.lists(st.integers(0, len(OPERATORS) - 1), min_size=6, max_size=6)


def arch_of(code) -> str:
    return NasBench201().decode(np.array([code]))[0]


def test_costs_are_the_published_ones():
    features = named_features(NasBench201(), ALL_3X3)
    assert features["executed_macs"] == pytest.approx(220.11968e6, abs=1)
    assert features["executed_parameters"] == pytest.approx(1.531546e6, abs=1)


@settings(max_examples=25, deadline=None)
@given(
    code=codes,
    channels=st.integers(1, 20),
    cells=st.integers(1, 2),
    classes=st.integers(1, 120),
    size=st.integers(1, 8),
    input_channels=st.integers(1, 4),
)
def test_features_count_what_the_network_has(code, channels, cells, classes, size, input_channels):
    space = NasBench201(channels, cells, classes, image_size=4 * size, input_channels=input_channels)
    arch = arch_of(code)
    features = named_features(space, arch)
    assert counted(space, arch) == (features["executed_macs"], features["executed_parameters"])
    assert counted(space, arch, prune=True) == (features["live_macs"], features["live_parameters"])


def test_liveness_of_every_cell_against_its_paths():
    paths = [[(0, 3)], [(0, 1), (1, 3)], [(0, 2), (2, 3)], [(0, 1), (1, 2), (2, 3)]]
    tails = {tuple(path[i:]) for path in paths for i in range(len(path))}
    space = NasBench201()
    used = space.encode(space.enumerate()) != OPERATORS.index("none")

    def on_some(routes) -> np.ndarray:
        on = np.zeros_like(used)
        for route in routes:
            edges = [EDGES.index(edge) for edge in route]
            on[:, edges] |= used[:, edges].all(axis=1, keepdims=True)
        return on

    np.testing.assert_array_equal(live_edges(used), on_some(paths))
    np.testing.assert_array_equal(needed_edges(used), on_some(tails))


@settings(max_examples=20, deadline=None)
@given(code=codes)
def test_the_output_feels_the_input_exactly_where_the_features_say(code):
    torch = pytest.importorskip("torch", reason="networks need torch")
    cell = NasBench201(channels=2, cells=1).build(arch_of(code)).features[1]
    x = torch.randn(4, 2, 8, 8, requires_grad=True)
    cell(x).pow(3).sum().backward()
    assert named_features(NasBench201(), arch_of(code))["depends_on_input"] == bool(x.grad.abs().sum() > 0)


def test_a_pruned_network_computes_the_same():
    torch = pytest.importorskip("torch", reason="networks need torch")
    arch = "|nor_conv_3x3~0|+|nor_conv_1x1~0|none~1|+|skip_connect~0|none~1|avg_pool_3x3~2|"
    torch.manual_seed(0)
    space = NasBench201(channels=4, cells=1)
    full, pruned = space.build(arch).eval(), space.build(arch, prune=True).eval()
    assert len(list(pruned.parameters())) < len(list(full.parameters()))
    for name, cell in pruned.features.named_children():
        if hasattr(cell, "operators"):
            twin = full.get_submodule(f"features.{name}")
            cell.operators = torch.nn.ModuleList(twin.operators[EDGES.index(ends)] for ends in cell.ends)
        else:
            pruned.features[int(name)] = full.features[int(name)]
    pruned.classifier = full.classifier
    images = torch.randn(2, 3, 32, 32)
    torch.testing.assert_close(full(images), pruned(images))


def test_a_cell_of_nothing_still_trains():
    torch = pytest.importorskip("torch", reason="networks need torch")
    network = NasBench201(channels=2, cells=1).build(arch_of([0] * 6))
    network(torch.randn(2, 3, 32, 32)).sum().backward()
    assert network.classifier.bias.grad.abs().sum() > 0


def test_depth_by_hand():
    features = named_features(
        NasBench201(), "|nor_conv_3x3~0|+|none~0|skip_connect~1|+|nor_conv_1x1~0|none~1|avg_pool_3x3~2|"
    )
    assert features["depth_convolutions"] == 1
    assert features["depth_operators"] == 2
    assert features["live_nodes"] == 3
    assert features["live_additions"] == 1
    assert features["depends_on_input"] == 1
    assert named_features(NasBench201(), arch_of([0] * 6))["depends_on_input"] == 0


def test_all_cells_are_listed_once_in_order():
    archs = NasBench201().enumerate()
    assert len(set(archs)) == 15_625
    assert archs[0] == arch_of([0] * 6)
    assert archs[-1] == arch_of([4] * 6)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "expected the edges of 3 nodes joined by '\\+', found 1"),
        ("|none~0|+|none~0|none~1|", "expected the edges of 3 nodes joined by '\\+', found 2"),
        ("|none~0|+|none~0|+|none~0|none~1|none~2|", "node 2: expected 2 edge"),
        ("|none~0|+|none~0|none~1|+|none~0|none~1|none~2", "node 3: expected 3 edge"),
        ("|none~0|+|none~0|nor_conv_5x5~1|+|none~0|none~1|none~2|", "edge 1->2: expected one of none, skip_connect"),
        ("|none~0|+|none~0|none~0|+|none~0|none~1|none~2|", "edge 1->2: expected 'none~1', found 'none~0'"),
    ],
)
def test_errors_name_the_position(text, message):
    for call in (NasBench201().from_str, NasBench201().build, lambda arch: NasBench201().features([ALL_3X3, arch])):
        with pytest.raises(InputError, match=message):
            call(text)
