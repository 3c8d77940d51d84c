"""What was found wrong with an environment, and what to do."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

from nas_proxy.terminal.tables import Column, Page, Table

__all__ = ["doctor_page"]

_STYLES = {"ok": "green", "warning": "yellow", "failed": "red"}


class _Check(Protocol):
    @property
    def name(self) -> str: ...
    @property
    def status(self) -> str: ...
    @property
    def found(self) -> str: ...
    @property
    def remedy(self) -> str: ...


def doctor_page(checks: Sequence[_Check]) -> Page:
    """One row a check: what was found, and the remedy where one is needed."""
    columns = [Column("status", "status"), Column("check", "check"), Column("found", "found"), Column("remedy", None)]
    rows = [[check.status, check.name, check.found, check.remedy or None] for check in checks]
    remedies = [f"{check.name}: {check.remedy}" for check in checks if check.remedy]
    return Page([Table("checks", columns, rows, styles=[_STYLES[check.status] for check in checks]), *remedies])
