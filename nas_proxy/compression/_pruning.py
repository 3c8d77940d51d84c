"""Structured pruning with torch-pruning: whole channels, with everything that depends on them."""

from __future__ import annotations

import copy
from typing import Any, cast

import torch
from torch import nn

from nas_proxy.compression._observations import Arrays, tensors
from nas_proxy.errors import InputError, from_extra

__all__ = ["prune"]


def prune(network: nn.Module, norm: int, ratio: float, inputs: Arrays) -> nn.Module:
    """A copy without ``ratio`` of the channels of every layer, those of least norm; what it puts out keeps its shape.

    Frozen layers (``requires_grad`` is False) keep theirs.

    After Fang et al., "DepGraph: Towards Any Structural Pruning" (CVPR 2023); a network that has a method ``pruned``
    does it itself (see :class:`nas_proxy.compression.PolicyNetwork`).

    Raises:
        InputError: no channel can go.
    """
    if hasattr(network, "pruned"):
        return cast(Any, network).pruned(norm, ratio)
    with from_extra("compress", "pruning"):
        import torch_pruning
    network, example = copy.deepcopy(network), tensors(inputs)
    frozen = [name for name, parameter in network.named_parameters() if not parameter.requires_grad]
    for parameter in network.parameters():
        parameter.requires_grad_(True)  # the dependencies are read off the autograd graph
    fixed = {name.rpartition(".")[0] for name in frozen} | set(_fixed_layers(network, example))
    pruner = torch_pruning.pruner.BasePruner(
        network,
        example_inputs=example,  # type: ignore[arg-type]  # a tuple of them is fine
        importance=torch_pruning.importance.GroupMagnitudeImportance(p=norm),
        pruning_ratio=ratio,
        ignored_layers=[network.get_submodule(name) for name in fixed],
        root_module_types=[nn.Linear, nn.modules.conv._ConvNd, nn.Embedding],
    )
    before = _size(network)
    pruner.step()
    if _size(network) == before:
        raise InputError(
            f"L{norm} {ratio:g} removes no channel of {type(network).__name__}: expected a ratio that takes a "
            "channel of a hidden layer and leaves one. Layers of few channels take few ratios."
        )
    for name in frozen:
        network.get_parameter(name).requires_grad_(False)
    return network


def _size(network: nn.Module) -> int:
    return sum(parameter.numel() for parameter in network.parameters())


def _fixed_layers(network: nn.Module, example: tuple[torch.Tensor, ...]) -> list[str]:
    """Layers whose channels are what the network puts out: without one of them, the output or the network is broken."""
    import torch_pruning

    with torch.no_grad():
        shape = network(*example).shape
    fixed = []
    for name, module in network.named_modules():
        width = next(
            (getattr(module, a) for a in ("out_features", "out_channels", "embedding_dim") if hasattr(module, a)), None
        )
        if width is None:
            continue
        trial = copy.deepcopy(network)
        graph = torch_pruning.DependencyGraph().build_dependency(trial, example_inputs=example)
        layer = trial.get_submodule(name)
        function = cast(Any, graph.get_pruner_of_module(layer)).prune_out_channels
        try:
            graph.get_pruning_group(layer, function, idxs=[0]).prune()
            with torch.no_grad():
                same = width > 1 and trial(*example).shape == shape
        except (RuntimeError, ValueError, IndexError):
            same = False
        if not same:
            fixed.append(name)
    return fixed
