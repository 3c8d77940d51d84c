"""Pipeline schedulers compared: ``make bench-scheduling``.

Synthetic networks never trained on, and real ones on 4 and 6 Edge TPUs; every scheduler on the same instances.
Gaps are to the proven optimum where there is one, else to the best bound. Times are CPU time. What an instance gave
is kept under ``runs/``, so a run that was stopped goes on; ``--instances`` says how many a cell (size x stages
x width).
"""

from __future__ import annotations

import argparse
import hashlib
import json
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass
from functools import cache
from pathlib import Path
from typing import Any, cast

import numpy as np
from rich.console import Console
from rich.table import Table

from benchmarks.data import measurements
from nas_proxy import extensions, files, load_accuracies, scheduling
from nas_proxy.scheduling import PipelineProblem, Scheduler, Tensor, synthetic_problem
from nas_proxy.scheduling.device import EdgeTPUDevice
from nas_proxy.scheduling.respect._scheduler import SHIPPED

CACHE = Path("runs/bench-scheduling")
SIZES = {30: 18, 50: 18, 100: 18, 300: 2}
STAGES = (4, 5, 6)
MILP_SECONDS = {30: 15.0, 50: 10.0, 100: 10.0, 300: 20.0}
UNUSED = ("_exact.py", "_show.py", "environment.py", "_train.py", "_train_published.py")  # by heuristic schedulers
TEST_SEED = 20_000  # training draws from seed 0

#: Everything compared. ``random`` is respect without its policy: the same search from random orders.
SYNTHETIC: dict[str, tuple[str, dict[str, Any]]] = {
    "compiler": ("compiler", {}),
    "published respect": ("respect-published", {}),
    "dp": ("dp", {}),
    "dp, best of 20 orders": ("dp", {"orders": 20}),
    "dp, best of 200 orders": ("dp", {"orders": 200}),
    "respect greedy": ("respect", {"samples": 1, "polished": 0}),
    "respect greedy, polished": ("respect", {"samples": 1, "polished": 1}),
    "respect best of 32": ("respect", {"samples": 32, "polished": 0}),
    "respect": ("respect", {}),
    "random orders, polished": ("random-polished", {}),
    "ideal_dp": ("ideal_dp", {"max_ideals": 4_000}),
}
REAL = {name: entry for name, entry in SYNTHETIC.items() if not any(word in name for word in ("200", "random"))}


@dataclass(frozen=True)
class Outcome:
    """What one scheduler made of one instance."""

    bottleneck_ms: float
    latency_ms: float
    bound_ms: float | None
    optimal: bool
    cpu_s: float


def run(problem: PipelineProblem, scheduler: Scheduler) -> Outcome:
    started = time.process_time()
    schedule = scheduler.schedule(problem)
    spent = time.process_time() - started
    return Outcome(schedule.bottleneck_ms, schedule.latency_ms, schedule.bound_ms, schedule.optimal, spent)


def kept(key: str, compute: Callable[[], Any]) -> Any:
    """The stored value of ``key``, computed and stored where there is none."""
    path = CACHE / f"{key}.json"
    if not path.is_file():
        files.write_json(path, compute())
    return json.loads(path.read_text())


@cache
def _code() -> str:
    """A hash of the heuristic schedulers: of their code, and of the policy's weights."""
    folder = Path(scheduling.__file__).parent
    sources = [path for path in sorted(folder.rglob("*.py")) if path.name not in UNUSED]
    content = b"".join(path.read_bytes() for path in (*sources, SHIPPED, SHIPPED.with_name("published.safetensors")))
    return hashlib.blake2b(content, digest_size=4).hexdigest()


