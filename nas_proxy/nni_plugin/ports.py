"""TCP ports for NNI's manager."""

from __future__ import annotations

import os
import socket
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import filelock

from nas_proxy.errors import InputError

__all__ = ["DEFAULT_PORT", "free_port", "port_is_free", "starting_alone"]

DEFAULT_PORT = 8080  # NNI's own


def port_is_free(port: int) -> bool:
    """Whether a server could listen on 127.0.0.1 at this port now."""
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)  # as servers do: TIME_WAIT is no obstacle
        try:
            probe.bind(("127.0.0.1", port))
        except OSError:
            return False
        return True


def free_port(first: int = DEFAULT_PORT) -> int:
    """The first free port at an even distance from ``first``, with a free neighbour.

    NNI listens to remote machines on the next port, some seconds later: nobody else who asks here may have taken it.

    Raises:
        InputError: none of the next hundred is free.
    """
    for port in range(first, min(first + 100, 65535), 2):
        if port_is_free(port) and port_is_free(port + 1):
            return port
    raise InputError(f"no free port from {first} to {first + 99}: stop a server, or give another with --port.")


@contextmanager
def starting_alone() -> Iterator[None]:
    """Waits while another experiment of this user chooses a port and starts to listen on it."""
    with filelock.FileLock(Path(tempfile.gettempdir()) / f"nas-proxy-{os.getuid()}.lock"):
        yield
