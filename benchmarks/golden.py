"""The cost model against recorded Timeloop results, record by record.

    python -m benchmarks.golden RECORDS.jsonl --architectures A.json --counting timeloop --out PREDICTIONS.jsonl

Without arguments: the records of the shared data folder under both counting rules, into benchmarks/results/golden.json.
The formats are described in the README beside the records; any file of that format will do.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, get_args

import numpy as np
import typer
from rich.console import Console
from rich.table import Table

from benchmarks.data import measurements
from nas_proxy.errors import InputError, UnknownNameError
from nas_proxy.files import write_json, write_text
from nas_proxy.mapping.accelerator import LEVELS, Accelerator
from nas_proxy.mapping.cost_model import OPERATIONS, CostModel, Costs, Counting
from nas_proxy.mapping.layer import DIMS, TENSORS, Layer
from nas_proxy.mapping.mappings import Mappings
from nas_proxy.schema import parse


def read_architectures(path: Path) -> dict[str, Accelerator]:
    """The accelerators of an architectures file."""
    try:
        described = {name: _fields(record) for name, record in json.loads(_text(path)).items()}
    except (json.JSONDecodeError, KeyError, TypeError, AttributeError) as error:
        raise InputError(f"{path}: not a file of architectures: {error!r}.") from None
    return {name: parse(Accelerator, fields, f"{path}: {name}") for name, fields in described.items()}


def _fields(record: dict[str, Any]) -> dict[str, Any]:
    levels = {
        level["name"]: {
            "capacity_words": level["capacity_words"],
            "read_energy_pj": level["read_energy_pJ"],
            "write_energy_pj": level["write_energy_pJ"],
            "read_words_per_cycle": level["read_bw_words_per_cycle"],
            "write_words_per_cycle": level["write_bw_words_per_cycle"],
        }
        for level in record["levels"]
    }
    fields = {"word_bits": record["word_bits"], "pe_rows": record["pe_rows"], "pe_cols": record["pe_cols"]}
    return fields | {"mac_energy_pj": record["mac_energy_pJ"], "levels": levels}


def _text(path: Path) -> str:
    try:
        return path.read_text()
    except (OSError, UnicodeDecodeError) as error:
        raise InputError(f"{path}: cannot be read: {error}") from None


def read_layer(record: dict[str, Any]) -> Layer:
    """The layer of a record; the channels of a depthwise convolution are its groups."""
    bounds = {d.lower(): record[d] for d in DIMS if d in record}
    if record.get("depthwise"):
        bounds |= {"g": record["C"] * record["K"], "c": 1, "k": 1}
    stride, dilation = (record["stride"],) * 2, (record.get("dilation", 1),) * 2
    return Layer(record["type"], **bounds, stride=stride, dilation=dilation, name=record["name"])


def read_mapping(record: dict[str, Any], depthwise: bool) -> Mappings:
    """The mapping of a record, as a batch of one."""
    index = {d: i for i, d in enumerate(DIMS)}
    if depthwise:
        index |= {"C": index["G"], "G": index["C"]}

    def bounds(loops: dict[str, int]) -> list[int]:
        row = [1] * len(DIMS)
        for d, factor in loops.items():
            row[index[d]] = factor
        return row

    def order(dims: list[str]) -> list[int]:
        named = [index[d] for d in dims]
        return named + [i for i in range(len(DIMS)) if i not in named]

    glb, dram, spatial = (record.get(part, {}) for part in ("GLB", "DRAM", "spatial"))
    blocks = [record["RF"]["temporal"], spatial.get("x", {}), spatial.get("y", {})]
    blocks += [glb.get("temporal", {}), dram["temporal"]]
    orders = [order(glb.get("order", [])), order(dram["order"])]
    spatial_orders = [order(spatial.get(f"order_{axis}", [])) for axis in "xy"]
    return Mappings(
        np.array([[bounds(block) for block in blocks]]),
        np.array([orders]),
        np.array([[t in glb.get("keep", ()) for t in TENSORS]]),
        np.array([spatial_orders]),
    )


@dataclass(frozen=True)
class Golden:
    """One record of a file: what was mapped where, and the recorded result (None where the file has none)."""

    id: str
    architecture: str
    layer: Layer
    mapping: Mappings
    result: dict[str, Any] | None


def read_records(path: Path) -> Iterator[Golden]:
    """All records of a file."""
    for number, line in enumerate(_text(path).splitlines(), 1):
        if not line.strip():
            continue
        try:
            record = json.loads(line)
            layer = read_layer(record["layer"])
            mapping = read_mapping(record["mapping"], bool(record["layer"].get("depthwise")))
            name = record.get("id", str(number))
            yield Golden(name, record["arch"], layer, mapping, record.get("result"))
        except (json.JSONDecodeError, KeyError, TypeError) as error:
            raise InputError(f"{path}, line {number}: not a golden record: {error!r}.") from None


def prediction(costs: Costs, mapping: Mappings, accelerator: Accelerator) -> dict[str, Any]:
    """Costs of one mapping in the format of a record's result."""
    energy = np.array(
        [[b.read_energy_pj, b.write_energy_pj] for b in (getattr(accelerator.levels, level) for level in LEVELS)]
    )
    instances = (int(costs.active_pes[0]), 1, 1)
    levels: dict[str, Any] = {}
    for i, level in enumerate(LEVELS):
        tensors = {}
        for j, tensor in enumerate(TENSORS):
            if level == "GLB" and not mapping.keep[0, j]:
                continue
            words = costs.accesses[0, i, j]
            entry: dict[str, Any] = {"tile_words": round(costs.tile_words[0, i, j]), "instances": instances[i]}
            entry |= {operation: round(words[k]) for k, operation in enumerate(OPERATIONS)}
            tensors[tensor] = entry | {"energy_pJ": float(words[0] * energy[i, 0] + words[1:].sum() * energy[i, 1])}
        if tensors:
            levels[level] = {"cycles": round(costs.level_cycles[0, i]), "tensors": tensors}
    return {
        "cycles": round(costs.cycles[0]),
        "energy_pJ": float(costs.energy_pj[0]),
        "utilization": float(costs.utilization[0]),
        "levels": levels,
    }


