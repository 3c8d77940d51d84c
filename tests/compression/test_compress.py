"""One policy, one method: what comes out, what is reported, and what is refused."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import nn

from nas_proxy.compression import Compressor, compress, plot, read_json, to_csv, to_json
from nas_proxy.errors import InputError

from ._tasks import actor, follow, observations


@pytest.fixture(scope="module")
def compressor() -> Compressor:
    return Compressor(actor(), follow(), observations(), seeds=range(10))


@pytest.fixture(scope="module")
def found(compressor: Compressor) -> dict[str, Any]:
    methods = ("float32", "PTDQ", "PTSQ", "QAT", "L2 0.5", "L2 0.5 + distil 100", "L2 0.5 + QAT")
    return {method: compressor(method) for method in methods}


def test_float32_is_the_policy(found: dict[str, Any]) -> None:
    x = observations(5, 3)
    with torch.no_grad():
        np.testing.assert_allclose(found["float32"].actor(x), actor()(torch.from_numpy(x)).numpy(), atol=1e-6)
    report = found["float32"].report
    assert report.kept.share == pytest.approx(1.0)
    assert report.keeps
    assert report.noise == 0


def test_rounding_costs_little_and_can_be_trained_with(found: dict[str, Any]) -> None:
    share = {method: compressed.report.kept.share for method, compressed in found.items()}
    assert all(0.95 < share[method] < 1 for method in ("PTDQ", "PTSQ", "QAT"))
    assert share["L2 0.5 + QAT"] > share["L2 0.5"] + 0.2


def test_distillation_brings_back_what_pruning_took(found: dict[str, Any]) -> None:
    pruned, distilled = (found[method].report for method in ("L2 0.5", "L2 0.5 + distil 100"))
    assert pruned.kept.share < 0.7
    assert not pruned.keeps
    assert distilled.kept.share > 0.9
    assert pruned.after.macs == distilled.after.macs == 4 * 12 + 12 * 12 + 12 * 2


def test_footprints(found: dict[str, Any]) -> None:
    plain, rounded = found["float32"].report.after, found["PTDQ"].report.after
    assert plain.macs == 4 * 24 + 24 * 24 + 24 * 2 == rounded.int8_macs
    assert plain.int8_macs == 0
    assert plain.weight_bytes == 4 * (plain.macs + 24 + 24 + 2)
    assert rounded.weight_bytes < plain.weight_bytes / 2
    assert plain.energy_nj == pytest.approx((4.6 * plain.macs + 12.5 * plain.weight_bytes) / 1e3)
    assert plain.batch_1.low_us <= plain.batch_1.median_us <= plain.batch_1.high_us
    assert found["L2 0.5"].report.times_smaller > 1.5


def test_reports_can_be_written_and_read(found: dict[str, Any], tmp_path: Path) -> None:
    reports = [compressed.report for compressed in found.values()]
    about, again = read_json(to_json(reports, tmp_path / "r.json", policy="mine"))
    assert again == reports
    assert about["policy"] == "mine"
    assert "Horowitz" in about["energy_model"]
    rows = to_csv(reports, tmp_path / "r.csv").read_text().splitlines()
    assert rows[0].startswith("method,keeps,kept,")
    assert len(rows) == 1 + len(reports)
    assert plot(reports, tmp_path / "r.png").read_bytes().startswith(b"\x89PNG")
    (tmp_path / "other.json").write_text(json.dumps({"reports": [{"method": 1}]}))
    with pytest.raises(InputError, match="does not hold compression reports"):
        read_json(tmp_path / "other.json")


def test_verdict_says_how_sure_it_is_and_what_is_faster(found: dict[str, Any]) -> None:
    from dataclasses import replace

    report = found["PTDQ"].report
    slow = replace(report.before.batch_1, low_us=90.0, median_us=100.0, high_us=110.0)
    fast = replace(slow, low_us=9.0, median_us=10.0, high_us=11.0)
    even = {"batch_256": fast}
    slower = replace(
        report, before=replace(report.before, batch_1=fast, **even), after=replace(report.after, batch_1=slow, **even)
    )
    assert slower.advice.startswith("Slower than float32 at batch 1 (100 against 10 us): where time counts there, run")
    assert replace(slower, after=slower.before).advice == "Not slower than float32."
    assert "noise 0.5" in replace(report, noise=0.5).verdict
    assert "more seeds" in replace(report, kept=replace(report.kept, low=0.9, high=1.0)).verdict


def test_the_file_is_what_acts(found: dict[str, Any], tmp_path: Path) -> None:
    import onnxruntime

    path = found["PTDQ"].save(tmp_path / "policy.onnx")
    session = onnxruntime.InferenceSession(path, providers=["CPUExecutionProvider"])
    x = observations(3, 9)
    [out] = session.run(None, {session.get_inputs()[0].name: x})
    np.testing.assert_array_equal(out, found["PTDQ"].actor(x))


def test_same_seed_same_policy(compressor: Compressor, found: dict[str, Any]) -> None:
    distilled = found["L2 0.5 + distil 100"].method
    again, _ = compressor._smaller(distilled)
    for name, value in found["L2 0.5 + distil 100"].network.state_dict().items():
        np.testing.assert_array_equal(again.state_dict()[name], value)


def _evaluated_by(compressor: Compressor, evaluate: Any) -> Compressor:
    """The same policy with another evaluation; its file is taken over."""
    other = Compressor(actor(), evaluate, observations(), seeds=range(6))
    other.float32 = compressor.float32
    return other


def test_noise_is_found_and_reported(compressor: Compressor) -> None:
    rng = np.random.default_rng(0)

    def noisy(policy: Any, seed: int) -> float:
        return follow()(policy, seed) + 0.1 * rng.standard_normal()

    report = _evaluated_by(compressor, noisy)("float32").report
    assert 0.01 < report.noise < 0.5
    assert "not deterministic under a seed" in report.verdict


def test_no_parameters() -> None:
    with pytest.raises(InputError, match="ReLU has no parameters"):
        compress(nn.ReLU(), "PTDQ", follow(), observations())


class Recurrent(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.memory, self.head = nn.GRU(4, 8), nn.Linear(8, 2)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.head(self.memory(x[None])[0][0])


@pytest.mark.parametrize(("method", "step"), [("L2 0.3", "pruning"), ("PTDQ", "PTDQ"), ("QAT", "QAT")])
def test_unsupported_layers_are_named(method: str, step: str) -> None:
    with pytest.raises(InputError, match=rf"{step} cannot take: memory \(GRU\)\. It takes: Linear"):
        compress(Recurrent(), method, follow(), observations())


def test_nothing_to_quantize() -> None:
    with pytest.raises(InputError, match="PTDQ finds no layer to quantize"):
        compress(nn.LayerNorm(4), "PTDQ", lambda policy, seed: 1.0, observations())


def test_a_network_that_cannot_be_traced() -> None:
    class Branches(nn.Linear):
        def forward(self, x: torch.Tensor) -> torch.Tensor:
            return super().forward(x) if float(x.sum()) > 0 else x[:, :2]

    with pytest.raises(InputError, match="cannot be exported to ONNX"):
        compress(Branches(4, 2), "float32", follow(), observations())


def test_observations_of_another_shape() -> None:
    with pytest.raises(InputError, match=r"Sequential cannot take the observations, of shapes \(1, 3\)"):
        compress(actor(), "PTDQ", follow(), observations()[:, :3])


def test_not_a_policy() -> None:
    with pytest.raises(InputError, match=r"found a policy of type str: expected a torch\.nn\.Module"):
        compress("PPO", "PTDQ", follow(), observations())


@pytest.mark.parametrize("value", [float("nan"), float("inf")])
def test_returns_that_are_no_numbers(compressor: Compressor, value: float) -> None:
    with pytest.raises(InputError, match=r"gave the return (nan|inf) for seed 0"):
        _evaluated_by(compressor, lambda policy, seed: value)("PTDQ")


def test_a_return_that_is_no_number_after_compression_names_the_method(compressor: Compressor) -> None:
    original = compressor.float32

    def evaluate(policy: Any, seed: int) -> float:
        return 1.0 if policy.model == original.model else float("nan")

    with pytest.raises(InputError, match=r"^PTDQ: evaluate gave the return nan for seed 0"):
        _evaluated_by(compressor, evaluate)("PTDQ")


def test_a_return_of_another_type(compressor: Compressor) -> None:
    with pytest.raises(InputError, match="evaluate gave NoneType for seed 0"):
        _evaluated_by(compressor, lambda policy, seed: None)("PTDQ")


def test_returns_below_the_floor(compressor: Compressor) -> None:
    with pytest.raises(InputError, match="is not above the floor"):
        _evaluated_by(compressor, lambda policy, seed: -200.0)("PTDQ")


def test_too_few_seeds_and_a_strange_share() -> None:
    with pytest.raises(InputError, match="at least two seeds"):
        compress(actor(), "float32", follow(), observations(), seeds=[1])
    with pytest.raises(InputError, match="floor must be a number, found nan"):
        compress(actor(), "float32", follow(), observations(), floor=float("nan"))
    with pytest.raises(InputError, match="keep must be above 0"):
        compress(actor(), "float32", follow(), observations(), keep=95)
