"""What is said of a library that is not installed."""

from __future__ import annotations

import pytest

from nas_proxy.errors import MissingDependencyError, did_you_mean, extra_for, from_extra


@pytest.mark.parametrize(
    ("library", "extra"), [("torch", "torch"), ("timm.models", "timm"), ("torch_pruning", "compress"), ("numpy", None)]
)
def test_the_extra_that_brings_a_library(library: str, extra: str | None) -> None:
    found = extra_for(ModuleNotFoundError(f"No module named {library!r}", name=library))
    assert (found is None) == (extra is None)
    assert extra is None or f"pip install 'nas-proxy[{extra}]'" in str(found)


def test_an_import_that_fails_names_what_needs_it() -> None:
    said = r"pictures needs `pip install 'nas-proxy\[draw\]'`: No module"
    with pytest.raises(MissingDependencyError, match=said), from_extra("draw", "pictures"):
        import no_such_library  # noqa: F401  # pyright: ignore[reportMissingImports]


def test_no_name_is_offered_for_code() -> None:
    assert did_you_mean("genetc", ["genetic"]) == " Did you mean 'genetic'?"
    assert did_you_mean("os:genetic", ["genetic"]) == ""
