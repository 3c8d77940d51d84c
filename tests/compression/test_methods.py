"""Methods as text."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from nas_proxy.compression import GRID, Method, parse_method
from nas_proxy.errors import InputError, UnknownNameError


def test_steps_are_read() -> None:
    assert parse_method("float32") == Method()
    assert parse_method("ptdq") == Method(quantization="PTDQ")
    assert parse_method("L2 0.7 + distil + PTDQ") == Method(2, 0.7, 30, "PTDQ")
    assert parse_method("l1 .05 + distil 90") == Method(1, 0.05, 90)


@given(
    st.builds(
        Method,
        st.sampled_from([1, 2]),
        st.integers(1, 99).map(lambda percent: percent / 100),
        st.none() | st.integers(1, 500),
        st.sampled_from([None, "PTDQ", "PTSQ", "QAT"]),
    )
)
def test_text_is_canonical(method: Method) -> None:
    assert parse_method(str(method)) == method


def test_the_grid_is_of_methods() -> None:
    assert [str(parse_method(text)) for text in GRID] == list(GRID)


@pytest.mark.parametrize("ratio", ["0", "1", "-0.1", "1.5", "nan", "many", "", "0.1 0.2"])
def test_ratio_outside_0_and_1(ratio: str) -> None:
    with pytest.raises(InputError, match="above 0 and below 1"):
        parse_method(f"L2 {ratio}")


def test_unknown_step() -> None:
    with pytest.raises(UnknownNameError, match=r"unknown step of compression 'PTDK'. Did you mean 'PTDQ'"):
        parse_method("L2 0.3 + PTDK")


@pytest.mark.parametrize("text", ["PTDQ + L2 0.3", "distil + L1 0.2", "PTDQ + QAT", "L1 0.1 + L2 0.2"])
def test_order(text: str) -> None:
    with pytest.raises(InputError, match="in the order pruning, distillation, quantization"):
        parse_method(text)


@pytest.mark.parametrize("text", ["distil 0", "distil 1.5", "distil 10 20"])
def test_epochs(text: str) -> None:
    with pytest.raises(InputError, match="whole number of epochs"):
        parse_method(text)


def test_numbers_where_none_belong() -> None:
    with pytest.raises(InputError, match="PTDQ takes no number"):
        parse_method("PTDQ 8")
