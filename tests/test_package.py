"""The public API is what DESIGN names, and costs nothing until used."""

from __future__ import annotations

import ast
import subprocess
import sys
from collections import defaultdict
from pathlib import Path

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


def test_no_two_classes_share_a_name():
    """A name that means one thing here and another there is read twice; a class is found by its name."""
    package, found = Path(nas_proxy.__file__).parent, defaultdict(list)
    for path in package.rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.ClassDef):
                found[node.name].append(f"{path.relative_to(package)}:{node.lineno}")
    assert {name: places for name, places in found.items() if len(places) > 1} == {}
