"""``nas-proxy doctor``: is this environment able to run a search, and if not, what to do about it."""

from __future__ import annotations

import importlib.metadata
import importlib.util
import json
import os
import subprocess
import sys
import sysconfig
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from nas_proxy.errors import InputError
from nas_proxy.nni_plugin.ports import DEFAULT_PORT, free_port, port_is_free

__all__ = ["Diagnosis", "diagnose", "install_hook", "remove_hook"]

_HOOK = "nas_proxy_torchvision_hook"
_PROBE = """
import importlib, json, warnings
warnings.simplefilter("ignore")
for name in ("torch", "torchvision", "pytorch_lightning", "nni.nas.nn.pytorch"):
    try:
        importlib.import_module(name)
        print(json.dumps([name, None]), flush=True)
    except BaseException as error:
        print(json.dumps([name, f"{type(error).__name__}: {error}"]), flush=True)
"""


@dataclass(frozen=True)
class Diagnosis:
    """One thing looked at: how it stands, what was found and, unless it is fine, what to do."""

    name: str
    status: Literal["ok", "warning", "failed"]
    found: str
    remedy: str = ""


def diagnose(fix: bool = False) -> list[Diagnosis]:
    """Every check of the environment, in about eight seconds; with ``fix``, what can be cured is cured first.

    Only the torchvision hook is ever installed, only where torchvision's operators cannot load and only in a virtual
    environment.
    """
    with _start_probe() as process:  # the imports take seconds; the other checks meanwhile
        checks = [_python(), _nni(), _pkg_resources(), _port(), *_write_access()]
        imports = _finish_probe(process)
    if fix and _needs_hook(imports):
        install_hook()
        with _start_probe() as process:
            imports = _finish_probe(process)
        if _needs_hook(imports):
            remove_hook()  # it did not help: leave the environment as it was
    return [*checks, *_imports(imports)]


def site_packages() -> Path:
    """The folder of the virtual environment's packages.

    Raises:
        InputError: this Python is not in a virtual environment; nothing is ever written into a system's Python.
    """
    if sys.prefix == sys.base_prefix:
        raise InputError(
            f"{sys.executable} is not in a virtual environment, and no other Python is changed. "
            "Make one (python3.11 -m venv .venv) and install nas-proxy there."
        )
    return Path(sysconfig.get_path("purelib"))


def install_hook(folder: Path | None = None) -> Path:
    """Put the torchvision hook into ``folder`` (the virtual environment's site-packages); again is harmless."""
    folder = folder or site_packages()
    module = folder / f"{_HOOK}.py"
    module.write_bytes(Path(__file__).with_name("torchvision_hook.py").read_bytes())
    (folder / f"{_HOOK}.pth").write_text(f"import {_HOOK}\n")
    return module


def remove_hook(folder: Path | None = None) -> bool:
    """Take the torchvision hook out of ``folder`` again; says whether it was there."""
    folder = folder or site_packages()
    line, module = folder / f"{_HOOK}.pth", folder / f"{_HOOK}.py"
    there = line.exists() or module.exists()
    line.unlink(missing_ok=True)  # the line first: it must never import a module that is gone
    module.unlink(missing_ok=True)
    return there


# -- the checks ------------------------------------------------------------------------------------------------------


def _python() -> Diagnosis:
    return Diagnosis("Python", "ok", f"Python {sys.version.split()[0]} at {sys.executable}")


def _nni() -> Diagnosis:
    try:
        version = importlib.metadata.version("nni")
    except importlib.metadata.PackageNotFoundError:
        return Diagnosis("NNI", "failed", "not installed", "Install it: pip install nni==3.0")
    if version != "3.0":
        return Diagnosis("NNI", "failed", f"NNI {version}", "Everything here is made for NNI 3.0: pip install nni==3.0")
    specification = importlib.util.find_spec("nni_node")
    node = Path(specification.origin).with_name("node") if specification and specification.origin else None
    try:
        node_version = subprocess.run([str(node), "--version"], capture_output=True, text=True, check=True).stdout
    except (OSError, subprocess.CalledProcessError) as error:
        return Diagnosis(
            "NNI", "failed", f"NNI 3.0, but its manager cannot run: {error}", "Reinstall: pip install nni==3.0"
        )
    return Diagnosis("NNI", "ok", f"NNI {version}, its manager on Node {node_version.strip()}")


