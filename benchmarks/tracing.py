"""How long a torch module takes to become a TensorGraph: ``make bench-tracing``. CPU seconds, first and later calls."""

from __future__ import annotations

import time
from pathlib import Path

import numpy as np
import timm
from rich.console import Console
from rich.table import Table

from nas_proxy import files
from nas_proxy.devices._machine import describe_machine
from nas_proxy.graph import from_torch

NETWORKS = {"resnet50": 224, "mobilenetv3_large_100": 224, "efficientnet_b0": 224, "vit_small_patch16_224": 224}
CALLS = 5


def main() -> None:
    table, results = Table(title="CPU seconds"), {}
    for heading in ("network", "nodes", "first call", "median of later ones"):
        table.add_column(heading, justify="left" if heading == "network" else "right")
    for name, size in NETWORKS.items():
        module, spent = timm.create_model(name).eval(), []
        for _ in range(1 + CALLS):
            started = time.process_time()
            graph = from_torch(module, (1, 3, size, size))
            spent.append(time.process_time() - started)
        row = {"nodes": len(graph.nodes), "first_s": spent[0], "median_s": float(np.median(spent[1:]))}
        results[name] = row
        table.add_row(name, str(row["nodes"]), f"{row['first_s']:.2f}", f"{row['median_s']:.2f}")
    Console().print(table)
    path = Path("benchmarks/results/tracing.json")
    files.write_json(path, {"machine": describe_machine("torch", "timm"), "networks": results})


if __name__ == "__main__":
    main()
