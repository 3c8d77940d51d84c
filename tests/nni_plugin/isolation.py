"""Networks and disks of a test's own, in namespaces of the kernel; where none can be made the test says so."""

from __future__ import annotations

import contextlib
import os
import subprocess
from collections.abc import Callable, Sequence
from pathlib import Path

import pytest

from nas_proxy.nni_plugin.ports import free_port


class Namespace:
    """Mounts and network interfaces of its own, for commands run inside; gone with :meth:`close`."""

    def __init__(self, set_up: str, within: Sequence[str] = ()) -> None:
        flags = ["--mount", "--net"] + ([] if os.geteuid() == 0 or within else ["--user", "--map-root-user"])
        script = f"set -e; {set_up}; echo ready; exec sleep infinity"
        command = [*within, "unshare", *flags, "--", "sh", "-c", script]
        self.process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
        assert self.process.stdout is not None
        assert self.process.stderr is not None
        if self.process.stdout.readline() != "ready\n":
            self.process.wait()
            pytest.skip(f"no namespaces can be made here, so this is NOT tested: {self.process.stderr.read().strip()}")

    @property
    def enter(self) -> list[str]:
        """The command that runs another inside."""
        flags = [] if os.geteuid() == 0 else ["--user", "--preserve-credentials"]
        return ["nsenter", "--target", str(self.process.pid), *flags, "--mount", "--net", "--"]

    def call(self, *command: str) -> None:
        subprocess.run([*self.enter, *command], check=True)

    def close(self) -> None:
        self.process.kill()
        self.process.communicate()


class Cable:
    """Two machines joined by a cable, as far as the network is concerned: namespaces."""

    here_address, there_address = "10.77.0.1", "10.77.0.2"

    def __init__(self, namespace: Callable[..., Namespace]) -> None:
        self.here = namespace("ip link set lo up")
        self.there = namespace("ip link set lo up", within=self.here.enter)
        there = str(self.there.process.pid)
        self.here.call("ip", "link", "add", "end0", "type", "veth", "peer", "name", "end1", "netns", there)
        ends = (self.here, "end0", self.here_address), (self.there, "end1", self.there_address)
        for side, name, address in ends:
            side.call("ip", "address", "add", f"{address}/24", "dev", name)
            side.call("ip", "link", "set", name, "up")


class Disk:
    """A disk of its own, in a mount namespace; its folder can be reached from outside."""

    def __init__(self, namespace: Namespace, folder: Path) -> None:
        self._namespace, self._folder = namespace, folder
        self.path = Path(f"/proc/{namespace.process.pid}/root{folder}")

    def fill(self) -> None:
        with contextlib.suppress(OSError), (self.path / "filler").open("wb", buffering=0) as file:
            while file.write(bytes(4096)):
                pass

    def free(self) -> None:
        (self.path / "filler").unlink()

    def make_writable(self, writable: bool) -> None:
        self._namespace.call("mount", "-o", f"remount,{'rw' if writable else 'ro'}", str(self._folder))


def port_of_this_worker() -> int:
    """A free port that no test in another pytest process takes at the same time, nor `nas-proxy run`."""
    worker = int(os.environ.get("PYTEST_XDIST_WORKER", "gw0").removeprefix("gw"))
    return free_port(10_000 + 1_000 * worker)