def outcomes(
    key: str, problem: Callable[[], PipelineProblem], entries: dict[str, tuple[str, dict[str, Any]]]
) -> dict[str, Outcome]:
    """Each scheduler's outcome on an instance; kept per state of its code and weights, and per time limit of the MILP.

    What the exact ones find does not change with their code: it is kept.
    """
    code = _code()
    made: list[PipelineProblem] = []
    found = {}
    for label, (name, options) in entries.items():
        suffix = {"milp": f"-{options.get('time_limit_s', 0):g}s", "ideal_dp": ""}.get(name, f"-{code}")

        def compute(name: str = name, options: dict[str, Any] = options) -> Any:
            if not made:
                made.append(problem())
            return asdict(run(made[0], extensions.get("schedulers", name, **options)))

        found[label] = Outcome(**kept(f"{key}/{label.replace(', ', '-').replace(' ', '_')}{suffix}", compute))
    return found


def synthetic(instances: dict[int, int], console: Console) -> list[dict[str, Any]]:
    rows = []
    for n, count in instances.items():
        entries = SYNTHETIC | {"milp": ("milp", {"time_limit_s": MILP_SECONDS[n]})}
        cells: dict[str, list[dict[str, Outcome]]] = {"narrow": [], "wide": []}
        for index in range(count):
            for stages in STAGES:
                for shape, width in (("narrow", 2.0), ("wide", n**0.5)):
                    seed = (TEST_SEED, n, stages, int(shape == "wide"), index)

                    def problem(seed=seed, stages=stages, width=width, n=n) -> PipelineProblem:
                        return synthetic_problem(n, np.random.default_rng(seed), stages=stages, width=width)

                    cells[shape].append(outcomes(f"{n}-{stages}-{shape}-{index}", problem, entries))
        for shape, found in cells.items():
            if found:
                rows += _summary(n, shape, found, console)
    return rows


def _summary(n: int, shape: str, found: list[dict[str, Outcome]], console: Console) -> list[dict[str, Any]]:
    """Gaps and times of one size and shape."""
    best = np.array([min(o.bottleneck_ms for o in f.values()) for f in found])
    bound = np.array([max(o.bound_ms or 0.0 for o in f.values()) for f in found])
    proven = np.array([any(o.optimal for o in f.values()) for f in found])
    reference = np.where(proven, best, bound)
    table = Table(title=f"{n} units, {shape}: {len(found)} networks, {proven.sum()} with a proven optimum")
    table.add_column("scheduler")
    for heading in (
        "gap to optimum or bound",
        "gap, proven only",
        "gap to best known",
        "worst",
        "CPU ms",
        "MILP time / its",
        "at most 20 orders'",
    ):
        table.add_column(heading, justify="right")
    milp_s = np.array([f["milp"].cpu_s for f in found])
    of_20 = np.array([f["dp, best of 20 orders"].bottleneck_ms for f in found])
    rows = []
    for label in found[0]:
        cost, cpu_s = (np.array([getattr(f[label], field) for f in found]) for field in ("bottleneck_ms", "cpu_s"))
        gap, known = cost / reference - 1, cost / best - 1
        row = {
            "units": n, "shape": shape, "networks": len(found), "proven": int(proven.sum()), "scheduler": label,
            "gap": float(gap.mean()), "gap_proven": float(gap[proven].mean()) if proven.any() else None,
            "gap_best_known": float(known.mean()), "worst_best_known": float(known.max()),
            "cpu_ms": float(1e3 * np.median(cpu_s)), "milp_ratio": float(np.median(milp_s / np.maximum(cpu_s, 1e-6))),
            "share_at_most_20_orders": float((cost <= of_20 * (1 + 1e-9)).mean()),
        }  # fmt: skip
        rows.append(row)
        proven_gap = "-" if row["gap_proven"] is None else f"{row['gap_proven']:.2%}"
        table.add_row(
            label, f"{row['gap']:.2%}", proven_gap, f"{row['gap_best_known']:.2%}", f"{row['worst_best_known']:.1%}",
            f"{row['cpu_ms']:.1f}", f"{row['milp_ratio']:.0f}", f"{row['share_at_most_20_orders']:.0%}",
        )  # fmt: skip
    console.print(table)
    return rows


# -- real networks -----------------------------------------------------------------------------------------------------


