"""The cost model against four oracles: recorded results, a walk of the loop nest, the systolic formula, invariants."""

from __future__ import annotations

import itertools
import json
import math
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import typer
from hypothesis import given, settings
from hypothesis import strategies as st
from typer.testing import CliRunner

from benchmarks import golden
from nas_proxy.errors import InputError, UnknownNameError
from nas_proxy.mapping.accelerator import Accelerator
from nas_proxy.mapping.cost_model import CostModel
from nas_proxy.mapping.layer import DIMS, RELEVANT, Layer, parse_layer
from nas_proxy.mapping.mappings import Mappings, loop_nest

BUFFER = {"read_energy_pj": 1.0, "write_energy_pj": 1.0}


def accelerator(**changes) -> Accelerator:
    levels = {"RF": BUFFER | {"capacity_words": 64}, "GLB": BUFFER | {"capacity_words": 512}, "DRAM": BUFFER}
    levels = {name: level | changes.pop(name, {}) for name, level in levels.items()}
    fields = {"word_bits": 8, "pe_rows": 16, "pe_cols": 16, "mac_energy_pj": 1.0, "levels": levels}
    return Accelerator(**(fields | changes))


# -- oracle 1: recorded results ---------------------------------------------------------------------------------------


@pytest.mark.parametrize("file", ["timeloop_model_dev", "timeloop_micro", "timeloop_mapper_dev"])
def test_every_recorded_result_is_met(measurements, file):
    folder = measurements("timeloop")
    pairs = golden.predict(folder / f"{file}.jsonl", folder / "architectures.json", "timeloop")
    unmet = [
        record.id for record, found in pairs if golden.compare(found, record.result) != golden.Agreement(*[True] * 4)
    ]
    assert len(pairs) > 60
    assert unmet == []


def test_the_physical_rule_differs_where_the_record_says_so(measurements):
    folder = measurements("timeloop")
    file = folder / "timeloop_model_dev.jsonl"
    flags = [set(json.loads(line)["flags"]) for line in file.read_text().splitlines()]
    pairs = golden.predict(file, folder / "architectures.json", "physical")
    met = [golden.compare(found, record.result) for record, found in pairs]
    for flag, agreement in zip(flags, met, strict=True):
        assert agreement.weights_and_outputs
        assert agreement.counts != bool(flag & {"link", "halo_multi"})
    assert np.mean([m.energy for m in met]) > 0.90
    assert np.mean([m.cycles for m in met]) > 0.97


def test_golden_predictions_file(measurements, tmp_path):
    folder, out = measurements("timeloop"), tmp_path / "predictions.jsonl"
    golden.main(folder / "timeloop_micro.jsonl", folder / "architectures.json", "timeloop", out)
    first = json.loads(out.read_text().splitlines()[0])
    assert first["id"] == "small_edge/micro_conv3x3_s1/random/m_1"
    assert (first["cycles"], first["energy_pJ"]) == (288, 197952.0)
    assert first["levels"]["GLB"]["tensors"]["I"]["fills"] == 520