@dataclass(frozen=True)
class Agreement:
    """Whether a prediction meets its record: every access count, cycles within 1, energy within 0.01 %."""

    counts: bool
    weights_and_outputs: bool
    cycles: bool
    energy: bool


def compare(predicted: dict[str, Any], result: dict[str, Any]) -> Agreement:
    """Prediction against record."""

    def same(tensors: str) -> bool:
        return all(
            predicted["levels"][level]["tensors"][tensor][what] == found
            for level, part in result["levels"].items()
            for tensor, entry in part["tensors"].items()
            for what, found in entry.items()
            if tensor in tensors and what != "energy_pJ"
        )

    return Agreement(
        counts=same("WIO") and predicted["levels"].keys() == result["levels"].keys(),
        weights_and_outputs=same("WO"),
        cycles=abs(predicted["cycles"] - result["cycles"]) <= 1,
        energy=abs(predicted["energy_pJ"] / result["energy_pJ"] - 1) <= 1e-4,
    )


def predict(records: Path, architectures: Path, counting: Counting) -> list[tuple[Golden, dict[str, Any]]]:
    """Predictions of all records of a file, in order."""
    accelerators = read_architectures(architectures)
    models: dict[tuple[str, Layer], CostModel] = {}
    pairs = []
    for golden in read_records(records):
        if golden.architecture not in accelerators:
            raise UnknownNameError("architecture", golden.architecture, accelerators)
        accelerator = accelerators[golden.architecture]
        key = (golden.architecture, golden.layer)
        if key not in models:
            models[key] = CostModel(golden.layer, accelerator, counting)
        golden.mapping.check(golden.layer, accelerator)
        costs = models[key].evaluate(golden.mapping)
        pairs.append((golden, prediction(costs, golden.mapping, accelerator)))
    return pairs


def shares(pairs: list[tuple[Golden, dict[str, Any]]]) -> dict[str, float] | None:
    """Number of records with a result, and the share of them that each part of :class:`Agreement` holds for."""
    met = [compare(predicted, golden.result) for golden, predicted in pairs if golden.result]
    if not met:
        return None
    parts = ("counts", "weights_and_outputs", "cycles", "energy")
    return {"records": len(met)} | {part: float(np.mean([getattr(m, part) for m in met])) for part in parts}


def show(rows: dict[str, dict[str, float]]) -> None:
    """Print the agreement of several files."""
    table = Table(title="agreement with recorded Timeloop results")
    for column in ("records", "n", "all counts", "W and O counts", "cycles ±1", "energy 0.01 %"):
        table.add_column(column)
    for name, row in rows.items():
        share = [f"{100 * row[part]:.2f} %" for part in ("counts", "weights_and_outputs", "cycles", "energy")]
        table.add_row(name, str(round(row["records"])), *share)
    Console().print(table)


def main(
    records: Annotated[Path | None, typer.Argument(help="A file of records, one per line.")] = None,
    architectures: Annotated[Path | None, typer.Option(help="The architectures they name.")] = None,
    counting: Annotated[str, typer.Option(help="physical or timeloop.")] = "timeloop",
    out: Annotated[Path | None, typer.Option(help="Where the predictions go, one per line.")] = None,
) -> None:
    """Predict recorded mappings; compare where the file has results."""
    try:
        run(records, architectures, counting, out)
    except (InputError, OSError) as error:
        Console(stderr=True).print(f"error: {error}", markup=False, highlight=False, soft_wrap=True)
        raise typer.Exit(InputError.exit_code) from None


def run(records: Path | None, architectures: Path | None, counting: str, out: Path | None) -> None:
    """What the command does.

    Raises:
        InputError: a file cannot be read or is none of its kind, or there is no such counting rule.
    """
    if counting not in get_args(Counting):
        raise UnknownNameError("counting rule", counting, get_args(Counting))
    architectures = architectures or measurements("timeloop", "architectures.json")
    rows: dict[str, dict[str, float]] = {}
    if records is not None:
        pairs = predict(records, architectures, counting)  # pyright: ignore[reportArgumentType]
        if out is not None:
            write_text(out, "".join(json.dumps({"id": golden.id} | found) + "\n" for golden, found in pairs))
        if (row := shares(pairs)) is not None:
            rows[f"{records.name}, {counting}"] = row
        show(rows)
        return
    for file in ("timeloop_model_dev.jsonl", "timeloop_micro.jsonl", "timeloop_mapper_dev.jsonl"):
        for rule in ("physical", "timeloop"):
            if (row := shares(predict(measurements("timeloop", file), architectures, rule))) is not None:
                rows[f"{file}, {rule}"] = row
    show(rows)
    write_json(Path(__file__).parent / "results" / "golden.json", rows)


if __name__ == "__main__":
    typer.run(main)
