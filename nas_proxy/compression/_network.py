"""A policy as a network: what the steps of compression may ask of it, and which layers they can take."""

from __future__ import annotations

import copy
from typing import Any

import torch
from torch import nn

from nas_proxy.compression._method import Method
from nas_proxy.compression._observations import Observations, tensors
from nas_proxy.errors import InputError

__all__ = ["as_network", "deployed_form", "distance", "require_supported"]

_NORMS = (nn.modules.batchnorm._NormBase, nn.LayerNorm, nn.GroupNorm, nn.RMSNorm)
_WEIGHTED = (nn.Linear, nn.Conv1d, nn.Conv2d, nn.Conv3d)
#: Layers with parameters that a step can take. Norms and embeddings stay in float32 under quantization.
_SUPPORTED: dict[str, tuple[type[nn.Module], ...]] = {
    "pruning": (*_WEIGHTED, *_NORMS, nn.Embedding, nn.PReLU),
    "PTDQ": (*_WEIGHTED, *_NORMS, nn.Embedding, nn.PReLU, nn.LSTM, nn.MultiheadAttention),
    "PTSQ": (*_WEIGHTED, *_NORMS, nn.Embedding, nn.PReLU, nn.MultiheadAttention),
    "QAT": (*_WEIGHTED, *_NORMS, nn.Embedding, nn.PReLU),
}


def as_network(policy: Any, observations: Observations) -> nn.Module:
    """A copy of the policy's network, in evaluation mode.

    Raises:
        InputError: it is no network, has no parameters, or cannot take the observations.
    """
    if not isinstance(policy, nn.Module) or hasattr(policy, "predict"):
        from nas_proxy.compression.sb3 import actor_network  # a policy of stable-baselines3 is a module, too

        policy = actor_network(policy)
    if not any(parameter.numel() for parameter in policy.parameters()):
        raise InputError(f"{type(policy).__name__} has no parameters: there is nothing to compress.")
    network = copy.deepcopy(policy).cpu().eval()
    if not any(parameter.requires_grad for parameter in network.parameters()):  # frozen for use, not for good
        network.requires_grad_(True)
    try:
        with torch.no_grad():
            network(*tensors(observations.typical))
    except (RuntimeError, TypeError, ValueError, IndexError) as error:
        shapes = ", ".join(str(tuple(array.shape)) for array in observations.typical)
        raise InputError(
            f"{type(policy).__name__} cannot take the observations, of shapes {shapes} as a batch of one: "
            f"{str(error).splitlines()[0]}"
        ) from None
    return network


def deployed_form(network: nn.Module) -> nn.Module:
    """What acts: the network, or what its method ``deployed()`` gives (see :class:`nas_proxy.compression.Task`)."""
    deployed = getattr(network, "deployed", None)
    return network if deployed is None else deployed().eval()


def distance(network: nn.Module, student: torch.Tensor, teacher: torch.Tensor) -> torch.Tensor:
    """How far a student's outputs are from its teacher's: by the network's ``distance`` where it has one."""
    own = getattr(network, "distance", None)
    return torch.nn.functional.mse_loss(student, teacher) if own is None else own(student, teacher)


def require_supported(network: nn.Module, method: Method) -> None:
    """Raises InputError where a step of the method cannot take a layer; names them all."""
    pruning = ["pruning"] if method.norm and not hasattr(network, "pruned") else []
    for step in pruning + ([method.quantization] if method.quantization else []):
        found = [
            f"{name or 'the policy itself'} ({type(module).__name__})"
            for name, module in network.named_modules()
            if any(True for _ in module.parameters(recurse=False)) and not isinstance(module, _SUPPORTED[step])
        ]
        if found:
            known = ", ".join(kind.__name__.lstrip("_") for kind in _SUPPORTED[step])
            raise InputError(f"{step} cannot take: {', '.join(found)}. It takes: {known}.")