def test_golden_errors(measurements, tmp_path):
    broken = tmp_path / "records.jsonl"
    broken.write_text('{"id": "a"}\n')
    with pytest.raises(InputError, match="line 1: not a golden record: KeyError"):
        golden.predict(broken, measurements("timeloop", "architectures.json"), "timeloop")
    with pytest.raises(InputError, match="cannot be read"):
        golden.predict(tmp_path / "absent", measurements("timeloop", "architectures.json"), "timeloop")


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["absent.jsonl", "--architectures", "a.json"], "absent.jsonl: cannot be read"),
        (["records.jsonl", "--architectures", "absent.json"], "absent.json: cannot be read"),
        (
            ["records.jsonl", "--architectures", "records.jsonl"],
            "records.jsonl: not a file of architectures: Type",
        ),
        (["records.jsonl", "--architectures", "a.json"], "unknown architecture 'eyeris'. Did you mean 'eyeriss'"),
        (["--counting", "timelop"], "unknown counting rule 'timelop'. Did you mean 'timeloop'"),
    ],
)
def test_golden_command_answers_in_one_line(arguments, message, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    level: dict[str, Any] = {"capacity_words": 9, "read_energy_pJ": 1, "write_energy_pJ": 1}
    level |= {"read_bw_words_per_cycle": None, "write_bw_words_per_cycle": None}
    machine: dict[str, Any] = {"word_bits": 8, "pe_rows": 1, "pe_cols": 1, "mac_energy_pJ": 1}
    machine["levels"] = [level | {"name": name} for name in ("RF", "GLB", "DRAM")]
    Path("a.json").write_text(json.dumps({"eyeriss": machine}))
    layer = {"type": "gemm", "name": "g", "stride": 1, "K": 2}
    mapping = {"RF": {"temporal": {"K": 2}}, "DRAM": {"temporal": {}, "order": []}}
    Path("records.jsonl").write_text(json.dumps({"arch": "eyeris", "layer": layer, "mapping": mapping}))
    app = typer.Typer()
    app.command()(golden.main)
    done = CliRunner().invoke(app, arguments)
    assert (done.exit_code, done.stdout) == (2, "")
    assert done.stderr.startswith(f"error: {message}")
    assert done.stderr.count("\n") == 1


# -- oracle 2: a walk of the loop nest, word by word ------------------------------------------------------------------


def words(layer: Layer, tensor: int, start: dict[str, int], tile: dict[str, int]) -> frozenset:
    """Coordinates of a tensor's words in the tile that starts at ``start`` (I: the bounding box)."""
    ranges = {d: range(start[d], start[d] + tile[d]) for d in DIMS}
    if tensor == 0:
        return frozenset(itertools.product(*(ranges[d] for d in "GKCRS")))
    if tensor == 2:
        return frozenset(itertools.product(*(ranges[d] for d in "NGKPQ")))
    axes = []
    for (out, kernel), stride, dilation in zip(("PR", "QS"), layer.stride, layer.dilation, strict=True):
        low = start[out] * stride + start[kernel] * dilation
        axes.append(range(low, low + (tile[out] - 1) * stride + (tile[kernel] - 1) * dilation + 1))
    return frozenset(itertools.product(ranges["N"], ranges["G"], ranges["C"], *axes))


def walk(layer: Layer, mapping: Mappings) -> np.ndarray:
    """Accesses (3, 3, 3) of one mapping by running its loops: the physical rule, literally."""
    t0, x, y, t1, t2 = (dict(zip(DIMS, map(int, row), strict=True)) for row in mapping.factors[0])
    spatial = {d: x[d] * y[d] for d in DIMS}
    array = {d: t0[d] * spatial[d] for d in DIMS}
    buffer = {d: array[d] * t1[d] for d in DIMS}
    loops = [("DRAM", DIMS[d], t2[DIMS[d]], buffer[DIMS[d]]) for d in mapping.order[0, 1]]
    loops += [("GLB", DIMS[d], t1[DIMS[d]], array[DIMS[d]]) for d in mapping.order[0, 0]]
    loops = [loop for loop in loops if loop[2] > 1]
    pes = [
        {d: i * t0[d] for d, i in zip(DIMS, index, strict=True)}
        for index in itertools.product(*(range(spatial[d]) for d in DIMS))
    ]
    counts = np.zeros((3, 3, 3))

    def stream(tensor: int, level_loops: list, tiles: list[tuple[dict, dict]]):
        """(words moved to each instance, words read by all distinct instances, words of all tiles shown, distinct)."""
        relevant = [i for i, loop in enumerate(level_loops) if RELEVANT[tensor, DIMS.index(loop[1])]]
        moved = served = shown = 0
        seen: set = set()
        before: list | None = None
        last: tuple | None = None
        for index in itertools.product(*(range(loop[2]) for loop in level_loops)):
            start = dict.fromkeys(DIMS, 0)
            for (_, d, _, step), i in zip(level_loops, index, strict=True):
                start[d] += i * step
            held = [words(layer, tensor, {d: start[d] + o[d] for d in DIMS}, t) for o, t in tiles]
            prefix = relevant[-1] + 1 if relevant else 0
            moves = before is None or (held != before if tensor != 1 else index[:prefix] != last[:prefix])
            if moves:  # inputs of two steps may happen to be the same words: the rule forgets them, it looks at loops
                slides = before is not None and tensor == 1 and index[: prefix - 1] == last[: prefix - 1]
                new = [h - b for h, b in zip(held, before, strict=True)] if slides else held
                moved += sum(map(len, new))
                served += sum(len(part) for _, part in set(zip(held, new, strict=True)))
                union = frozenset().union(*held)
                shown += len(union)
                seen |= union
            before, last = held, index
        return moved, served, shown, len(seen)

    keep = dict(zip("WIO", mapping.keep[0], strict=True))
    outer = [loop for loop in loops if loop[0] == "DRAM"]
    for tensor, name in enumerate("WIO"):
        parent = 1 if keep[name] else 2
        fills, served, shown, distinct = stream(tensor, loops, [(o, t0) for o in pes])
        counts[0, tensor, 0] = layer.macs
        origin = [(dict.fromkeys(DIMS, 0), buffer)]
        if name == "O":
            counts[0, 2, 2] = layer.macs
            firsts = len(pes) * len(words(layer, 2, dict.fromkeys(DIMS, 0), t0)) * distinct
            firsts //= len(words(layer, 2, dict.fromkeys(DIMS, 0), array))
            counts[0, 2, 0] = layer.macs - firsts
            counts[0, 2, 1] = fills - firsts
            counts[parent, 2, 2], counts[parent, 2, 0] = shown, shown - distinct
            if keep[name]:
                _, _, shown, distinct = stream(tensor, outer, origin)
                counts[2, 2, 2] = shown
                counts[1, 2, 1] = counts[2, 2, 0] = shown - distinct
        else:
            counts[0, tensor, 1], counts[parent, tensor, 0] = fills, served
            if keep[name]:
                counts[1, tensor, 1] = counts[2, tensor, 0] = stream(tensor, outer, origin)[0]
    return counts


@st.composite
def small_cases(draw) -> tuple[Layer, Mappings]:
    """A tiny layer and any mapping of it, divided evenly."""
    factors = np.ones((1, 5, 8), np.int64)
    budget = 7
    for d in draw(st.permutations(range(8))):
        for _ in range(draw(st.integers(0, 2))):
            if budget:
                budget -= 1
                factors[0, draw(st.integers(0, 4)), d] *= draw(st.sampled_from([2, 2, 3]))
    bounds = {d.lower(): int(b) for d, b in zip(DIMS, factors[0].prod(axis=0), strict=True)}
    pair = st.sampled_from([(1, 1), (2, 2), (1, 2)])
    layer = Layer("conv", **bounds, stride=draw(pair), dilation=draw(st.sampled_from([(1, 1), (1, 1), (2, 1)])))
    order = np.array([[draw(st.permutations(range(8))), draw(st.permutations(range(8)))]])
    keep = np.array([draw(st.lists(st.booleans(), min_size=3, max_size=3))])
    return layer, Mappings(factors, order, keep)


@settings(deadline=None, max_examples=80)
@given(small_cases())
def test_counts_are_those_of_the_walk(case):
    layer, mapping = case
    found = CostModel(layer, accelerator(pe_rows=256, pe_cols=256)).evaluate(mapping)
    np.testing.assert_allclose(found.accesses[0], walk(layer, mapping))


# -- oracle 3: the systolic formula -----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("rows", "cols", "k", "n", "m"), [(128, 128, 576, 64, 3136), (16, 8, 40, 20, 7), (4, 4, 4, 4, 1)]
)
def test_systolic_array_takes_the_cycles_of_the_formula(rows, cols, k, n, m):
    """Weight-stationary: ceil(K/rows) * ceil(N/cols) * (2 rows + cols + M - 2) - 1 (SCALE-Sim)."""
    device = accelerator(pe_rows=rows, pe_cols=cols, systolic=True)
    factors = np.ones((1, 5, 8), np.int64)
    factors[0, 2, DIMS.index("C")], factors[0, 1, DIMS.index("K")] = rows, cols
    factors[0, 3, DIMS.index("P")] = m
    factors[0, 4, DIMS.index("C")], factors[0, 4, DIMS.index("K")] = math.ceil(k / rows), math.ceil(n / cols)
    order = np.broadcast_to(np.arange(8), (1, 2, 8))
    mapping = Mappings(factors, order, np.array([[False, True, True]]))
    layer = Layer("gemm", p=m, k=n, c=k)
    mapping.check(layer, device)
    costs = CostModel(layer, device).evaluate(mapping)
    expected = math.ceil(k / rows) * math.ceil(n / cols) * (2 * rows + cols + m - 2) - 1
    assert costs.cycles[0] == expected
    assert costs.utilization[0] == pytest.approx(k * n * m / (expected * rows * cols))
    if (rows, m) == (128, 3136):
        assert expected == 17_589


