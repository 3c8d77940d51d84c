"""Published data sets: the real files, and files that are not what they should be."""

from __future__ import annotations

import pickle
import shutil
import zipfile

import numpy as np
import pytest
from malicious import is_armed, write_malicious_pickle

from nas_proxy import get_space, load_accuracies, load_latencies
from nas_proxy.errors import InputError

ARCHS = tuple(get_space("nasbench201").sample(4, seed=0))


def save(value, path):
    """As ``torch.save`` writes plain values; a test below holds it against torch itself."""
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("archive/data.pkl", pickle.dumps(value, 2))


@pytest.fixture
def folder(tmp_path):
    """A small folder in HELP's format."""
    (tmp_path / "latency").mkdir()
    save({arch: i for i, arch in enumerate(ARCHS)}, tmp_path / "str_arch2idx.pt")
    save([1.0, 2.0, 3.0, 4.0], tmp_path / "latency" / "phone.pt")
    save([3, 5, 4, 6], tmp_path / "latency" / "board.pt")
    return tmp_path


@pytest.mark.parametrize(("space", "n"), [("nasbench201", 15_625), ("fbnet", 5_000)])
def test_help(measurements, space, n):
    table = load_latencies("help", measurements("help", space))
    assert table.space == space
    assert len(table) == len(set(table.archs)) == n
    assert len(table.devices) == 27
    assert {"pixel3", "raspi4", "eyeriss", "fpga", "1080ti_1"} <= set(table.devices)
    assert get_space(space).encode(table.archs).shape[0] == n  # all of them are of the space
    assert np.isfinite(table.values_ms).all()


def test_nats_bench_is_in_the_order_of_its_index(measurements):
    table = load_accuracies("nats-bench", measurements("nats-bench", "cifar10_perfmetrics.txt"))
    nothing = "|none~0|+|none~0|none~1|+|none~0|none~1|none~2|"
    # the best of NAS-Bench-201 on CIFAR-10 have 94.37 % (Dong & Yang, ICLR 2020, table 5); this is one of them
    best = "|nor_conv_3x3~0|+|nor_conv_3x3~0|nor_conv_3x3~1|+|skip_connect~0|nor_conv_3x3~1|nor_conv_3x3~2|"
    assert table.accuracy_of([nothing, best]) == pytest.approx([10.0, 94.37], abs=0.01)
    assert table.accuracy.max() == pytest.approx(94.37, abs=0.005)


def test_a_small_folder(folder):
    table = load_latencies("help", folder)
    assert table.archs == ARCHS
    assert table.devices == ("board", "phone")
    assert table.latency_ms("board").tolist() == [3, 5, 4, 6]


@pytest.mark.parametrize(
    ("values", "said"),
    [
        ([1.0, 2.0, 3.0], r"expected 4 latencies, one per architecture, found shape \(3,\)"),
        ([1.0, 2.0, float("nan"), 4.0], "row 2 is nan"),
        ([1.0, -2.0, 0.0, 4.0], "row 1 is -2.0, and 1 more rows are wrong"),
        (["fast"] * 4, "expected 4 numbers"),
        ({"a": 1}, "expected 4 numbers"),
    ],
)
def test_files_that_hold_something_else(folder, values, said):
    save(values, folder / "latency" / "phone.pt")
    with pytest.raises(InputError, match=r"phone\.pt: .*" + said):
        load_latencies("help", folder)


def test_files_of_torch_old_and_new_and_with_more_than_numbers(folder):
    torch = pytest.importorskip("torch", reason="writes torch's files")
    path = folder / "latency" / "phone.pt"
    for zipped in (True, False):
        torch.save([1.0, 2.0, 3.0, 5.0], path, _use_new_zipfile_serialization=zipped)
        assert load_latencies("help", folder).latency_ms("phone").tolist() == [1, 2, 3, 5]
    torch.save(torch.ones(4), path)
    with pytest.raises(InputError, match=r"phone\.pt: .*plain numbers.* not loaded, because it asks for torch\._utils"):
        load_latencies("help", folder)
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("archive/data.pkl", pickle.dumps("0" * 10**6))
    with pytest.raises(InputError, match="its data are compressed"):
        load_latencies("help", folder)


def test_a_truncated_file(folder):
    path = folder / "latency" / "phone.pt"
    path.write_bytes(path.read_bytes()[:-200])
    with pytest.raises(InputError, match=r"phone\.pt: .*truncated or neither a pickle nor a torch file"):
        load_latencies("help", folder)
    path.write_bytes(b"")
    with pytest.raises(InputError, match=r"phone\.pt: .*truncated or neither a pickle nor a torch file"):
        load_latencies("help", folder)
    path.write_bytes(b"arch,latency_ms\n")
    with pytest.raises(InputError, match=r"phone\.pt"):
        load_latencies("help", folder)


def test_a_malicious_pickle_is_refused_and_never_loaded(folder):
    trace = folder / "trace"
    path = write_malicious_pickle(folder / "latency" / "phone.pt", trace, 2)
    assert is_armed(path, trace)
    with pytest.raises(InputError, match=r"phone\.pt: .*asks for posix\.mkdir, which could run code"):
        load_latencies("help", folder)
    assert not trace.exists()


def test_a_malicious_torch_file_is_refused_and_never_loaded(folder):
    from malicious import Malicious

    torch = pytest.importorskip("torch", reason="writes torch's files")
    trace, path = folder / "trace", folder / "latency" / "phone.pt"
    torch.save(Malicious(trace), path)
    torch.load(path, weights_only=False)  # the bait is one
    trace.rmdir()
    with pytest.raises(InputError, match=r"phone\.pt: .*asks for posix\.mkdir, which could run code"):
        load_latencies("help", folder)
    assert not trace.exists()


def test_a_folder_of_something_else(folder, tmp_path):
    with pytest.raises(InputError, match="found neither"):
        load_latencies("help", tmp_path / "nowhere")
    shutil.rmtree(folder / "latency")
    with pytest.raises(InputError, match=r"expected files <device>\.pt, found none"):
        load_latencies("help", folder)
    save([1, 2, 3], folder / "str_arch2idx.pt")
    with pytest.raises(InputError, match="expected a dict"):
        load_latencies("help", folder)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("0 50.0\n1 51.0\n2 52.0\n", r"expected 4 rows .*found \(3, 2\)"),
        ("0 50.0\n1 51.0\n2 52.0\n2 53.0\n", "expected the indices 0..3"),
        ("0 50.0\n1 51.0\n2 52.0\n3 530.0\n", "in percent, 0 to 100; row 3 is 530"),
        ("0 50.0\n1 51.0\n2\n3 53.0\n", "expected a table of numbers"),
        ("arch,accuracy\n", "expected a table of numbers"),
    ],
)
def test_accuracies_that_do_not_fit(folder, text, said):
    path = folder / "accuracies.txt"
    path.write_text(text)
    with pytest.raises(InputError, match=said):
        load_accuracies("nats-bench", path, index=folder / "str_arch2idx.pt")


def test_accuracies_in_any_order(folder):
    path = folder / "accuracies.txt"
    path.write_text("# index accuracy\n2 52\n0 50\n3 53\n1 51\n")
    table = load_accuracies("nats-bench", path, index=folder / "str_arch2idx.pt")
    assert table.archs == ARCHS
    assert table.accuracy.tolist() == [50, 51, 52, 53]
    with pytest.raises(InputError, match=r"str_arch2idx\.pt: expected a dict .* found nothing"):
        load_accuracies("nats-bench", path)
