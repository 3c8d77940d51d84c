"""Run folders as `nas-proxy run` leaves them, made in a moment: synthetic measurements, models fitted to them."""

from __future__ import annotations

import json
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np

from nas_proxy.datasets import LatencyTable
from nas_proxy.ranking import ProxyLatencyModel
from nas_proxy.spaces import SearchSpace, get_space, space_text

MACHINE = {"cpu": "a CPU & more", "cores": 2, "system": "Linux", "python": "3.11.7", "torch": "2.13.0+cpu"}
PROTOCOL = {"seed": 0, "mapper": "marl", "evaluations": 1000, "versions": {"nas_proxy": "0.1.0"}, "machine": MACHINE}


def build_run(
    folder: Path,
    targets: tuple[str, ...] = ("eyeriss", "edge-tpu-x4", "onnxruntime"),
    space: str = "nasbench201",
    results: int = 24,
    failures: int = 0,
    limits_ms: dict[str, float] | None = None,
    finalists: bool = True,
) -> Path:
    """A finished run in ``folder``; ``limits_ms`` and ``finalists`` as the user would have set them."""
    made, rng = get_space(space), np.random.default_rng(0)
    (folder / "measurements").mkdir(parents=True)
    archs = made.sample(60, seed=1)
    cost = made.features(archs).mean(axis=0) + 1e-9
    devices = {name: rng.uniform(0.5, 2.0, size=len(cost)) / cost / len(cost) for name in ("proxy", *targets)}

    def latency_ms(name: str, networks: list[Any]) -> np.ndarray:
        scale = 2.0 if name == "proxy" else 0.3 + 0.4 * len(name)
        noise = rng.normal(1.0, 0.02, size=len(networks))
        return scale * (0.2 + made.features(networks) @ devices[name]) * noise

    proxy_ms = latency_ms("proxy", archs)
    _measurements(folder, "proxy", made, archs, proxy_ms)
    proxy = ProxyLatencyModel(made).fit(archs, proxy_ms)
    models = {}
    for name in targets:
        measured = made.sample(20, seed=2)
        measured_ms = latency_ms(name, measured)
        _measurements(folder, name, made, measured, measured_ms)
        models[name] = proxy.adapt(measured, measured_ms)
    trained = made.sample(results + failures, seed=3)
    predicted = {name: model.predict(trained) for name, model in models.items()}
    size = np.mean([ms / ms.mean() for ms in predicted.values()], axis=0)
    accuracy = (
        99 - 8 / (0.5 + 3 * size) - rng.exponential(1.5, size=len(trained)) - 40 * (rng.random(len(trained)) < 0.1)
    )
    entries = [
        {
            "arch": made.to_str(arch),
            "accuracy": float(accuracy[i]),
            "latency_ms": {name: float(predicted[name][i]) for name in targets},
        }
        for i, arch in enumerate(trained)
    ]
    state = {
        "evidence": {},
        "waiting": [],
        "failures": [{"arch": entry["arch"], "reason": "no <memory> left"} for entry in entries[results:]],
        "engine": {
            "format": 1,
            "space": made.name,
            "parameters": made.parameters,
            "targets": list(targets),
            "limits_ms": limits_ms or {},
            "seed": 0,
            "asked": results + failures,
            "results": entries[:results],
            "pending": [],
            "failed": [],
        },
    }
    write(folder / "search.json", state)
    write(folder / "run.json", {"name": "a search", "experiment_id": "abc", "manager_pid": None})
    write(folder / "adaptation.json", {name: asdict(model.monotonicity) for name, model in models.items()})
    settings = {
        "space": space,
        "proxy": {"device": "host-torch"},
        "targets": {name: {"device": name} for name in targets},
    }
    write(folder / "experiment.yml", {"tuner": {"classArgs": settings}})  # JSON is YAML
    (folder / "config.yml").write_text("experimentName: a search  # </script> is harmless\n")
    if finalists:
        chosen = sorted(entries[:results], key=lambda entry: -entry["accuracy"])[:3]
        write(folder / "finalists.json", _finalists(made, chosen, targets))
        write(folder / "checks.json", [_check(name, chosen) for name in targets])
    return folder


def write(path: Path, value: Any) -> None:
    path.write_text(json.dumps(value))


def _measurements(folder: Path, name: str, space: SearchSpace, archs: list[Any], latency_ms: np.ndarray) -> None:
    table = LatencyTable(space_text(space), tuple(archs), (name,), latency_ms[:, None])
    table.to_csv(folder / "samples" / f"{name}.csv")
    write(
        folder / "measurements" / f"{name}.csv.machine.json",
        {"device": {"name": name, "kind": "host", "threads": 1, "machine": MACHINE}, "started": "2026-01-01T00:00:00"},
    )


def _finalists(space: SearchSpace, entries: list[dict[str, Any]], targets: tuple[str, ...]) -> dict[str, Any]:
    finalists = []
    for target in targets:
        for entry in entries:
            ms = entry["latency_ms"][target]
            pipeline, measured = target.startswith("edge-tpu"), target == "onnxruntime"
            steps = {"nothing": 1.05, "rewriting": 0.98}
            if not measured:
                steps |= {"scheduling": 0.8} if pipeline else {"mapping": 0.75}
            steps["all"] = 0.9 * min(steps.values())
            layers = [
                {
                    "name": f"cell{i // 6}.conv{i % 6}",
                    "operator": "conv",
                    "latency_ms": ms * steps["all"] * 0.2 * 0.8**i,
                    "energy_mj": 0.01 / (i + 1),
                    "bound": ("compute", "DRAM", "buffer")[i % 3],
                    "utilization": 0.9 / (1 + i % 3),
                }
                for i in range(20)
            ]
            stages = [
                {"latency_ms": ms * share, "nodes": [f"conv{share}", "relu"]} for share in (0.2, 0.25, 0.22, 0.18)
            ]
            finalists.append(
                {
                    "arch": entry["arch"],
                    "target": target,
                    "latency_ms": ms * steps["all"],
                    "interval_ms": [ms * steps["all"] * 0.97, ms * steps["all"] * 1.03] if measured else None,
                    "energy_mj": None if measured else 0.12,
                    "throughput_per_s": 1000 / ms if pipeline else None,
                    "utilization": None if measured else 0.43,
                    "variants": [
                        {
                            "name": name,
                            "latency_ms": ms * share,
                            "energy_mj": None if measured else 0.1 * share,
                            "throughput_per_s": 2000 / ms / share if pipeline else None,
                        }
                        for name, share in steps.items()
                    ],
                    "layers": layers,
                    "stages": stages if pipeline else [],
                    "substitutions": {"fuse-conv-bn": 3},
                    "evaluations": 1200,
                    "cpu_s": 3.2,
                }
            )
    return {"space": space_text(space), "finalists": finalists, "protocol": PROTOCOL}


def _check(target: str, entries: list[dict[str, Any]]) -> dict[str, Any]:
    archs = [entry["arch"] for entry in entries]
    predicted = [entry["latency_ms"][target] for entry in entries]
    return {
        "target": target,
        "archs": archs,
        "accuracy": [entry["accuracy"] for entry in entries],
        "predicted_ms": predicted,
        "true_ms": [1.05 * ms for ms in predicted],
        "kendall_tau": 1.0,
        "chosen": archs[0],
        "best": archs[1],
    }
