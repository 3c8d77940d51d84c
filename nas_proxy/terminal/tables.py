"""What a command says, as data: a page of tables and notes, drawn on the terminal or given as JSON."""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from rich.box import SIMPLE_HEAD
from rich.console import Group
from rich.table import Table as RichTable
from rich.text import Text

__all__ = ["Column", "Drawing", "Page", "Table", "draw", "to_json"]


@dataclass(frozen=True)
class Column:
    """One column of a table.

    Attributes:
        name: its key in JSON, with the unit where there is one: ``latency_ms``.
        heading: what stands above it on the terminal; None for a column that only the JSON has.
        show: how a value is written on the terminal: a format such as ``".4g"``, or a function.
        right: whether it is aligned at the right; by default where all values are numbers.
    """

    name: str
    heading: str | None
    show: str | Callable[[Any], str] = ""
    right: bool | None = None


@dataclass(frozen=True)
class Table:
    """Rows of plain values (text, numbers, None, lists of them) under columns.

    Attributes:
        name: its key in JSON; tables of one name are one list there.
        styles: how to draw each row, in rich's words (``"bold green"``); empty for all alike.
    """

    name: str
    columns: Sequence[Column]
    rows: Sequence[Sequence[Any]]
    title: str = ""
    caption: str | None = None
    styles: Sequence[str] = ()


@dataclass(frozen=True)
class Drawing:
    """What is elsewhere on the page as plain values, drawn or in words: for the terminal only.

    Attributes:
        wraps: whether its lines may be broken, as those of words may.
    """

    text: str
    wraps: bool = False


@dataclass(frozen=True)
class Page:
    """Tables, drawings and notes from top to bottom.

    Attributes:
        facts: what the notes say, as plain values for JSON.
    """

    blocks: Sequence[Table | Drawing | str]
    facts: Mapping[str, Any] = field(default_factory=dict)


def draw(page: Page) -> Group:
    """A page for ``rich``. Nothing in it is read as markup; long words are broken, never cut."""
    return Group(*(_drawn(block) if isinstance(block, Table) else _text(block) for block in page.blocks))


def _text(block: Drawing | str) -> Text:
    return Text(block.text, no_wrap=not block.wraps) if isinstance(block, Drawing) else Text(block)


def _drawn(table: Table) -> RichTable:
    shown = [(place, column) for place, column in enumerate(table.columns) if column.heading is not None]
    drawn = RichTable(
        title=Text(table.title, style="bold") if table.title else None,
        caption=Text(table.caption) if table.caption else None,
        title_justify="left",
        caption_justify="left",
        box=SIMPLE_HEAD,
        padding=(0, 1, 0, 0),
    )
    for place, column in shown:
        right = column.right
        if right is None:
            right = all(isinstance(row[place], int | float | None) for row in table.rows)
        drawn.add_column(Text(column.heading or ""), justify="right" if right else "left", overflow="fold")
    for row, style in zip(table.rows, table.styles or [""] * len(table.rows), strict=True):
        drawn.add_row(*(Text(_cell(row[place], column.show)) for place, column in shown), style=style)
    return drawn


def _cell(value: Any, show: str | Callable[[Any], str]) -> str:
    if value is None:
        return ""
    return show(value) if callable(show) else format(value, show)


def to_json(page: Page) -> str:
    """A page as JSON: its facts, each table as a list of objects, and the notes. What is not finite is null."""
    plain = dict(page.facts)
    for table in (block for block in page.blocks if isinstance(block, Table)):
        names = [column.name for column in table.columns]
        rows = (dict(zip(names, row, strict=True)) for row in table.rows)
        plain[table.name] = [*plain.get(table.name, ()), *rows]
    plain["notes"] = [block for block in page.blocks if isinstance(block, str)]
    return json.dumps(_plain(plain), indent=2, ensure_ascii=False, allow_nan=False)


def _plain(value: Any) -> Any:
    if isinstance(value, Mapping):
        return {str(key): _plain(inner) for key, inner in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(inner) for inner in value]
    value = value.item() if hasattr(value, "item") else value  # of numpy
    return None if isinstance(value, float) and not math.isfinite(value) else value
