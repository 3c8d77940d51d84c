"""The version of the installed package; it is written in ``pyproject.toml`` alone."""

from importlib.metadata import version

__all__ = ["__version__"]

__version__ = version("nas-proxy")
