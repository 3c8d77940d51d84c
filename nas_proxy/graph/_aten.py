"""Translation of an exported program's operators: arguments bound by name, constants folded, changes in place seen."""

# Torch's operators are described by private names of torch, whose types are known in part only.
# pyright: reportPrivateUsage=false, reportUnknownMemberType=false, reportUnknownArgumentType=false

from __future__ import annotations

import operator
from collections.abc import Sequence
from typing import Any, cast

import numpy as np
import torch
from torch.fx.node import map_arg

from nas_proxy.graph._aten_operators import TRANSLATIONS, Out
from nas_proxy.graph._builder import GraphBuilder, Untranslatable

__all__ = ["translate"]

#: Operators whose result may share memory with their input: changing either in place is left to torch's exporter.
_VIEWS = {
    "alias", "chunk", "contiguous", "detach", "diagonal", "dropout", "expand", "expand_as", "flatten",
    "narrow", "permute", "reshape", "select", "slice", "split", "split_with_sizes", "squeeze", "t", "to",
    "transpose", "unbind", "unflatten", "unsqueeze", "view",
}  # fmt: skip


def translate(b: GraphBuilder, node: torch.fx.Node, held: dict[torch.fx.Node, Any]) -> Any:
    """Write one ``call_function`` node; returns the name (or names) of its value.

    Raises:
        Untranslatable: there is no translation of this operator, or of this use of it.
    """
    if node.target is operator.getitem:
        return held[node.args[0]][node.args[1]]  # type: ignore[index]
    if not isinstance(node.target, torch._ops.OpOverload):
        raise Untranslatable(str(node.target))
    full = node.target._schema.name.removeprefix("aten::")
    name = full.removesuffix("_") if node.target._schema.is_mutable else full
    if name in {"_assert_tensor_metadata", "_assert_async", "_assert_scalar", "sym_size"}:
        return None
    arguments = _bind(node)
    named = dict(map_arg(arguments, lambda source: held[source]))
    if all(_is_constant(b, held[source]) for source in node.all_input_nodes):
        return _fold(b, node, held)
    if name not in TRANSLATIONS:
        raise Untranslatable(name)
    if node.target._schema.is_mutable:
        _check_alias(node)
    if name == "batch_norm":
        named["alone"] = len(node.all_input_nodes[0].users) == 1
    result = TRANSLATIONS[name](b, _out(node.meta["val"]), **named)
    if node.target._schema.is_mutable:
        held[node.args[0]] = result  # type: ignore[index]  # later readers of the changed tensor see the change
    return result


def _bind(node: torch.fx.Node) -> dict[str, Any]:
    """Arguments by name, defaults filled in. ``self`` and ``input`` are both called ``x``."""
    bound: dict[str, Any] = {}
    for i, argument in enumerate(node.target._schema.arguments):  # type: ignore[union-attr]
        value = node.args[i] if i < len(node.args) else node.kwargs.get(argument.name, argument.default_value)
        bound["x" if argument.name in {"self", "input"} else argument.name] = value
    return bound


def _check_alias(node: torch.fx.Node) -> None:
    changed = node.args[0]
    assert isinstance(changed, torch.fx.Node)
    views = [reader for reader in (changed, *changed.users) if _short_name(reader) in _VIEWS]
    if changed.op == "placeholder" or views:
        raise Untranslatable(f"{node.target} changes a tensor that has views")


def _short_name(node: torch.fx.Node) -> str:
    return str(node.target).removeprefix("aten.").split(".")[0]


def _names(held: Any) -> tuple[Any, ...]:
    return cast(tuple[Any, ...], held) if isinstance(held, tuple) else (held,)


def _is_constant(b: GraphBuilder, held: Any) -> bool:
    return all(isinstance(name, str) and b.values[name].is_constant for name in _names(held))


def _fold(b: GraphBuilder, node: torch.fx.Node, held: dict[torch.fx.Node, Any]) -> Any:
    """Run an operator whose inputs are all constant."""

    if torch.Tag.nondeterministic_seeded in node.target.tags:  # type: ignore[union-attr]
        raise Untranslatable(f"{node.target} draws random numbers")

    def tensor(source: torch.fx.Node) -> Any:
        name = held[source]
        names = _names(name)
        tensors = tuple(torch.from_numpy(np.array(b.array(n))) for n in names)
        return tensors if isinstance(name, tuple) else tensors[0]

    arguments, keywords = map_arg((node.args, dict(node.kwargs)), tensor)
    keywords = {key: torch.device("cpu") if key == "device" else value for key, value in keywords.items()}
    result = node.target(*arguments, **keywords)  # type: ignore[operator]
    parts = cast(Sequence[torch.Tensor], result if isinstance(result, list | tuple) else [result])
    names = [b.constant(np.array(part.numpy())) for part in parts]
    if node.target._schema.is_mutable:  # type: ignore[union-attr]
        held[node.args[0]] = names[0]  # type: ignore[index]
    return tuple(names) if isinstance(result, list | tuple) else names[0]


def _out(value: Any) -> Out:
    if isinstance(value, list | tuple):
        parts = tuple(_out(part) for part in cast(Sequence[Any], value))
        return Out(parts[0].shape, parts[0].dtype, parts)
    if not isinstance(value, torch.Tensor) or any(not isinstance(d, int) for d in cast(Sequence[object], value.shape)):
        raise Untranslatable("a result that is not a tensor of static shape")
    return Out(tuple(value.shape), str(value.dtype).removeprefix("torch."))
