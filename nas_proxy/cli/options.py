"""Options that several commands have."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Annotated

import typer

__all__ = ["Backend", "Batch", "Jobs", "Model", "N", "Parameter", "Seed", "Shape", "Space", "known"]


def known(kind: str) -> Callable[[str], list[str]]:
    """Completes the names of one kind, as ``nas-proxy list KIND`` shows them."""

    def complete(incomplete: str) -> list[str]:
        from nas_proxy.terminal import listing

        return [name for name in listing.names(kind) if name.startswith(incomplete)]

    return complete


_BACKENDS = "dask", "loky", "multiprocessing", "ray", "sequential", "threading"

Model = Annotated[Path, typer.Argument(help="The ONNX file of the network.")]
Batch = Annotated[
    int | None, typer.Option(min=1, help="The batch size, for a network whose file leaves the batch size open.")
]
Shape = Annotated[
    list[str],
    typer.Option(
        "--shape",
        help="The shape of one input whose size the file leaves open, as NAME=SIZES: x=1,3,224,224. May be repeated.",
    ),
]
Space = Annotated[
    str | None,
    typer.Option(
        autocompletion=known("spaces"),
        help="The search space of the architectures (nas-proxy list spaces). Needed only where the CSV does "
        "not state it.",
    ),
]
Parameter = Annotated[
    list[str],
    typer.Option(
        "--parameter",
        "-p",
        help="One parameter of the search space as NAME=VALUE, such as channels=8. May be repeated.",
    ),
]
N = Annotated[int | None, typer.Option("-n", min=1, help="The number of architectures to draw at random.")]
Seed = Annotated[int, typer.Option(min=0, help="The seed of everything random: the same seed gives the same result.")]
Jobs = Annotated[int, typer.Option(help="The number of worker processes. -1 starts one for each processor core.")]
Backend = Annotated[
    str,
    typer.Option(
        autocompletion=lambda incomplete: [name for name in _BACKENDS if name.startswith(incomplete)],
        help="Where the workers run, a backend of joblib: loky, multiprocessing or threading start them on this "
        "machine, sequential starts none, ray uses a Ray cluster. dask needs an open Dask client, so it is for Python "
        "code only.",
    ),
]
