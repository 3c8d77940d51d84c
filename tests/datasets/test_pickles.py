"""Published pickles are read without running them."""

from __future__ import annotations

import pickle
from collections import OrderedDict

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from malicious import is_armed, write_malicious_pickle

from nas_proxy import get_space, load_latencies
from nas_proxy.datasets._pickle import load_numbers
from nas_proxy.errors import InputError, UnknownNameError

SPACE = get_space("nasbench201")
ARCHS = SPACE.sample(5, seed=0)
PROTOCOLS = range(pickle.HIGHEST_PROTOCOL + 1)


def write(path, value, protocol=None):
    path.parent.mkdir(exist_ok=True)
    path.write_bytes(pickle.dumps(value, protocol))
    return path


# -- the restricted unpickler ------------------------------------------------------------------------------------------


@pytest.mark.parametrize("protocol", PROTOCOLS)
def test_plain_values_and_numpy_numbers(tmp_path, protocol):
    value = {
        "a": [1, 2.5, True, None, "text", (3,)],
        7: [np.float64(0.1), np.int32(-4), np.float32(2.5), np.bool_(True)],
    }
    value["array"] = np.arange(3, dtype=">i2")
    loaded = load_numbers(write(tmp_path / "x.pickle", value, protocol), "numbers")
    assert loaded == {"a": value["a"], 7: [0.1, -4, 2.5, True], "array": [0, 1, 2]}
    assert [type(number) for number in loaded[7]] == [float, int, float, bool]


numbers = st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(max_size=5)
values = st.recursive(
    numbers, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=3), inner, max_size=3)
)


@settings(max_examples=50, deadline=None)
@given(value=values, protocol=st.sampled_from(PROTOCOLS))
def test_any_plain_value(tmp_path_factory, value, protocol):
    path = write(tmp_path_factory.mktemp("pickles") / "x.pickle", value, protocol)
    assert load_numbers(path, "numbers") == value


@pytest.mark.parametrize("protocol", PROTOCOLS)
def test_a_malicious_pickle_is_refused_and_never_run(tmp_path, protocol):
    trace = tmp_path / "trace"
    path = write_malicious_pickle(tmp_path / "x.pickle", trace, protocol)
    assert is_armed(path, trace)
    with pytest.raises(InputError, match=r"x\.pickle: expected numbers .*not loaded, because it asks for posix\.mkdir"):
        load_numbers(path, "numbers")
    assert not trace.exists()


def attack(*parts: bytes) -> bytes:
    return b"\x80\x02" + b"".join(parts) + b"."


TRACE = b"U\x05trace"
SCALAR, DTYPE, ENCODE = (
    b"c" + name + b"\n" for name in (b"numpy.core.multiarray\nscalar", b"numpy\ndtype", b"_codecs\nencode")
)


@pytest.mark.parametrize(
    "program",
    [
        attack(b"cbuiltins\neval\n", b"U\x011", b"\x85R"),
        attack(b"cbuiltins\ngetattr\n", DTYPE, b"U\x08__init__", b"\x86R"),
        attack(b"cnumpy.core.multiarray\nfrombuffer\n"),
        attack(b"cnumpy\nload\n", TRACE, b"\x85R"),
        attack(b"cnumpy\ndtype.__class__\n"),
        attack(b"cnas_proxy.datasets._pickle\n_Sealed\n"),
        attack(b"ctorch._utils\n_rebuild_tensor_v2\n"),
        # an object of numpy's, made of the file's bytes, could point anywhere
        attack(SCALAR, DTYPE, b"U\x01O", b"\x85R", b"U\x08AAAAAAAA", b"\x86R"),
        attack(SCALAR, DTYPE, b"U\x02V8", b"\x85R", b"U\x08AAAAAAAA", b"\x86R"),
        # changes to the reader itself
        attack(SCALAR, b"}U\x09_functionU\x01xs", b"b"),
        attack(SCALAR, b"N}U\x09_functionU\x01xs\x86", b"b"),
        attack(DTYPE, b"U\x02f8", b"\x85R", b"}U\x05_codeU\x01Os", b"b"),
        attack(SCALAR, b"U\x03abc", b"U\x03abc", b"\x86R"),
        attack(ENCODE, b"U\x03abc", b"U\x05rot13", b"\x86R"),
        attack(DTYPE, b")\x81"),  # NEWOBJ
        attack(b"(i__main__\nX\n"),
        attack(b"U\x03pidQ"),  # persistent id
        attack(b"\x82\x01"),  # extension registry
        attack(b"r\xff\xff\xff\x7f"),  # memo far out
        b"",
        b"\x80\x05",
        b"not a pickle",
    ],
    ids=lambda program: repr(program)[:60],
)
def test_programs_that_are_no_numbers(tmp_path, program):
    from nas_proxy.datasets import _pickle

    path, before = tmp_path / "x.pickle", dict(_pickle._ADMITTED)
    path.write_bytes(program)
    with pytest.raises(InputError, match=r"x\.pickle: expected numbers"):
        load_numbers(path, "numbers")
    assert before == _pickle._ADMITTED
    assert list(tmp_path.iterdir()) == [path]
    good = write(tmp_path / "good.pickle", [np.float64(1.5)])
    assert load_numbers(good, "numbers") == [1.5]