def networks() -> dict[str, tuple[Callable[[], Any], int]]:
    """How each network is built, and the size of its input."""
    import timm

    from nas_proxy.spaces import get_space

    def of_timm(name: str) -> Callable[[], Any]:
        return lambda: timm.create_model(name)

    names = {
        "Xception": ("xception41", 299), "ResNet-50": ("resnet50", 224), "ResNet-101": ("resnet101", 224),
        "ResNet-152": ("resnet152", 224), "DenseNet-121": ("densenet121", 224), "DenseNet-169": ("densenet169", 224),
        "DenseNet-201": ("densenet201", 224), "Inception-v3": ("inception_v3", 299),
        "Inception-ResNet-v2": ("inception_resnet_v2", 299), "MobileNet-v2": ("mobilenetv2_100", 224),
        "EfficientNet-B0": ("efficientnet_b0", 224), "EfficientNet-B2": ("efficientnet_b2", 260),
        "EfficientNet-B4": ("efficientnet_b4", 380), "MobileNetV3-L": ("mobilenetv3_large_100", 224),
    }  # fmt: skip
    made: dict[str, tuple[Callable[[], Any], int]] = {
        label: (of_timm(name), size) for label, (name, size) in names.items()
    }
    space = get_space("nasbench201")
    for i, arch in enumerate([
        "|nor_conv_3x3~0|+|nor_conv_3x3~0|nor_conv_3x3~1|+|skip_connect~0|nor_conv_3x3~1|nor_conv_3x3~2|",
        "|nor_conv_3x3~0|+|nor_conv_1x1~0|nor_conv_3x3~1|+|skip_connect~0|nor_conv_1x1~1|nor_conv_3x3~2|",
    ]):  # fmt: skip
        made[f"NAS-Bench-201 {i + 1}"] = (lambda arch=arch: space.build(arch), 32)
    return made | finalists()


def finalists() -> dict[str, tuple[Callable[[], Any], int]]:
    """Networks as a search ends with: the most accurate NAS-Bench-201 cells, and small and large of MobileNetV3.

    The cells are those of highest accuracy on CIFAR-100 (NATS-Bench) with at most two and with at most four
    convolutions (the best of all is "NAS-Bench-201 1"); the MobileNetV3 networks those of fewest and most layers among
    200 drawn.
    """
    from nas_proxy.spaces import get_space

    cells, mobile = get_space("nasbench201"), get_space("mobilenetv3")
    table = load_accuracies("nats-bench", measurements("nats-bench", "cifar100_perfmetrics.txt"))
    by_accuracy = [table.archs[i] for i in np.argsort(-table.accuracy, kind="stable")]
    small, medium = (next(arch for arch in by_accuracy if arch.count("nor_conv") <= most) for most in (2, 4))
    drawn = sorted(mobile.sample(200, seed=0), key=lambda arch: (sum(arch["d"]), sum(arch["e"])))
    found: dict[str, tuple[Callable[[], Any], int]] = {
        label: (lambda text=text: cells.build(cells.from_str(text)), 32)
        for label, text in (("NAS-Bench-201 small", small), ("NAS-Bench-201 medium", medium))
    }
    return found | {
        label: (lambda arch=arch: mobile.build(arch), arch["r"])
        for label, arch in (("MobileNetV3 small", drawn[0]), ("MobileNetV3 large", drawn[-1]))
    }


def _network(label: str, build: Callable[[], Any], size: int, device: EdgeTPUDevice) -> PipelineProblem:
    """The problem of a network on one device, from its stored arrays."""
    from nas_proxy.graph import from_torch

    def compute() -> Any:
        problem = device.problem(from_torch(build(), (1, 3, size, size)), 1)
        values = {name: getattr(problem, name).tolist() for name in ("time_ms", "parameter_bytes")}
        return values | {"tensors": [asdict(tensor) for tensor in problem.tensors], "names": problem.names}

    chip = hashlib.blake2b(str(device.chip).encode(), digest_size=4).hexdigest()
    stored = kept(f"networks-{chip}/{label.replace(' ', '_')}", compute)
    return PipelineProblem(
        time_ms=np.array(stored["time_ms"]),
        parameter_bytes=np.array(stored["parameter_bytes"]),
        tensors=tuple(
            Tensor(t["producer"], tuple(t["consumers"]), t["bytes"], t["to_host"]) for t in stored["tensors"]
        ),
        stages=1,
        cache_bytes=device.chip.cache_bytes,
        stream_bytes_per_ms=device.chip.link_bytes_per_ms,
        link_bytes_per_ms=device.chip.link_bytes_per_ms,
        stage_ms=device.chip.invoke_ms,
        names=tuple(stored["names"]),
    )


