"""Kernels recorded on the meta device: what is executed, what it costs, and what is free."""

from __future__ import annotations

import pytest

torch = pytest.importorskip("torch", reason="a trace is of a torch module")
from torch import nn  # noqa: E402

from nas_proxy.spaces._trace import built_on_meta, trace  # noqa: E402


def traced(make, *shape):
    with built_on_meta():
        network, image = make(), torch.empty(*shape)
    return trace(network, image)


def by_kind(found):
    return [kernel.kind for kernel in found.kernels]


def test_convolutions_by_kind_with_their_costs():
    found = traced(
        lambda: nn.Sequential(
            nn.Conv2d(4, 8, 3, stride=2, padding=1, bias=False),
            nn.BatchNorm2d(8),
            nn.ReLU(),
            nn.Conv2d(8, 8, 3, padding=1, groups=8),
            nn.Conv2d(8, 6, 1),
            nn.Conv2d(6, 4, 3, groups=2),
        ),
        *(1, 4, 16, 16),
    )
    assert by_kind(found) == ["conv", "norm", "elementwise", "depthwise", "pointwise", "grouped"]
    conv, _, _, depthwise, pointwise, grouped = found.kernels
    assert (conv.macs, conv.weights, conv.reduced, conv.channels) == (8 * 36 * 64, 8 * 36, 36, 8)
    assert (conv.bytes_read, conv.bytes_written) == (4 * 4 * 256, 4 * 8 * 64)
    assert (depthwise.macs, pointwise.macs, grouped.macs) == (8 * 9 * 64, 6 * 8 * 64, 4 * 27 * 36)
    assert conv.module == "0"
    assert (found.depth, found.compute_depth) == (6, 4)
    assert found.parameters == 8 * 36 + 16 + 8 * 9 + 8 + 6 * 8 + 6 + 4 * 27 + 4


class Attention(nn.Module):
    def __init__(self, fused: bool) -> None:
        super().__init__()
        self.fused, self.qkv, self.table = fused, nn.Linear(8, 24), nn.Parameter(torch.empty(8))

    def forward(self, x):
        q, k, v = self.qkv(x).reshape(2, 5, 3, 2, 4).permute(2, 0, 3, 1, 4)
        if self.fused:
            return nn.functional.scaled_dot_product_attention(q, k, v)
        scores = (q @ k.transpose(-2, -1)).softmax(-1)
        return scores @ v + (self.table * 2).reshape(2, 1, 4)


def test_a_fused_attention_is_one_kernel_with_the_work_of_its_parts():
    fused, parts = (traced(lambda fused=fused: Attention(fused), 2, 5, 8) for fused in (True, False))
    assert by_kind(fused) == ["linear", "attention"]
    assert {"matmul", "softmax"} < set(by_kind(parts))
    assert fused.kernels[1].macs == sum(kernel.macs for kernel in parts.kernels if kernel.kind == "matmul")
    assert fused.kernels[0].macs == 2 * 5 * 8 * 24


def test_what_depends_on_parameters_alone_is_not_executed():
    """The product of the table and 2 is a constant; adding it is a kernel."""
    parts = traced(lambda: Attention(False), 2, 5, 8)
    assert by_kind(parts).count("elementwise") == 1


def test_depth_is_that_of_the_longest_path():
    class Branches(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.short = nn.Conv2d(4, 4, 1)
            self.long = nn.Sequential(nn.Conv2d(4, 4, 1), nn.ReLU(), nn.Conv2d(4, 4, 1))

        def forward(self, x):
            return self.short(x) + self.long(x)

    found = traced(Branches, 1, 4, 8, 8)
    assert (found.depth, found.compute_depth) == (4, 2)
    assert [kernel.module for kernel in found.kernels] == ["short", "long.0", "long.1", "long.2", ""]


def test_building_on_meta_needs_no_memory():
    found = traced(lambda: nn.Sequential(nn.Flatten(), nn.Linear(1_000_000, 1_000_000)), 1, 1, 1000, 1000)
    assert found.parameters == 10**12 + 10**6
    assert by_kind(found) == ["linear"]
