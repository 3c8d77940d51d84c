"""Compression of one policy: the steps of a method, one after the other, and the report of what they did."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from torch import nn

from nas_proxy import files
from nas_proxy.compression._footprint import Footprint, count_macs, footprint, memory_of, time_in_turns
from nas_proxy.compression._method import EPOCHS, Method, parse_method
from nas_proxy.compression._network import as_network, deployed_form, require_supported
from nas_proxy.compression._observations import Observations
from nas_proxy.compression._onnx import Actor, export, quantize
from nas_proxy.compression._pruning import prune
from nas_proxy.compression._report import CompressionReport
from nas_proxy.compression._returns import Evaluate, Kept, Returns, noise_of, returns
from nas_proxy.compression._training import distil, train_rounded
from nas_proxy.errors import InputError, naming
from nas_proxy.threads import one_thread

__all__ = ["CompressedPolicy", "Compressor", "compress"]


@dataclass(frozen=True)
class CompressedPolicy:
    """A smaller policy, and what that has cost.

    Attributes:
        network: after pruning and distillation, in float32 and before quantization.
        actor: what acts: the ONNX file under onnxruntime; call it with batches of the inputs.
    """

    method: Method
    network: nn.Module
    actor: Actor
    report: CompressionReport

    def save(self, path: str | Path) -> Path:
        """Write the ONNX file that acts."""
        return files.write_bytes(path, self.actor.model)


def compress(
    policy: Any,
    method: str | Method,
    evaluate: Evaluate,
    observations: Any,
    *,
    seeds: Sequence[int] = range(20),
    floor: float = 0.0,
    keep: float = 0.95,
    seed: int = 0,
) -> CompressedPolicy:
    """A policy made smaller by one method. After Lu, Alemi and Rawassizadeh (arXiv 2407.04803).

    Args:
        policy: a ``torch.nn.Module`` that takes batches of observations, or a policy or algorithm of stable-baselines3.
        method: such as ``"PTDQ"``, ``"L2 0.3"``, ``"L2 0.7 + distil + PTDQ"`` (see :func:`parse_method`).
        evaluate: ``evaluate(actor, seed)`` gives the return of an episode; ``actor(batch)`` the outputs as an array.
        observations: what the policy sees, for calibration, distillation and timing: shape ``(n, ...)``, or a list of
            tuples with an array for each input of the network. Take them from episodes whose seeds are not ``seeds``.
        seeds: of the episodes, the same before and after.
        floor: the return that counts as nothing, such as a random policy's: shares are of what is above it.
        keep: the share of the return that must be kept.
        seed: of distillation.

    Raises:
        InputError: the policy, the method, the observations or what ``evaluate`` gives are not as expected.
        MissingDependencyError: the extra ``compress`` is not installed.
    """
    return Compressor(policy, evaluate, observations, seeds=seeds, floor=floor, keep=keep, seed=seed)(method)


class Compressor:
    """Several methods on one policy, which is evaluated once. Arguments are those of :func:`compress`."""

    def __init__(
        self, policy: Any, evaluate: Evaluate, observations: Any, *, seeds: Sequence[int] = range(20),
        floor: float = 0.0, keep: float = 0.95, seed: int = 0,
    ) -> None:  # fmt: skip
        if len(seeds) < 2:
            raise InputError(f"expected at least two seeds to evaluate with, found {len(seeds)}.")
        if not 0 < keep <= 1:
            raise InputError(f"keep must be above 0 and at most 1, found {keep!r}: 0.95 keeps 95 % of the return.")
        if not math.isfinite(floor):
            raise InputError(f"floor must be a number, found {floor!r}: the return that counts as nothing.")
        self.observations = Observations(observations)
        self.network = as_network(policy, self.observations)
        self.evaluate, self.seeds, self.floor, self.keep, self.seed = evaluate, list(seeds), floor, keep, seed

    @cached_property
    def float32(self) -> Actor:
        """The policy as it is, deployed."""
        return Actor(export(deployed_form(self.network), self.observations))

    @cached_property
    def _before(self) -> tuple[NDArray[np.float64], float]:
        """Its returns, and the noise in them.

        Raises:
            InputError: they are not above the floor.
        """
        found = returns(self.evaluate, self.float32, self.seeds)
        if found.mean() <= self.floor:
            raise InputError(
                f"the policy's mean return, {found.mean():.6g}, is not above the floor, {self.floor:.6g}, so that "
                "there is no share of it to keep: give floor=, the return of a policy that acts at random."
            )
        return found, noise_of(self.evaluate, self.float32, self.seeds, found)

    def __call__(self, method: str | Method) -> CompressedPolicy:
        """The policy after one method, evaluated and measured."""
        method = parse_method(method)
        require_supported(self.network, method)
        before, noise = self._before
        network, plain = self._smaller(method)
        model = plain if method.quantization is None else quantize(plain, method.quantization, self.observations)
        actor = Actor(model)
        with naming(method):
            after = returns(self.evaluate, actor, self.seeds)
        footprints = self._measure(actor, plain, method)
        report = CompressionReport(
            str(method), Returns.of(before), Returns.of(after), Kept.of(before, after, self.floor, paired=not noise),
            self.floor, self.keep, noise, *footprints,
        )  # fmt: skip
        return CompressedPolicy(method, network, actor, report)

    @one_thread()
    def _smaller(self, method: Method) -> tuple[nn.Module, bytes]:
        """The network after all steps but quantization, and as a file."""
        network = self.network
        if method.norm is not None:
            network = prune(network, method.norm, method.ratio, self.observations.typical)
        if method.epochs is not None:
            network = distil(network, self.network, self.observations, method.epochs, self.seed)
        if method.quantization == "QAT":
            network = train_rounded(network, self.network, self.observations, EPOCHS, self.seed)
        if network is self.network:
            return network, self.float32.model
        return network, export(deployed_form(network), self.observations)

    def _measure(self, actor: Actor, plain: bytes, method: Method) -> list[Footprint]:
        """What the policy takes before and after, timed together; ``plain`` is the file before quantization."""
        inputs = self.observations.typical[: actor.inputs]
        times = time_in_turns([self.float32, actor], inputs)
        every, weighted = count_macs(plain, inputs)
        memory_bytes, macs = self._unchanged
        before = footprint(self.float32, memory_bytes, (macs, 0), times[0])
        counts = (every, weighted if method.quantization else 0)
        return [before, footprint(actor, memory_of(actor, inputs), counts, times[1])]

    @cached_property
    def _unchanged(self) -> tuple[int | None, int]:
        """Memory and multiply-accumulates of the policy as it is."""
        inputs = self.observations.typical[: self.float32.inputs]
        return memory_of(self.float32, inputs), count_macs(self.float32.model, inputs)[0]
