"""timm's tables: time per image, best weights of a network, and what is wrong with a damaged table."""

from __future__ import annotations

import numpy as np
import pytest

from nas_proxy.datasets import load_accuracies, load_latencies
from nas_proxy.datasets.timm import is_timm_benchmark, read_timm_weights
from nas_proxy.errors import InputError

BENCHMARK = """model,infer_img_size,infer_samples_per_sec,infer_step_time,infer_batch_size,param_count
resnet50,224,3219.06,318.095,1024,25.56
resnet50,288,1939.79,527.881,1024,25.56
vit_giant,518,2.5,400.0,1,"1,136.48"
"""
RESULTS = """model,img_size,top1,top1_err,top5,top5_err,param_count,crop_pct,interpolation
resnet50.a1_in1k,224,80.2,19.8,94.6,5.4,25.56,0.950,bicubic
resnet50.tv_in1k,224,76.1,23.9,92.9,7.1,25.56,0.875,bilinear
resnet50.a1_in1k,288,81.2,18.8,95.1,4.9,"25.56",1.000,bicubic
"""


@pytest.fixture
def folder(tmp_path):
    (tmp_path / "benchmark-infer-gpu.csv").write_text(BENCHMARK)
    (tmp_path / "benchmark-infer-cpu.csv").write_text(BENCHMARK.replace("resnet50,288", "resnet50,160"))
    (tmp_path / "results.csv").write_text(RESULTS)
    return tmp_path


def test_latency_is_the_time_per_image(folder):
    table = load_latencies("timm", folder / "benchmark-infer-gpu.csv")
    assert table.space == "timm"
    assert table.devices == ("gpu",)
    assert table.archs == ("resnet50@224", "resnet50@288", "vit_giant@518")
    np.testing.assert_allclose(table.latency_ms("gpu"), [318.095 / 1024, 527.881 / 1024, 400.0])


def test_a_folder_is_read_as_one_table(folder):
    table = load_latencies("timm", folder)
    assert table.devices == ("cpu", "gpu")
    assert len(table) == 4
    assert np.isnan(table.latency_ms("gpu", ["resnet50@160"]))
    assert len(table.measured_on("cpu", "gpu")) == 2


def test_accuracy_is_that_of_the_best_weights(folder):
    table = load_accuracies("timm", folder / "results.csv")
    assert dict(zip(table.archs, table.accuracy, strict=True)) == {"resnet50@224": 80.2, "resnet50@288": 81.2}
    weights = read_timm_weights(folder / "results.csv")
    assert [(w.name, w.arch, w.top1) for w in weights][1] == ("resnet50.tv_in1k", "resnet50@224", 76.1)


def test_a_benchmark_is_known_by_its_header(folder):
    assert is_timm_benchmark(folder / "benchmark-infer-gpu.csv")
    assert not is_timm_benchmark(folder / "results.csv")


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("infer_step_time", "time", "the column 'infer_step_time' is missing; found: model"),
        ("318.095", "fast", "infer_step_time: expected a number, found 'fast'"),
        ("318.095", "0", "a latency must be a positive number of ms; row 0 is 0.0"),
        ("resnet50,288", "resnet50,224", "resnet50@224 is there twice"),
    ],
)
def test_what_is_wrong_with_a_benchmark_is_said(tmp_path, old, new, message):
    path = tmp_path / "benchmark-infer-x.csv"
    path.write_text(BENCHMARK.replace(old, new))
    with pytest.raises(InputError, match=message):
        load_latencies("timm", path)


def test_what_is_wrong_with_results_is_said(tmp_path):
    path = tmp_path / "results.csv"
    path.write_text(RESULTS.replace("81.2", "181.2"))
    with pytest.raises(InputError, match=r"top1 must be in percent, 0 to 100; row 2 is 181.2"):
        load_accuracies("timm", path)
    with pytest.raises(InputError, match="expected one of timm's tables"):
        load_latencies("timm", tmp_path / "none.csv")
    with pytest.raises(InputError, match=r"expected timm's benchmark tables, .* found none"):
        load_latencies("timm", tmp_path)


def test_the_published_tables_are_read(measurements):
    table = load_latencies("timm", measurements("timm"))
    assert len(table.devices) == 5
    assert len(table) == 1447
    assert len(table.measured_on(*table.devices)) == 1428
    assert len(load_accuracies("timm", measurements("timm", "results-imagenet.csv"))) == 1193