def _pkg_resources() -> Diagnosis:
    if importlib.util.find_spec("pkg_resources"):
        return Diagnosis("pkg_resources", "ok", f"setuptools {importlib.metadata.version('setuptools')}")
    return Diagnosis("pkg_resources", "failed", "cannot be found; nnictl imports it", 'pip install "setuptools<81"')


def _port() -> Diagnosis:
    if port_is_free(DEFAULT_PORT):
        return Diagnosis("port", "ok", f"{DEFAULT_PORT} is free on 127.0.0.1")
    found = f"{DEFAULT_PORT} is in use"
    try:
        return Diagnosis("port", "warning", found, f"Start experiments with --port {free_port()}.")
    except InputError as error:
        return Diagnosis("port", "failed", found, str(error))


def _write_access() -> Iterator[Diagnosis]:
    for what, folder, remedy in [
        ("experiments", Path.home() / "nni-experiments", "NNI keeps its experiments there; make it writable."),
        ("NNI settings", Path(os.environ.get("NNI_CONFIG_DIR", Path(sys.prefix) / "nni")), "Or set NNI_CONFIG_DIR."),
        ("run folder", Path.cwd(), "Change to a folder you can write to, or give one with --folder."),
    ]:
        try:
            folder.mkdir(parents=True, exist_ok=True)
            with tempfile.TemporaryFile(dir=folder):
                pass
            yield Diagnosis(what, "ok", f"{folder} can be written to")
        except OSError as error:
            yield Diagnosis(what, "failed", f"{folder}: {error.strerror or error}", remedy)


def _start_probe() -> subprocess.Popen[str]:
    command = [sys.executable, "-c", _PROBE]
    return subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)


def _finish_probe(process: subprocess.Popen[str]) -> dict[str, str | None]:
    """Name of each module to the error of importing it, None where it went well."""
    output, errors = process.communicate()
    results = dict(json.loads(line) for line in output.splitlines() if line.startswith("["))
    last_words = (errors.strip().splitlines() or [f"ended with code {process.returncode}"])[-1]
    return {
        name: results.get(name, last_words)
        for name in ("torch", "torchvision", "pytorch_lightning", "nni.nas.nn.pytorch")
    }


def _needs_hook(imports: dict[str, str | None]) -> bool:
    return "operator torchvision::" in (imports["torchvision"] or "")


def _imports(imports: dict[str, str | None]) -> Iterator[Diagnosis]:
    for name, distribution in [("torch", "torch"), ("Lightning", "pytorch_lightning")]:
        error = imports[distribution]
        remedy = "" if error is None else f"pip install -c constraints.txt {distribution}"
        if error and _needs_hook(imports) and distribution != "torch":
            remedy = "Cure torchvision first: it imports that."
        yield _import_check(name, distribution, error, remedy)
    error = imports["torchvision"]
    if error and "No module named 'torchvision'" in error:
        yield Diagnosis("torchvision", "ok", "not installed; only the extra 'timm' needs it")
    else:
        cure = "nas-proxy doctor --fix" if _needs_hook(imports) else "Install the torchvision made for your torch."
        yield _import_check("torchvision", "torchvision", error, cure)
    yield _import_check("nni.nas", "nni", imports["nni.nas.nn.pytorch"], "Cure the failures above first.")


def _import_check(name: str, distribution: str, error: str | None, remedy: str) -> Diagnosis:
    if error is None:
        return Diagnosis(name, "ok", f"{distribution} {importlib.metadata.version(distribution)} can be imported")
    return Diagnosis(name, "failed", f"cannot be imported: {error}", remedy)