@pytest.mark.parametrize(
    "value", [np.zeros((2, 2)), np.array([1j]), np.array(["a"]), OrderedDict(a=1), {1, 2}.union, range(3)]
)
def test_other_objects(tmp_path, value):
    with pytest.raises(InputError, match="not loaded, because"):
        load_numbers(write(tmp_path / "x.pickle", value), "numbers")


def test_truncated_anywhere(tmp_path):
    whole = pickle.dumps([np.float64(1.0), 2, "text"])
    path = tmp_path / "x.pickle"
    for length in range(len(whole)):
        path.write_bytes(whole[:length])
        with pytest.raises(InputError, match=r"x\.pickle"):
            load_numbers(path, "numbers")
    with pytest.raises(InputError, match="found nothing"):
        load_numbers(tmp_path / "none.pickle", "numbers")


# -- OneProxy ----------------------------------------------------------------------------------------------------------


def one_hot(archs, order=range(5), bias_first=False):
    rows = []
    for code in SPACE.encode(archs):
        bits = [int(operator == choice) for choice in code for operator in order]
        rows.append([1, *bits] if bias_first else [*bits, 1])
    return rows


@pytest.fixture
def oneproxy(tmp_path):
    folder = tmp_path / "oneproxy"
    write(folder / "encode.pickle", one_hot(ARCHS))
    write(folder / "rice_fpga.pickle", [np.float64(i + 1) for i in range(5)], 3)
    write(folder / "latency_data" / "eagle_i7.pickle", [5, 4, 3, 2, 1])
    return folder


def test_oneproxy(oneproxy):
    table = load_latencies("oneproxy", oneproxy)
    assert table.space == "nasbench201"
    assert table.archs == tuple(ARCHS)
    assert table.devices == ("eagle_i7", "rice_fpga")
    assert table.latency_ms("rice_fpga").tolist() == [1, 2, 3, 4, 5]
    assert table.latency_ms("eagle_i7", [ARCHS[4]]).tolist() == [1]


def test_oneproxy_with_another_order_of_columns(oneproxy):
    write(
        oneproxy / "encode.pickle",
        [[np.int64(x) for x in row] for row in one_hot(ARCHS, (3, 1, 4, 0, 2), bias_first=True)],
    )
    operators = ["nor_conv_3x3", "skip_connect", "avg_pool_3x3", "none", "nor_conv_1x1"]
    assert load_latencies("oneproxy", oneproxy, operators=operators).archs == tuple(ARCHS)
    with pytest.raises(InputError, match="operators: expected an order of none, skip_connect"):
        load_latencies("oneproxy", oneproxy, operators=operators[:4])


def test_oneproxy_cells_that_are_repeated(oneproxy, caplog):
    write(oneproxy / "encode.pickle", one_hot([*ARCHS[:4], ARCHS[0]]))
    table = load_latencies("oneproxy", oneproxy)
    assert table.archs == tuple(ARCHS[:4])
    assert table.latency_ms("rice_fpga").tolist() == [1, 2, 3, 4]
    assert "1 rows repeat an earlier cell" in caplog.text


@pytest.mark.parametrize(
    ("name", "value", "said"),
    [
        ("encode", [[0] * 31] * 5, "expected a first or last column of ones"),
        ("encode", [[1] * 31] * 5, "row 0 is not a one-hot encoding of 6 edges with 5 operators"),
        ("encode", [[1] * 30] * 5, "expected a list of rows of 31 numbers"),
        ("encode", [[1] * 31, [1]], "expected a list of rows of 31 numbers"),
        ("encode", {"a": 1}, "expected a list of rows of 31 numbers"),
        ("rice_fpga", [1.0, 2.0], "expected 5 latencies, one per architecture"),
        ("rice_fpga", [1.0, 2.0, 3.0, 0.0, 5.0], "row 3 is 0.0"),
        ("rice_fpga", ["a"] * 5, "expected 5 numbers"),
    ],
)
def test_oneproxy_files_of_another_form(oneproxy, name, value, said):
    write(oneproxy / f"{name}.pickle", value)
    with pytest.raises(InputError, match=rf"{name}\.pickle: .*{said}"):
        load_latencies("oneproxy", oneproxy)


