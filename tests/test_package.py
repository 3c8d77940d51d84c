"""The public API is what DESIGN names, and costs nothing until used."""

from __future__ import annotations

import subprocess
import sys

import pytest

import nas_proxy


def test_every_public_name_is_there():
    for name in nas_proxy.__all__:
        assert getattr(nas_proxy, name) is not None
    assert dir(nas_proxy) == sorted(nas_proxy.__all__)


def test_unknown_attribute_is_an_attribute_error():
    with pytest.raises(AttributeError, match="attribute ProxyLatencyModle"):
        nas_proxy.ProxyLatencyModle  # noqa: B018


def test_import_is_light():
    """NNI gives a tuner ten seconds to start: importing the package must load neither torch nor NNI."""
    code = "import nas_proxy, sys; assert not {'torch', 'nni', 'sklearn', 'pandas'} & set(sys.modules), sys.modules"
    subprocess.run([sys.executable, "-c", code], check=True)