def real(console: Console) -> list[dict[str, Any]]:
    from nas_proxy.devices import get_device

    device = cast(EdgeTPUDevice, get_device("edge-tpu"))
    chip = hashlib.blake2b(str(device.chip).encode(), digest_size=4).hexdigest()
    problems = {label: _network(label, *how, device) for label, how in networks().items()}
    rows = []
    for stages in (4, 6):
        table = Table(title=f"{stages} Edge TPUs: gap to the optimum (bottleneck), and what pipelining gives")
        for heading in ("network", "units", "ideal_dp", *[label for label in REAL if label != "ideal_dp"]):
            table.add_column(heading, justify="left" if heading == "network" else "right", no_wrap=heading == "network")
        for heading in ("greedy CPU ms", "respect / compiler", "respect / one device"):
            table.add_column(heading, justify="right")
        for label, single in problems.items():
            problem = single.with_stages(stages)
            found = outcomes(f"real-{chip}-{label.replace(' ', '_')}-{stages}", lambda p=problem: p, REAL)
            exact, learned = found["ideal_dp"], found["respect"]
            reference = min(o.bottleneck_ms for o in found.values())
            gaps = {name: o.bottleneck_ms / reference - 1 for name, o in found.items()}
            alone = extensions.get("schedulers", "dp").schedule(single).bottleneck_ms
            row = {
                "network": label, "stages": stages, "units": problem.n, "optimum_ms": exact.bottleneck_ms,
                "optimum_proven": exact.optimal, "gaps": gaps, "cpu_ms": {k: 1e3 * o.cpu_s for k, o in found.items()},
                "speedup_over_compiler": found["compiler"].bottleneck_ms / learned.bottleneck_ms,
                "speedup_over_one_device": alone / learned.bottleneck_ms,
            }  # fmt: skip
            rows.append(row)
            table.add_row(
                label, str(problem.n), f"{exact.bottleneck_ms:.2f} ms" + ("" if exact.optimal else " (not proven)"),
                *[f"{gaps[name]:.2%}" for name in REAL if name != "ideal_dp"],
                f"{row['cpu_ms']['respect greedy']:.0f}",
                f"{row['speedup_over_compiler']:.2f}", f"{row['speedup_over_one_device']:.2f}",
            )  # fmt: skip
        console.print(table)
    return rows


def main() -> None:
    import torch

    torch.set_num_threads(1)
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--instances", type=int, help="networks a cell, instead of " + str(SIZES))
    parser.add_argument("--sizes", type=int, nargs="*", default=list(SIZES), choices=list(SIZES))
    parser.add_argument("--no-real", action="store_true")
    arguments = parser.parse_args()
    extensions.register("schedulers", "random-polished", "benchmarks._random_polished:RandomPolishedScheduler")
    console = Console(width=200)
    warm = synthetic_problem(30, np.random.default_rng(0), stages=4)
    for name, options in SYNTHETIC.values():  # imports and compilation are no solving time
        extensions.get("schedulers", name, **options).schedule(warm)
    counts = {n: arguments.instances or SIZES[n] for n in arguments.sizes}
    result: dict[str, Any] = {"real": [] if arguments.no_real else real(console)}
    result["synthetic"] = synthetic(counts, console)
    files.write_json("benchmarks/results/scheduling.json", result)


if __name__ == "__main__":
    main()
