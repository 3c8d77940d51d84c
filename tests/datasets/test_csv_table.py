"""Measurements as CSV: what is read, what is refused and how that is said."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from malicious import is_armed, write_malicious_pickle

from nas_proxy import LatencyTable, get_space, load_accuracies, load_latencies
from nas_proxy.datasets.csv_table import read_archs
from nas_proxy.errors import InputError, UnknownNameError

A = "|nor_conv_3x3~0|+|none~0|none~1|+|none~0|none~1|none~2|"
B = "|nor_conv_3x3~0|+|none~0|none~1|+|skip_connect~0|none~1|none~2|"
C = "|nor_conv_1x1~0|+|none~0|none~1|+|skip_connect~0|none~1|none~2|"


@pytest.fixture
def write(tmp_path):
    def write(text: str, name: str = "phone.csv"):
        path = tmp_path / name
        path.write_text(text)
        return path

    return write


def read(path, space="nasbench201"):
    return load_latencies("csv", path, space=space)


def test_the_simplest_file(write):
    table = read(write(f"arch,latency_ms\n{A},1.5\n{B},2\n"))
    assert table.space == "nasbench201"
    assert table.archs == (A, B)
    assert table.devices == ("phone",)
    assert table.latency_ms("phone").tolist() == [1.5, 2.0]


def test_comments_units_blank_lines_other_columns_and_a_byte_order_mark(write):
    head = "\ufeff# space: nasbench201\n# by hand\n\nlatency_ms,temperature,arch\n(ms),C,\n\n"
    table = read(write(head + f" 1.5 ,40, {A} \n# later\n2,41,{B}\n"), space=None)
    assert table.archs == (A, B)
    assert table.latency_ms("phone").tolist() == [1.5, 2.0]


def test_several_devices_in_one_file(write):
    table = read(write(f"arch,latency_ms,device\n{A},1,x\n{B},2,x\n{A},3,y\n"))
    assert table.devices == ("x", "y")
    np.testing.assert_array_equal(table.latency_ms("y"), [3.0, np.nan])
    both = table.measured_on("x", "y")
    assert both.archs == (A,)
    assert both.values_ms.tolist() == [[1.0, 3.0]]


def test_rows_still_to_be_filled_in_are_left_out_and_said(write, caplog):
    table = read(write(f"arch,file,latency_ms\n{A},a.onnx,\n{B},b.onnx,2\n{C},c.onnx, \n"))
    assert table.archs == (B,)
    assert "2 of 3 rows have no latency_ms yet" in caplog.text


def test_architectures_of_any_file(write):
    assert read_archs(write(f"# space: nasbench201\nrank,arch\n1,{B}\n2,{A}\n3,{B}\n")) == [B, A]


def test_accuracies(write):
    table = load_accuracies("csv", write(f"arch,accuracy\n{A},71.5\n{B},70\n"), space="nasbench201")
    assert table.accuracy_of([B, A]).tolist() == [70.0, 71.5]


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("", "the file is empty"),
        (f"architecture,latency_ms\n{A},1\n", "the column 'arch' is missing; found: architecture, latency_ms"),
        (",".join(f"d{i}" for i in range(50)) + "\n", "d38, d39, ... (50 in all)."),
        (f"arch,time\n{A},1\n", "the column 'latency_ms' is missing; found: arch, time"),
        (f"arch,latency_s\n{A},1\n", "expected latencies in milliseconds in a column 'latency_ms', found 'latency_s'"),
        (f"arch,latency_us\n{A},1\n", "found 'latency_us'. Convert the values to milliseconds"),
        (f"arch,Latency (us)\n{A},1\n", "found 'Latency (us)'. Convert the values to milliseconds"),
        (f"arch,latency_ms\n,us\n{A},1\n", "line 2: latency_ms is given in 'us'; expected 'ms'"),
        (f"arch,latency_ms\n-,[µs]\n{A},1\n", "line 2: latency_ms is given in 'µs'; expected 'ms'"),
        (f"arch,latency_ms\n{A},1\n{B},nan\n", "line 3: latency_ms must be positive and finite, found nan"),
        (f"arch,latency_ms\n{A},nan\n", "line 2: latency_ms must be positive and finite, found nan"),
        (f"arch,latency_ms\n{A},1\n{B},0\n", "line 3: latency_ms must be positive and finite, found 0.0"),
        (f"# note\n\narch,latency_ms\n{A},1\n{B},-2\n", "line 5: latency_ms must be positive and finite, found -2.0"),
        (f"arch,latency_ms\n{A},inf\n", "line 2: latency_ms must be positive and finite, found inf"),
        (f"arch,latency_ms\n{A},1\n{B},fast\n", "line 3: latency_ms: expected a number, found 'fast'"),
        (f"arch,latency_ms\n{A},1\n{B},1,3\n", "line 3: expected 2 cells, found 3"),
        (f"arch,latency_ms\n{A},1\n{B},2\n{A},1\n", "on 'phone' was already given in line 2"),
        (f"arch,latency_ms,device\n{A},1,x\n{A},2,y\n{A},3,x\n", "line 4: "),
        (f"arch,latency_ms\n{A},\n{B},\n", "no row has a latency_ms yet (2 rows to fill in)"),
        (
            f"arch,latency_ms\n{A},1\n{B.replace('skip_connect', 'skip')},2\n",
            "line 3: not an architecture of nasbench201",
        ),
        (f"# space: fbnet\narch,latency_ms\n{A},1\n", "holds architectures of 'fbnet', but is read as 'nasbench201'"),
        (f'arch,latency_ms\n"{A},1\n', "line 2"),
    ],
)
def test_bad_files(write, text, said):
    with pytest.raises(InputError) as error:
        read(write(text))
    assert said in str(error.value)
    assert "phone.csv" in str(error.value)


def test_a_foreign_architecture_is_named_with_its_line_and_position(write):
    with pytest.raises(InputError, match=r"line 3.*3->3|line 3.*skip~0|line 3.*edge"):
        read(write(f"arch,latency_ms\n{A},1\n{B.replace('skip_connect', 'skip')},2\n"))


def test_a_space_must_be_known(write):
    path = write(f"arch,latency_ms\n{A},1\n")
    with pytest.raises(InputError, match="of which search space"):
        load_latencies("csv", path)
    with pytest.raises(UnknownNameError, match="Did you mean 'nasbench201'"):
        load_latencies("csv", path, space="nasbench-201")


def test_missing_files_and_unknown_formats(tmp_path):
    with pytest.raises(InputError, match="expected a CSV of measurements, found nothing"):
        read(tmp_path / "no.csv")
    with pytest.raises(InputError, match="found a folder"):
        read(tmp_path)
    with pytest.raises(UnknownNameError, match="Did you mean 'csv'"):
        load_latencies("cvs", tmp_path)
    with pytest.raises(UnknownNameError, match="Did you mean 'nats-bench'"):
        load_accuracies("nats", tmp_path)


@pytest.mark.parametrize("protocol", [0, 2, 5])
def test_a_pickle_is_refused_and_never_loaded(tmp_path, protocol):
    trace = tmp_path / "trace"
    path = write_malicious_pickle(tmp_path / "table.csv", trace, protocol)
    assert is_armed(path, trace)
    with pytest.raises(InputError):
        read(path)
    assert not trace.exists()


@pytest.mark.parametrize("protocol", [0, 1, 5])
def test_pickles_are_called_by_their_name(tmp_path, protocol):
    path = write_malicious_pickle(tmp_path / "table.csv", tmp_path / "trace", protocol)
    with pytest.raises(InputError, match=r"found a pickle or torch file\. Pickles can run code and are never loaded"):
        read(path)


def test_options_of_a_format_are_named(write):
    path = write(f"arch,latency_ms\n{A},1\n")
    with pytest.raises(UnknownNameError, match=r"unknown option of latency format csv 'spaec'\. Did you mean 'space'"):
        load_latencies("csv", path, spaec="nasbench201")
    with pytest.raises(UnknownNameError, match="unknown option of accuracy format csv 'index'"):
        load_accuracies("csv", path, index=path)


@pytest.mark.parametrize("value", ["-1", "100.5", "nan"])
def test_accuracies_are_in_percent(write, value):
    with pytest.raises(InputError, match="line 2: accuracy must be in percent"):
        load_accuracies("csv", write(f"arch,accuracy\n{A},{value}\n"), space="nasbench201")


def test_an_accuracy_is_given_once(write):
    with pytest.raises(InputError, match=r"line 3: .* is there twice"):
        load_accuracies("csv", write(f"arch,accuracy\n{A},1\n{A},1\n"), space="nasbench201")


SPACE = get_space("nasbench201")
NAMES = st.text(st.characters(categories=["L", "N", "P", "S"]), min_size=1, max_size=8)


@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    data=st.data(),
    seed=st.integers(0, 99),
    n=st.integers(1, 6),
    devices=st.lists(NAMES, min_size=1, max_size=3, unique=True),
)
def test_a_table_survives_its_csv(tmp_path, data, seed, n, devices):
    archs = tuple(SPACE.sample(n, seed))
    latency = st.floats(1e-9, 1e9) | st.just(float("nan"))
    values = np.array(
        data.draw(st.lists(st.lists(latency, min_size=len(devices), max_size=len(devices)), min_size=n, max_size=n))
    )
    values[0, :] = 1.0  # every device has measured something
    table = LatencyTable("nasbench201", archs, tuple(devices), values)
    again = LatencyTable.from_csv(table.to_csv(tmp_path / "t.csv"))
    assert set(again.devices) == set(devices)
    kept = [arch for arch, row in zip(archs, values, strict=True) if np.isfinite(row).any()]
    assert set(again.archs) == set(kept)
    for device in devices:
        np.testing.assert_array_equal(again.latency_ms(device, kept), table.latency_ms(device, kept))