# -- oracle 4: invariants ---------------------------------------------------------------------------------------------


@settings(deadline=None, max_examples=60)
@given(small_cases())
def test_invariants(case):
    layer, mapping = case
    device = accelerator(pe_rows=256, pe_cols=256, DRAM={"read_words_per_cycle": 2.0, "write_words_per_cycle": 2.0})
    costs = CostModel(layer, device).evaluate(mapping)
    accesses = costs.accesses[0]
    assert (accesses >= 0).all()
    assert (accesses[0, :2, 0] == layer.macs).all()
    assert accesses[0, 2, 2] == layer.macs
    assert accesses[2, 2, 2] >= layer.words[2]
    assert accesses[2, 0, 0] >= layer.words[0]
    assert accesses[2, 1, 0] >= min(layer.words[1], layer.n * layer.g * layer.c)
    assert costs.cycles[0] >= layer.macs / device.num_pes
    assert costs.cycles[0] >= accesses[2, :, 0].sum() / 2
    assert 0 < costs.utilization[0] <= 1
    assert costs.energy_pj[0] == pytest.approx(accesses.sum() + layer.macs)
    walked = CostModel(layer, device, "timeloop").evaluate(mapping)
    np.testing.assert_array_equal(walked.accesses[0, [0, 1, 2]][:, [0, 2]], accesses[:, [0, 2]])


