"""The ``nas-proxy`` command."""

from nas_proxy.cli.main import app, main

__all__ = ["app", "main"]