def test_a_malicious_device_in_oneproxy(oneproxy):
    trace = oneproxy / "trace"
    path = write_malicious_pickle(oneproxy / "phone.pickle", trace)
    assert is_armed(path, trace)
    with pytest.raises(InputError, match=r"phone\.pickle: .*not loaded"):
        load_latencies("oneproxy", oneproxy)
    assert not trace.exists()


def test_oneproxy_without_files(tmp_path, oneproxy):
    with pytest.raises(InputError, match=r"encode\.pickle: expected a list of one-hot encodings, found nothing"):
        load_latencies("oneproxy", tmp_path)
    (oneproxy / "rice_fpga.pickle").unlink()
    (oneproxy / "latency_data" / "eagle_i7.pickle").unlink()
    with pytest.raises(InputError, match="expected latencies in files"):
        load_latencies("oneproxy", oneproxy)


# -- HW-NAS-Bench ------------------------------------------------------------------------------------------------------


def hw_nas_bench(**changes):
    lists = {
        "config": [{"name": "infer.tiny", "C": 16, "N": 5, "arch_str": arch, "num_classes": 10} for arch in ARCHS],
        "pixel3_latency": [np.float64(i + 1) for i in range(5)],
        "fpga_latency": [5.0, 4.0, 3.0, 2.0, 1.0],
        "fpga_energy": [1.0] * 5,
    }
    return {"nasbench201": {"cifar10": lists | changes, "cifar100": lists | {"fpga_latency": [9.0] * 5}}, "fbnet": {}}


def test_hw_nas_bench(tmp_path):
    path = write(tmp_path / "hw.pickle", hw_nas_bench())
    table = load_latencies("hw-nas-bench", path)
    assert table.archs == tuple(ARCHS)
    assert table.devices == ("fpga", "pixel3")
    assert table.latency_ms("fpga").tolist() == [5, 4, 3, 2, 1]
    assert load_latencies("hw-nas-bench", path, dataset="cifar100").latency_ms("fpga").tolist() == [9] * 5


def test_fbnet_in_hw_nas_bench(tmp_path):
    archs = [tuple(int(i) for i in np.random.default_rng(seed).integers(0, 9, 22)) for seed in range(4)]
    configs = [{"dataset": "cifar100", "op_idx_list": list(arch), "arch_str": "A" * 22} for arch in archs]
    value = {"fbnet": {"cifar100": {"config": configs, "edgegpu_latency": [1.0, 2.0, 3.0, 4.0]}}}
    table = load_latencies("hw-nas-bench", write(tmp_path / "hw.pickle", value), space="fbnet", dataset="cifar100")
    assert table.archs == tuple(archs)
    value["fbnet"]["cifar100"]["config"][2] = {"op_idx_list": [99] * 22}
    with pytest.raises(InputError, match="fbnet"):
        load_latencies("hw-nas-bench", write(tmp_path / "bad.pickle", value), space="fbnet", dataset="cifar100")


@pytest.mark.parametrize(
    ("value", "options", "error", "said"),
    [
        (hw_nas_bench(), {"space": "nasbench-201"}, UnknownNameError, "Did you mean 'nasbench201'"),
        (hw_nas_bench(), {"dataset": "cifar"}, UnknownNameError, "Did you mean 'cifar10'"),
        ([1, 2], {}, InputError, "expected a dict of search spaces, found list"),
        ({"nasbench201": {"cifar10": {}}}, {}, InputError, "expected lists 'config' and '<device>_latency'"),
        (hw_nas_bench(config=[{"C": 16}] * 5), {}, InputError, "config, row 0: expected an architecture's text"),
        (hw_nas_bench(config=["|none~0|"] * 5), {}, InputError, "nasbench201"),
        (hw_nas_bench(fpga_latency=[1.0]), {}, InputError, "fpga_latency: expected 5 latencies"),
        (hw_nas_bench(fpga_latency=[1.0, -1.0, 1.0, 1.0, 1.0]), {}, InputError, "fpga_latency: .*row 1 is -1.0"),
    ],
)
def test_hw_nas_bench_of_another_form(tmp_path, value, options, error, said):
    path = write(tmp_path / "hw.pickle", value)
    with pytest.raises(error, match=said):
        load_latencies("hw-nas-bench", path, **options)


def test_a_malicious_hw_nas_bench(tmp_path):
    trace = tmp_path / "trace"
    path = write_malicious_pickle(tmp_path / "hw.pickle", trace)
    assert is_armed(path, trace)
    with pytest.raises(InputError, match="not loaded"):
        load_latencies("hw-nas-bench", path)
    assert not trace.exists()