# -- options ----------------------------------------------------------------------------------------------------------


def conv_mapping() -> tuple[Layer, Mappings]:
    """K=4 C=4 P=8 over rows C=2, columns K=2; GLB P=4, K=2; DRAM C=2, P=2."""
    factors = np.ones((1, 5, 8), np.int64)
    for slot, d, f in [(1, "K", 2), (2, "C", 2), (3, "P", 4), (3, "K", 2), (4, "C", 2), (4, "P", 2)]:
        factors[0, slot, DIMS.index(d)] = f
    order = np.broadcast_to([DIMS.index(d) for d in "CPKNGQRS"], (1, 2, 8))
    return Layer(k=4, c=4, p=8), Mappings(factors, order, np.ones((1, 3), bool))


def test_without_spatial_reduction_every_pe_writes_its_sum():
    layer, mapping = conv_mapping()
    joined = CostModel(layer, accelerator()).evaluate(mapping).accesses[0, 1, 2]
    alone = CostModel(layer, accelerator(spatial_reduction=False)).evaluate(mapping).accesses[0, 1, 2]
    assert alone[2] == 2 * joined[2]
    assert alone[0] == joined[0] + joined[2]


def test_double_buffering_halves_the_room():
    layer, mapping = conv_mapping()
    plain = CostModel(layer, accelerator(GLB={"capacity_words": 40})).evaluate(mapping)
    double = CostModel(layer, accelerator(GLB={"capacity_words": 40, "double_buffered": True})).evaluate(mapping)
    assert double.occupancy[0, 1] == 2 * plain.occupancy[0, 1]
    assert plain.valid[0]
    assert double.violation[0] == pytest.approx(np.log2(double.occupancy[0, 1]))


