"""A run as one offline HTML page: which network for which device, and why to believe it."""

from nas_proxy.report.folder import Check
from nas_proxy.report.page import write_report

__all__ = ["Check", "write_report"]
