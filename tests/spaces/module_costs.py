"""Costs counted from a module, to hold features against."""

from __future__ import annotations

import pytest

from nas_proxy.spaces import SearchSpace


def counted(space: SearchSpace, arch, **options) -> tuple[int, int]:
    """Multiply-accumulates and parameters of the network of an architecture, built on the meta device."""
    torch = pytest.importorskip("torch", reason="networks need torch")
    nn = torch.nn
    with torch.device("meta"):
        network = space.build(arch, **options).eval()
        image = torch.empty(1, *space.input_shape(arch))
    parameters = sum(parameter.numel() for parameter in network.parameters())
    macs = 0

    def count(module, _, output) -> None:
        nonlocal macs
        macs += output[:, 0].numel() * module.weight.numel()

    for module in list(network.modules()):
        if isinstance(module, nn.Conv2d | nn.Linear):
            module.register_forward_hook(count)
        for name, child in module.named_children():
            if isinstance(child, nn.BatchNorm2d):  # slow on the meta device, and no multiply-accumulates of ours
                setattr(module, name, nn.Identity())
    with torch.no_grad():
        network(image)
    return macs, parameters


def named_features(space: SearchSpace, arch) -> dict[str, float]:
    """One architecture's features by name."""
    return dict(zip(space.feature_names, space.features([arch])[0], strict=True))