def test_pools_are_checked_one_by_one():
    layer, mapping = conv_mapping()
    pools = {"W": 8, "IO": 1000}
    costs = CostModel(layer, accelerator(GLB={"capacity_words": pools})).evaluate(mapping)
    assert costs.occupancy[0, 1] == pytest.approx(costs.tile_words[0, 1, 0] / 8)


def test_a_shared_port_carries_both_directions():
    layer, mapping = conv_mapping()
    ports = {"read_words_per_cycle": 1.0, "write_words_per_cycle": 1.0}
    two = CostModel(layer, accelerator(DRAM=ports)).evaluate(mapping)
    one = CostModel(layer, accelerator(DRAM={"read_words_per_cycle": 1.0, "shared_port": True})).evaluate(mapping)
    dram = two.accesses[0, 2]
    assert two.cycles[0] == max(dram[:, 0].sum(), dram[:, 1:].sum())
    assert one.cycles[0] == dram.sum()


def test_prologue_noc_and_leakage_add_up():
    layer, mapping = conv_mapping()
    ports = {"read_words_per_cycle": 1.0, "write_words_per_cycle": 1.0}
    plain = CostModel(layer, accelerator(DRAM=ports)).evaluate(mapping)
    full = CostModel(
        layer, accelerator(DRAM=ports, prologue=True, noc_energy_pj=2.0, leakage_pj_per_cycle=3.0)
    ).evaluate(mapping)
    tile = plain.tile_words[0, 1]
    assert full.cycles[0] == plain.cycles[0] + tile.sum()
    delivered = plain.accesses[0, 0, :, 1].sum() + 2 * plain.accesses[0, 1, 2, 2]
    assert full.energy_pj[0] == plain.energy_pj[0] + 2 * delivered + 3 * full.cycles[0]


def test_factors_that_do_not_divide_idle_at_the_edge():
    """K=3 on 2 columns, P=5 in tiles of 2: every word moves once or as often as its tile, none that does not exist."""
    factors = np.ones((1, 5, 8), np.int64)
    factors[0, 1, DIMS.index("K")], factors[0, 4, DIMS.index("K")] = 2, 2
    factors[0, 0, DIMS.index("P")], factors[0, 3, DIMS.index("P")] = 2, 3
    order = np.broadcast_to(np.arange(8), (1, 2, 8))
    layer = Layer(k=3, c=2, p=5)
    factors[0, 0, DIMS.index("C")] = 2
    costs = CostModel(layer, accelerator(pe_rows=1, pe_cols=2)).evaluate(
        Mappings(factors, order, np.ones((1, 3), bool))
    )
    assert costs.accesses[0, 0, 0, 0] == layer.macs == 30
    assert costs.compute_cycles[0] == 2 * 2 * 2 * 3
    assert costs.utilization[0] == pytest.approx(30 / (24 * 2))
    assert costs.accesses[0, 2, 0, 0] == pytest.approx(layer.words[0])
    assert costs.accesses[0, 2, 2, 2] == pytest.approx(layer.words[2])


def test_one_by_one_or_in_a_batch():
    layer, mapping = conv_mapping()
    model = CostModel(layer, accelerator())
    other = Mappings(mapping.factors, mapping.order[:, :, ::-1], mapping.keep)
    both = model.evaluate(Mappings.concatenate([mapping, other]))
    for i, one in enumerate((mapping, other)):
        np.testing.assert_array_equal(model.evaluate(one).accesses[0], both.accesses[i])


def test_grouped_equals_depthwise_and_batched_forms():
    assert parse_layer("dwconv:8x4x4x3x3").words == parse_layer("conv:8x8x4x4x3x3,groups=8").words
    assert parse_layer("gemm:6x4x8,groups=3").macs == 3 * 6 * 4 * 8
    assert parse_layer("conv:8x4x6x6x3x3,stride=2,batch=2").words == (288, 2 * 4 * 13 * 13, 2 * 8 * 36)
    assert parse_layer("fc:4096x1000") == Layer("fc", c=4096, k=1000)


