"""The doctor finds what is broken, says what to do, and touches nothing but the virtual environment."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

from nas_proxy.errors import InputError
from nas_proxy.nni_plugin import doctor
from nas_proxy.nni_plugin.ports import free_port, port_is_free

FINE: dict[str, str | None] = dict.fromkeys(("torch", "torchvision", "pytorch_lightning", "nni.nas.nn.pytorch"))
BROKEN = "RuntimeError: operator torchvision::nms does not exist"


def test_this_environment_is_fine() -> None:
    command = [sys.executable, "-m", "nas_proxy.cli", "doctor", "--json"]
    done = subprocess.run(command, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "NNI 3.0" in done.stdout
    found = {check["check"]: check["found"] for check in json.loads(done.stdout)["checks"]}
    assert found["nni.nas"] == "nni 3.0 can be imported"


def test_hook_is_installed_once_and_removed(tmp_path: Path) -> None:
    doctor.install_hook(tmp_path)
    first = {path.name: path.read_bytes() for path in tmp_path.iterdir()}
    doctor.install_hook(tmp_path)
    assert {path.name: path.read_bytes() for path in tmp_path.iterdir()} == first
    assert any(name.endswith(".pth") for name in first)
    assert doctor.remove_hook(tmp_path)
    assert list(tmp_path.iterdir()) == []
    assert not doctor.remove_hook(tmp_path)


def test_hook_lets_a_broken_torchvision_be_imported(tmp_path: Path) -> None:
    """A package that does at import what torchvision does, without compiled operators; -S: no hook but ours."""
    (tmp_path / "torchvision").mkdir()
    (tmp_path / "torchvision" / "__init__.py").write_text(
        "import torch.library\n@torch.library.register_fake('torchvision::nms')\ndef nms(*_): ...\n"
    )
    hook = Path(doctor.__file__).with_name("torchvision_hook.py")
    paths = f"import sys; sys.path[:0] = [{str(tmp_path)!r}]; sys.path += {sys.path!r}; "
    load = f"exec(compile(open({str(hook)!r}).read(), 'hook', 'exec')); "
    check = "assert 'torch' not in sys.modules; import torchvision; assert torchvision.nms() is None; print('fine')"
    without = subprocess.run([sys.executable, "-S", "-c", paths + check], capture_output=True, text=True)
    assert "operator torchvision::nms does not exist" in without.stderr
    with_hook = subprocess.run([sys.executable, "-S", "-c", paths + load + check], capture_output=True, text=True)
    assert with_hook.stdout.strip() == "fine", with_hook.stderr


def test_a_system_python_is_never_changed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "prefix", sys.base_prefix)
    with pytest.raises(InputError, match="not in a virtual environment"):
        doctor.install_hook()


def test_fix_installs_the_hook_only_where_needed_and_takes_a_useless_one_away(monkeypatch: pytest.MonkeyPatch) -> None:
    done: list[str] = []
    monkeypatch.setattr(doctor, "install_hook", lambda: done.append("install"))
    monkeypatch.setattr(doctor, "remove_hook", lambda: done.append("remove"))
    results: list[dict[str, str | None]] = [FINE]
    monkeypatch.setattr(doctor, "_finish_probe", lambda process: (process.kill(), results.pop(0))[1])
    doctor.diagnose(fix=True)
    assert done == []
    broken = FINE | {"torchvision": BROKEN, "pytorch_lightning": BROKEN, "nni.nas.nn.pytorch": BROKEN}
    results += [broken, FINE]
    assert all(check.status != "failed" for check in doctor.diagnose(fix=True))
    assert done == ["install"]
    results += [broken, broken]
    checks = {check.name: check for check in doctor.diagnose(fix=True)}
    assert done == ["install", "install", "remove"]
    assert checks["torchvision"].remedy == "nas-proxy doctor --fix"
    assert "torchvision" in checks["Lightning"].remedy
    results += [broken]
    doctor.diagnose(fix=False)
    assert done == ["install", "install", "remove"]


def test_missing_and_old_nni(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(doctor.importlib.metadata, "version", lambda name: "2.10")
    assert doctor._nni().remedy.endswith("pip install nni==3.0")

    def missing(name: str) -> str:
        raise doctor.importlib.metadata.PackageNotFoundError(name)

    monkeypatch.setattr(doctor.importlib.metadata, "version", missing)
    check = doctor._nni()
    assert (check.status, check.found) == ("failed", "not installed")


def test_folder_that_cannot_be_written(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    (tmp_path / "nni").write_text("a file where a folder is needed")
    monkeypatch.setenv("NNI_CONFIG_DIR", str(tmp_path / "nni"))
    checks = {check.name: check for check in doctor._write_access()}
    assert checks["NNI settings"].status == "failed"
    assert "NNI_CONFIG_DIR" in checks["NNI settings"].remedy


def test_port_in_use_is_named_with_a_free_one(monkeypatch: pytest.MonkeyPatch) -> None:
    import socket

    with socket.socket() as server:
        server.bind(("127.0.0.1", 0))
        server.listen()
        port = server.getsockname()[1]
        assert not port_is_free(port)
        assert free_port(port) > port
        monkeypatch.setattr(doctor, "DEFAULT_PORT", port)
        check = doctor._port()
    assert check.status == "warning"
    assert f"{port} is in use" in check.found