# -- what a user can do wrong -----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "error", "message"),
    [
        ("conv:64x64x56x56x3", InputError, "conv expects KxCxPxQxRxS, whole numbers, found '64x64x56x56x3'"),
        ("conv", InputError, "expected KIND:SIZES such as conv:64x64x56x56x3x3"),
        ("conv:64x0x56x56x3x3", InputError, "C must be a positive integer, found 0"),
        ("conv:64x64x56x56x3x-3", InputError, "S must be a positive integer, found -3"),
        ("conv:64x64x56x56x3x3,stride=0", InputError, "stride must be a positive integer, found 0"),
        ("conv:64x64x56x56x3x3,stride=a", InputError, "stride must be a whole number, found 'a'"),
        ("conv:64x64x56x56x3x3,strde=1", UnknownNameError, "unknown layer option 'strde'. Did you mean 'stride'"),
        ("cov:64x64x56x56x3x3", UnknownNameError, "unknown layer kind 'cov'. Did you mean 'conv'"),
        ("conv:64x64x56x56x3x3,groups=7", InputError, "groups=7 must divide K=64 and C=64"),
    ],
)
def test_layers_that_cannot_be_read(text, error, message):
    with pytest.raises(error, match=message.replace("(", r"\(")):
        parse_layer(text)


def test_layers_that_cannot_be():
    with pytest.raises(InputError, match="K must be a positive integer, found 0"):
        Layer(k=0)
    with pytest.raises(InputError, match=r"P must be a positive integer, found 2\.5"):
        Layer(p=2.5)  # pyright: ignore[reportArgumentType]
    with pytest.raises(InputError, match=r"stride must be a pair \(rows, columns\), found 2"):
        Layer(stride=2)  # pyright: ignore[reportArgumentType]
    with pytest.raises(InputError, match="stride of rows must be a positive integer, found 0"):
        Layer(stride=(0, 1))


def test_mappings_that_cannot_be():
    layer, mapping = conv_mapping()
    device = accelerator()
    mapping.check(layer, device)
    wrong = mapping.factors.copy()
    wrong[0, 3, DIMS.index("P")] = 2
    with pytest.raises(InputError, match=r"factors of P must multiply to its bound 8 \(or more\), found 4"):
        Mappings(wrong, mapping.order, mapping.keep).check(layer, device)
    wrong[0, 3, DIMS.index("P")] = 0
    with pytest.raises(InputError, match="factors must be positive, found P=0 at GLB"):
        Mappings(wrong, mapping.order, mapping.keep).check(layer, device)
    with pytest.raises(InputError, match="spatial factors on X multiply to 2, beyond the array's 1 columns"):
        mapping.check(layer, accelerator(pe_cols=1))
    with pytest.raises(InputError, match="each loop order must name every dimension once"):
        Mappings(mapping.factors, mapping.order * 0, mapping.keep).check(layer, device)
    with pytest.raises(InputError, match=r"expected keep of shape \(1, 3\), found \(1, 2\)"):
        Mappings(mapping.factors, mapping.order, mapping.keep[:, :2])


def test_counting_rules_and_layer_kinds_are_named():
    layer, _ = conv_mapping()
    with pytest.raises(UnknownNameError, match=r"unknown counting rule 'timelop'\. Did you mean 'timeloop'"):
        CostModel(layer, accelerator(), "timelop")  # pyright: ignore[reportArgumentType]
    with pytest.raises(InputError, match=r"cannot run conv layers \(conv K=4 C=4 P=8\): it runs gemm"):
        CostModel(layer, accelerator(layer_kinds=("gemm",)))


def test_the_loop_nest_reads_outer_to_inner():
    _, mapping = conv_mapping()
    assert loop_nest(mapping).splitlines() == [
        "[DRAM keeps W I O]",
        "for c in 0..1",
        "  for p in 0..1",
        "    [GLB keeps W I O]",
        "    for p in 0..3",
        "      for k in 0..1",
        "        [PE rows (Y)]",
        "        parallel c in 0..1",
        "          [PE columns (X)]",
        "          parallel k in 0..1",
        "            [RF keeps W I O]",
        "            O += W * I",
    ]
